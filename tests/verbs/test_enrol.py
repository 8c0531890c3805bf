"""Devices are imported, register, are reset and deleted (C3 to C7)."""

import asyncio
import hashlib
import hmac

import pytest
from tests.verbs.conftest import NOON, Trade

from licet.admit import admit
from licet.enrol import (
    change_product,
    check_registration,
    delete_device,
    import_devices,
    list_no_renewal,
    register,
    reset_device,
    reset_product_secret,
)
from licet.postgres import devices
from licet.products import Imported, Knock, Registration
from licet.refusals import Reason, Refused


def signed(trade: Trade, device_key: str, nonce: str, secret: str = "") -> Registration:
    asked = f"{trade.product_key}/{device_key}/{nonce}".encode()
    signature = hmac.new((secret or trade.product_secret).encode(), asked, hashlib.sha256).hexdigest()
    return Registration(trade.product_key, device_key, nonce, signature)


async def refusal_of(attempt: object) -> Reason:
    with pytest.raises(Refused) as refused:
        await attempt  # type: ignore[misc]
    return refused.value.reason


async def test_devices_are_imported_without_limit_and_without_a_code(trade: Trade) -> None:
    """C3: an import done again changes nothing, and says the same secrets."""
    lines = [Imported("own00001", "a secret-of-its-own".replace(" ", "-")), Imported("issued01")]
    first = await import_devices(trade.books, trade.product_key, lines, by=trade.alice, now=NOON)
    again = await import_devices(
        trade.books, trade.product_key, [Imported("own00001"), lines[1]], by=trade.alice, now=NOON
    )
    assert first == again
    assert first[0][1] == "a-secret-of-its-own"
    assert len(first[1][1]) == 32
    changed = import_devices(
        trade.books, trade.product_key, [Imported("own00001", "another-secret")], by=trade.alice, now=NOON
    )
    assert await refusal_of(changed) is Reason.SECRET_DIFFERS


async def test_a_device_registers_once_with_its_products_secret(trade: Trade) -> None:
    """C5, dynamic: it is issued its own secret, once, whoever asks at the same time."""
    asks = [register(trade.books, signed(trade, "dynamic1", f"nonce-{n:04}"), now=NOON) for n in range(8)]
    outcomes = await asyncio.gather(*asks, return_exceptions=True)
    secrets = [outcome for outcome in outcomes if isinstance(outcome, str)]
    reasons = [outcome.reason for outcome in outcomes if isinstance(outcome, Refused)]
    assert len(secrets) == 1
    assert reasons == [Reason.ALREADY_REGISTERED] * 7
    await trade.credited(1, await trade.package())
    (answer,) = await admit(trade.books, [Knock(trade.product_key, "dynamic1", secrets[0])], now=NOON)
    assert answer.admitted


async def test_a_registration_is_checked_against_the_products_secret(trade: Trade) -> None:
    """Wrong signatures and unknown products are told the same."""
    good = signed(trade, "dynamic1", "nonce-0001")
    unknown = Registration("unknownPK00", "dynamic1", "nonce-0001", good.signature)
    replayed = Registration(trade.product_key, "dynamic2", "nonce-0001", good.signature)
    answers = await check_registration(trade.books, [good, unknown, replayed], now=NOON)
    assert [answer.reason if answer else None for answer in answers] == [
        None,
        Reason.NOT_AUTHORIZED,
        Reason.NOT_AUTHORIZED,
    ]
    fresh = await reset_product_secret(trade.books, trade.product_key, by=trade.alice, now=NOON)
    assert await refusal_of(register(trade.books, good, now=NOON)) is Reason.NOT_AUTHORIZED
    assert await register(trade.books, signed(trade, "dynamic1", "nonce-0001", fresh), now=NOON)


async def test_a_registration_that_was_granted_is_never_granted_again(trade: Trade) -> None:
    """C5, C6: after a reset the device may register again, under a new nonce; it keeps its code."""
    await trade.credited(2, await trade.package())
    asked = signed(trade, "dynamic1", "nonce-0001")
    secret = await register(trade.books, asked, now=NOON)
    (before,) = await admit(trade.books, [Knock(trade.product_key, "dynamic1", secret)], now=NOON)
    between = await reset_device(trade.books, trade.product_key, "dynamic1", by=trade.alice, now=NOON)
    assert await refusal_of(register(trade.books, asked, now=NOON)) is Reason.NONCE_USED
    fresh = await register(trade.books, signed(trade, "dynamic1", "nonce-0002"), now=NOON)
    knocks = [Knock(trade.product_key, "dynamic1", shown) for shown in (secret, between, fresh)]
    old, reset, after = await admit(trade.books, knocks, now=NOON)
    assert (old.admitted, reset.admitted) == (False, False)
    assert after == before
    device = await devices.get(trade.books, trade.product_key, "dynamic1", now=NOON)
    assert device is not None
    assert device.codes_consumed == 1


async def test_with_dynamic_authentication_off_only_imported_devices_come_in(trade: Trade) -> None:
    """C5: a device that was neither imported nor seen before is refused; an imported one may register."""
    await change_product(trade.books, trade.product_key, dynamic_authentication=False, by=trade.alice, now=NOON)
    unknown = register(trade.books, signed(trade, "stranger", "nonce-0001"), now=NOON)
    assert await refusal_of(unknown) is Reason.DYNAMIC_AUTHENTICATION_OFF
    await trade.imported("imported")
    assert await register(trade.books, signed(trade, "imported", "nonce-0001"), now=NOON)


async def test_a_secret_that_came_with_the_import_is_not_registered_over(trade: Trade) -> None:
    """C5, static: nor is one that was issued, once its device has connected with it."""
    lines = [Imported("static01", "its-own-secret"), Imported("issued01")]
    trade.secrets |= dict(await import_devices(trade.books, trade.product_key, lines, by=trade.alice, now=NOON))
    await trade.credited(2, await trade.package())
    await trade.knocks("issued01")
    for device_key in ("static01", "issued01"):
        attempt = register(trade.books, signed(trade, device_key, "nonce-0001"), now=NOON)
        assert await refusal_of(attempt) is Reason.ALREADY_REGISTERED


async def test_a_product_has_one_virtual_device(trade: Trade) -> None:
    """C7: a second one takes the first one's place only when that is deleted."""
    await trade.imported("debug001", virtual=True)
    assert await refusal_of(trade.imported("debug002", virtual=True)) is Reason.VIRTUAL_DEVICE_EXISTS
    await delete_device(trade.books, trade.product_key, "debug001", by=trade.alice, now=NOON)
    await trade.imported("debug002", virtual=True)
    found = await devices.page(trade.books, trade.account_id, limit=10, now=NOON)
    assert [(device.device_key, device.virtual) for device in found] == [("debug002", True)]


async def test_acts_on_a_device_that_is_not_there_are_refused(trade: Trade) -> None:
    attempts = [
        reset_device(trade.books, trade.product_key, "nobody01", by=trade.alice, now=NOON),
        delete_device(trade.books, trade.product_key, "nobody01", by=trade.alice, now=NOON),
        list_no_renewal(trade.books, trade.product_key, ["nobody01"], renews=False, by=trade.alice, now=NOON),
    ]
    assert [await refusal_of(attempt) for attempt in attempts] == [Reason.NOT_FOUND] * 3
