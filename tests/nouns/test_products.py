"""Keys, and what a device proves itself with (C4, C5)."""

import hashlib
import hmac

import pytest

from licet.products import DEVICE_KEY, DEVICE_SECRET, NONCE, PRODUCT_KEY, SIGNATURE, Registration

SECRET = "the-secret-of-the-product"


@pytest.mark.table("""
    kind           text                               well_formed
    PRODUCT_KEY    a1B2c3D4e5F                        yes
    PRODUCT_KEY    a1B2c3D4e5                         no
    PRODUCT_KEY    a1B2c3D4e5F6                       no
    PRODUCT_KEY    a1B2c3D4e5.                        no
    DEVICE_KEY     abcd                               yes
    DEVICE_KEY     abc                                no
    DEVICE_KEY     356938035643809                    yes
    DEVICE_KEY     00a0c914c829                       yes
    DEVICE_KEY     00:a0:c9:14:c8:29                  no
    DEVICE_KEY     thermo-1                           no
    DEVICE_KEY     abcd*                              no
    DEVICE_KEY     ab.cd                              no
    DEVICE_KEY     ab/cd                              no
    DEVICE_KEY     éàüö                               no
    DEVICE_KEY     ١٢٣٤                               no
    DEVICE_KEY     0123456789abcdef0123456789ABCDEF   yes
    DEVICE_KEY     0123456789abcdef0123456789ABCDEF0  no
    NONCE          01234567                           yes
    NONCE          0123456                            no
    NONCE          0123456/                           no
    DEVICE_SECRET  12345678                           yes
    DEVICE_SECRET  1234567                            no
    DEVICE_SECRET  1234 5678                          no
    SIGNATURE      0123456789abcdef                   no
""")
def test_what_is_well_formed(kind: str, text: str, well_formed: str) -> None:
    pattern = {
        "PRODUCT_KEY": PRODUCT_KEY,
        "DEVICE_KEY": DEVICE_KEY,
        "NONCE": NONCE,
        "DEVICE_SECRET": DEVICE_SECRET,
        "SIGNATURE": SIGNATURE,
    }[kind]
    assert bool(pattern.fullmatch(text)) is (well_formed == "yes")


@pytest.mark.parametrize("pattern", [PRODUCT_KEY, DEVICE_KEY, NONCE, DEVICE_SECRET, SIGNATURE])
@pytest.mark.parametrize("text", ["", "\n", "abcdefgh\n", "\x00" * 11, "a" * 65536])
def test_what_is_well_formed_of_nothing(pattern, text: str) -> None:  # type: ignore[no-untyped-def]
    assert not pattern.fullmatch(text)


def test_a_registration_is_signed_with_the_secret_of_its_product() -> None:
    signature = hmac.new(SECRET.encode(), b"a1B2c3D4e5F/thermo1/nonce-01", hashlib.sha256).hexdigest()
    assert Registration("a1B2c3D4e5F", "thermo1", "nonce-01", signature).is_signed_with(SECRET)


@pytest.mark.table("""
    product_key  device_key  nonce     secret
    a1B2c3D4e5G  thermo1     nonce-01  the-secret-of-the-product
    a1B2c3D4e5F  thermo2     nonce-01  the-secret-of-the-product
    a1B2c3D4e5F  thermo1     nonce-02  the-secret-of-the-product
    a1B2c3D4e5F  thermo1     nonce-01  another-products-secret
    a1B2c3D4e5F  thermo1     nonce-01  -
""")
def test_a_signature_is_good_for_nothing_else(product_key: str, device_key: str, nonce: str, secret: str) -> None:
    signature = hmac.new(SECRET.encode(), b"a1B2c3D4e5F/thermo1/nonce-01", hashlib.sha256).hexdigest()
    assert not Registration(product_key, device_key, nonce, signature).is_signed_with(secret)


@pytest.mark.parametrize("signature", ["", "0" * 64, "é" * 64])
def test_what_is_no_signature_is_not_good_either(signature: str) -> None:
    assert not Registration("a1B2c3D4e5F", "thermo1", "nonce-01", signature).is_signed_with(SECRET)
