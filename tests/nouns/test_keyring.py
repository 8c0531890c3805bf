"""Secrets at rest: sealed under a key that the books do not have, and bound to what they belong to."""

import pytest

from licet.keyring import Keyring

OLD, NEW = bytes(range(32)), bytes(range(32, 64))


@pytest.mark.parametrize("secret", ["s3cret-of-thermo1", "", "Geheimnis äöü 密钥", "x" * 10_000])
def test_what_is_sealed_can_be_opened(secret: str) -> None:
    ring = Keyring({1: NEW}, current=1)
    sealed = ring.seal(secret, "a1B2c3D4e5F/thermo1")
    assert ring.open(sealed, "a1B2c3D4e5F/thermo1") == secret
    assert secret == "" or secret.encode() not in sealed


def test_the_same_secret_never_looks_the_same() -> None:
    ring = Keyring({1: NEW}, current=1)
    assert len({ring.seal("s3cret", "a1B2c3D4e5F") for _ in range(50)}) == 50


def test_a_secret_is_of_no_use_in_another_row() -> None:
    ring = Keyring({1: NEW}, current=1)
    sealed = ring.seal("s3cret", "a1B2c3D4e5F/thermo1")
    with pytest.raises(ValueError, match="a1B2c3D4e5F/thermo2"):
        ring.open(sealed, "a1B2c3D4e5F/thermo2")


def test_a_secret_that_was_altered_is_not_opened() -> None:
    ring = Keyring({1: NEW}, current=1)
    sealed = ring.seal("s3cret", "a1B2c3D4e5F")
    for place in range(1, len(sealed)):
        altered = bytearray(sealed)
        altered[place] ^= 1
        with pytest.raises(ValueError, match="another key or for something else"):
            ring.open(bytes(altered), "a1B2c3D4e5F")


def test_a_new_key_seals_and_the_old_one_still_opens() -> None:
    before = Keyring({1: OLD}, current=1).seal("s3cret", "a1B2c3D4e5F")
    ring = Keyring({2: NEW, 1: OLD}, current=2)
    assert ring.open(before, "a1B2c3D4e5F") == "s3cret"
    assert before[0] != ring.current
    after = ring.seal(ring.open(before, "a1B2c3D4e5F"), "a1B2c3D4e5F")
    assert after[0] == ring.current
    assert Keyring({2: NEW}, current=2).open(after, "a1B2c3D4e5F") == "s3cret"


def test_without_its_key_nothing_is_opened() -> None:
    sealed = Keyring({1: OLD}, current=1).seal("s3cret", "a1B2c3D4e5F")
    with pytest.raises(ValueError, match="no key 1 on the ring for a1B2c3D4e5F"):
        Keyring({2: NEW}, current=2).open(sealed, "a1B2c3D4e5F")
    with pytest.raises(ValueError, match="another key"):
        Keyring({1: NEW}, current=1).open(sealed, "a1B2c3D4e5F")


def test_a_rotation_reaches_a_ring_that_is_in_use() -> None:
    """It seals with the new key at once, and opens what another process has sealed with it already."""
    news: list[tuple[int, dict[int, bytes]]] = []
    ring = Keyring({1: OLD}, 1, renewed=lambda: news.pop() if news else None)
    assert ring.current == 1
    elsewhere = Keyring({2: NEW}, current=2).seal("s3cret", "a1B2c3D4e5F")
    with pytest.raises(ValueError, match="no key 2"):
        ring.open(elsewhere, "a1B2c3D4e5F")
    news.append((2, {2: NEW, 1: OLD}))
    assert ring.open(elsewhere, "a1B2c3D4e5F") == "s3cret"
    assert ring.seal("s3cret", "a1B2c3D4e5F")[0] == ring.current == 2


def test_nothing_can_be_opened_too_and_is_nobodys_secret() -> None:
    news: list[tuple[int, dict[int, bytes]]] = []
    ring = Keyring({1: OLD}, current=1, renewed=lambda: news.pop() if news else None)
    nothing = ring.open_nothing()
    assert len(nothing) == 32
    assert nothing == ring.open_nothing() != Keyring({1: OLD}, current=1).open_nothing()
    news.append((2, {2: NEW}))
    ring.seal("s3cret", "a1B2c3D4e5F")
    assert len(ring.open_nothing()) == 32
