"""Time hangs up, not licet: what happens to live devices at the instant at which their codes expire.

A term is a day at the least. So the first day is lived at one start of licet, and the end of it at another, whose clock
stands a little before.
"""

import asyncio
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from doors.broker.devices import Device
from doors.mqtt import LET_IN, Knocked, Names, codes, knock, storm
from doors.running import Api, Up, operator, stopped
from doors.shop import Shop, open_shop

# A session may end up to a second before its span or after it, as the server counts in whole seconds.
EARLY, LATE = -1.0, 2.0

# So much later than the others a second lot of devices comes, and expires.
LATER = 5.0


@dataclass
class Street:
    """Four products: no code left, codes that must not be taken, codes that last, and codes to renew with."""

    short: Shop
    switched_off: Shop
    lasting: Shop
    stocked: Shop

    @property
    def shops(self) -> list[Shop]:
        return [self.short, self.switched_off, self.lasting, self.stocked]

    def reached_at(self, said: dict[str, Any], api: Api) -> None:
        """licet has been started again."""
        for shop in self.shops:
            shop.said, shop.api = said, api


async def test_d1_d2_d3_at_expiry_the_server_hangs_up_while_licet_stands_still(up: Callable[..., Up]) -> None:
    one = up(processes="2")
    began = time.monotonic()
    said = one.start()
    # The next start and the knocks come before the end of the day; a slow machine needs longer for them.
    margin = timedelta(seconds=5 + 2.5 * (time.monotonic() - began))
    async with operator(said) as api:
        street = await _the_first_day(said, api)
        first_end = (await _ends_at(street.short))["dev0000"]
    one.end(signal.SIGTERM)
    said = one.start("--now", (first_end - margin).isoformat())
    async with operator(said) as api:
        street.reached_at(said, api)
        await _the_end_of_the_day(said, street)


async def _the_first_day(said: dict[str, Any], api: Api) -> Street:
    street = Street(
        short=await open_shop(said, api, codes=2, devices=2, term="P1D"),
        switched_off=await open_shop(said, api, codes=4, devices=2, term="P1D"),
        lasting=await open_shop(said, api, codes=2, devices=2, term="P2D"),
        stocked=await open_shop(said, api, codes=4, devices=2, term="P1D"),
    )
    await api.ask("PATCH", f"/v1/products/{street.switched_off.product_key}", json={"auto_renewal": False})
    async with storm(said, [names for shop in street.shops[:-1] for names in shop.everybody]) as knocked:
        assert codes(knocked) == {LET_IN: 6}
    await asyncio.sleep(LATER)
    async with storm(said, street.stocked.everybody) as knocked:
        assert codes(knocked) == {LET_IN: 2}
    return street


async def _the_end_of_the_day(said: dict[str, Any], street: Street) -> None:
    """Everybody connects, at no cost. licet is stopped over the first expiry, and runs at the second."""
    licets_now = await _licets_clock(street.lasting)
    ends_at = {shop.product_key: await _ends_at(shop) for shop in street.shops}
    async with storm(said, [names for shop in street.shops for names in shop.everybody]) as knocked:
        assert codes(knocked) == {LET_IN: 8}
        assert licets_now() < ends_at[street.short.product_key]["dev0000"], "this machine is too slow for the margin"
        with stopped(said["pids"]["licet"]):
            ending = [each for each in knocked if _of(each, street.short) or _of(each, street.switched_off)]
            seconds = await asyncio.gather(*(_hung_up(each, ends_at, licets_now) for each in ending))
            assert all(EARLY <= late <= LATE for late in seconds), seconds
            staying = [each for each in knocked if _of(each, street.lasting) or _of(each, street.stocked)]
            await asyncio.gather(*(_device(each).ping() for each in staying))
        renewing = [each for each in knocked if _of(each, street.stocked)]
        await asyncio.gather(*(_comes_back(said, each, ends_at, licets_now) for each in renewing))
        await _what_became_of_them(said, street, ends_at)
        await asyncio.gather(*(_device(each).ping() for each in knocked if _of(each, street.lasting)))


async def _hung_up(
    knocked: Knocked, ends_at: dict[str, dict[str, datetime]], licets_now: Callable[[], datetime]
) -> float:
    """How many seconds after the end of its span the server hangs up on a device."""
    await _device(knocked).hung_up(within=120)
    return (licets_now() - _end(knocked, ends_at)).total_seconds()


async def _comes_back(
    said: dict[str, Any],
    knocked: Knocked,
    ends_at: dict[str, dict[str, datetime]],
    licets_now: Callable[[], datetime],
) -> None:
    """A device that is hung up on knocks at once, and is let in with its next code."""
    assert EARLY <= await _hung_up(knocked, ends_at, licets_now) <= LATE
    while True:
        again = await knock(said, knocked.names)
        assert again.let_in
        in_its_next_span = licets_now() >= _end(knocked, ends_at)
        await _device(again).close()
        if in_its_next_span:
            return


async def _what_became_of_them(said: dict[str, Any], street: Street, ends_at: dict[str, dict[str, datetime]]) -> None:
    for device_key in street.stocked.secrets:
        first, second = await street.stocked.activations(device_key)
        assert (first["ends_at"], second["reason"]) == (second["starts_at"], "renewal")
    assert await street.stocked.codes() == {"total": 4, "available": 0, "consumed": 4}
    for shop, refusal in ((street.short, "no_code_available"), (street.switched_off, "renewal_off")):
        async with storm(said, shop.everybody) as knocked:
            assert not any(each.let_in for each in knocked)
        for device_key in shop.secrets:
            device = await shop.device(device_key)
            assert (device["state"], device["codes_consumed"]) == ("inactive", 1)
            assert (await shop.explain(device_key))["refusal"] == refusal
    await _a_code_is_bought(street.short, ends_at[street.short.product_key])


async def _a_code_is_bought(shop: Shop, ends_at: dict[str, datetime]) -> None:
    """Whoever knocks then is let in again; its new span starts at that knock."""
    await shop.credit(1, "order 2")
    async with storm(shop.said, shop.everybody) as knocked:
        (let_in,) = [each.names.device_key for each in knocked if each.let_in]
    _, second = await shop.activations(let_in)
    assert second["reason"] == "reactivation"
    assert datetime.fromisoformat(second["starts_at"]) > ends_at[let_in]
    assert await shop.codes() == {"total": 3, "available": 0, "consumed": 3}


async def _licets_clock(shop: Shop) -> Callable[[], datetime]:
    """What time it is for licet, as one of its answers says."""
    asked = time.monotonic()
    made = await shop.api.ask("POST", "/v1/products", 201, json={"account_id": shop.account_id, "name": "Clock"})
    answered = time.monotonic()
    at = datetime.fromisoformat(made["created_at"])
    return lambda: at + timedelta(seconds=time.monotonic() - (asked + answered) / 2)


async def _ends_at(shop: Shop) -> dict[str, datetime]:
    return {key: datetime.fromisoformat((await shop.device(key))["expires_at"]) for key in shop.secrets}


def _end(knocked: Knocked, ends_at: dict[str, dict[str, datetime]]) -> datetime:
    return ends_at[_product_key(knocked.names)][knocked.names.device_key]


def _of(knocked: Knocked, shop: Shop) -> bool:
    return _product_key(knocked.names) == shop.product_key


def _product_key(names: Names) -> str:
    return names.user.split("/")[0]


def _device(knocked: Knocked) -> Device:
    assert knocked.device is not None
    return knocked.device
