"""kill -9 of anything at any instant, under load: what was acknowledged is there, and nothing was done twice.

The seed is printed: KILLS_SEED=… repeats a run as far as such a thing can be repeated; KILLS=… makes it longer.
"""

import asyncio
import os
import random
import secrets
import signal
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import httpx
from doors.crowd import Crowd
from doors.mqtt import LET_IN, codes, storm
from doors.running import PATIENCE, Up, answers, greets, opens, operator
from doors.shop import Shop, open_shop

from licet.run.child import is_alive

KILLS = max(3, int(os.environ.get("KILLS", "7")))
SEED = int(os.environ.get("KILLS_SEED", secrets.randbelow(1_000_000)))
ENGINES = ("licet", "postgres", "nats")
# A long run leaves time to settle, or all that it tried would be the growing pauses of the supervisor.
PAUSES = (0.5, 5.0) if KILLS < 10 else (0.5, 20.0)

# Codes are bought all the while, so that devices come in for the first time all the while; and never enough of them.
DEVICES = 300
FIRST_CODES = 30
ORDER = 10
MOST_ORDERS = 21
ORDER_EVERY = KILLS * sum(PAUSES) / 2 / MOST_ORDERS


async def test_c1_what_was_acknowledged_survives_kills_of_everything(up: Callable[..., Up]) -> None:
    sys.stdout.write(f"seed {SEED}\n")
    one = up(processes="2")
    said = one.start()
    async with operator(said) as api:
        shop = await open_shop(said, api, codes=FIRST_CODES, devices=DEVICES)
        crowd, clerk, watch = Crowd(said, shop.everybody, SEED), Clerk(shop), Watch(shop)
        async with crowd.alive():
            working = [asyncio.create_task(each.work()) for each in (clerk, watch)]
            killed = await _kill(one, random.Random(SEED))
            for task in working:
                task.cancel()
            await asyncio.gather(*working, return_exceptions=True)
        await _all_answer(one)
        sys.stdout.write(f"killed {killed}, told {dict(crowd.told)}, credited {clerk.orders} orders\n")
        assert clerk.faults + watch.faults == []
        bought = FIRST_CODES + ORDER * await clerk.orders_in_the_books()
        assert bought < DEVICES
        await _everybody_knocks_again(shop, crowd, bought)
        await _books_are_right(shop, crowd, bought)


async def _kill(one: Up, chance: random.Random) -> list[str]:
    """Kill one after another, now and then two at once; each of the three engines at least once."""
    whom = [*ENGINES, *chance.choices(ENGINES, k=KILLS - len(ENGINES))]
    chance.shuffle(whom)
    for name in whom:
        await asyncio.sleep(chance.uniform(*PAUSES) if chance.random() < 0.8 else 0.0)
        os.kill(await _pid(one, name, chance), signal.SIGKILL)
    await asyncio.sleep(PAUSES[1])
    return whom


async def _pid(one: Up, name: str, chance: random.Random) -> int:
    """Somebody of that name who lives; right after a kill that takes a moment."""
    async with asyncio.timeout(PATIENCE):
        while True:
            found = one.running()["pids"][name]
            pid: int = chance.choice(found) if isinstance(found, list) else found
            if is_alive(pid):
                return pid
            await asyncio.sleep(0.05)


async def _all_answer(one: Up) -> None:
    async with asyncio.timeout(PATIENCE):
        while True:
            said = one.running()
            alive = all(map(is_alive, said["pids"]["licet"]))
            if alive and opens(said) and greets(said) and answers(said, "/readyz"):
                return
            await asyncio.sleep(0.2)


async def _everybody_knocks_again(shop: Shop, crowd: Crowd, bought: int) -> None:
    """Who was never answered simply knocks again, and gets in while codes last."""
    async with asyncio.timeout(PATIENCE):
        while True:
            async with storm(shop.said, shop.everybody) as knocked:
                crowd.let_in |= {each.names.device_key for each in knocked if each.let_in}
                if codes(knocked)[LET_IN] == bought:
                    return
            await asyncio.sleep(0.5)


async def _books_are_right(shop: Shop, crowd: Crowd, bought: int) -> None:
    spans = shop.spans()
    assert {device_key for device_key, _ in spans} == crowd.let_in
    assert len(spans) == len(crowd.let_in)
    assert [number for _, number in spans] == list(range(1, bought + 1))
    assert await shop.codes() == {"total": bought, "available": 0, "consumed": bought}
    explained = await asyncio.gather(*map(shop.explain, shop.secrets.keys() - crowd.let_in))
    assert {why["refusal"] for why in explained} == {"no_code_available"}
    told = await shop.api.all("/v1/events", account_id=shop.account_id, kind="devices_activated")
    assert sorted(number for event in told for number in event["facts"]["numbers"]) == list(range(1, bought + 1))


@dataclass
class Clerk:
    """Credits one order after the other; what was not acknowledged is sent again until it is."""

    shop: Shop
    orders: int = 0
    faults: list[str] = field(default_factory=list)

    async def work(self) -> None:
        while self.orders < MOST_ORDERS:
            await self._credit(self.orders + 1)
            self.orders += 1
            await asyncio.sleep(ORDER_EVERY)

    async def orders_in_the_books(self) -> int:
        """All that were acknowledged, and perhaps the one that was under way."""
        lots = await self.shop.api.all("/v1/lots", account_id=self.shop.account_id)
        numbers = sorted(int(lot["order_reference"].split()[1]) for lot in lots if lot["origin"] == "purchase")
        assert numbers in (list(range(1, self.orders + 2)), list(range(1, self.orders + 3)))
        return len(numbers) - 1

    async def _credit(self, number: int) -> None:
        asked = {
            "account_id": self.shop.account_id,
            "product_key": self.shop.product_key,
            "package_id": self.shop.package_id,
            "quantity": ORDER,
            "order_reference": f"order {number + 1}",
        }
        while True:
            answer = await _maybe(self.shop, "POST", "/v1/lots", json=asked, headers={"Idempotency-Key": f"{number}"})
            if answer is not None and answer.status_code == 201:
                return
            if answer is not None and answer.status_code != 503:
                self.faults.append(f"{answer.status_code} {answer.text}")
            await asyncio.sleep(0.1)


@dataclass
class Watch:
    """Looks at the counters all the while: they add up at any instant, and nothing is ever taken back."""

    shop: Shop
    faults: list[str] = field(default_factory=list)

    async def work(self) -> None:
        consumed = total = 0
        while True:
            answer = await _maybe(self.shop, "GET", f"/v1/products/{self.shop.product_key}")
            if answer is not None and answer.status_code == 200:
                now: dict[str, int] = answer.json()["codes"]
                right = now["total"] == now["available"] + now["consumed"] and now["available"] >= 0
                if not right or now["consumed"] < consumed or now["total"] < total:
                    self.faults.append(f"{now} after {consumed} of {total}")
                consumed, total = now["consumed"], now["total"]
            elif answer is not None and answer.status_code != 503:
                self.faults.append(f"{answer.status_code} {answer.text}")
            await asyncio.sleep(0.3)


async def _maybe(shop: Shop, method: str, path: str, **more: Any) -> httpx.Response | None:
    """The answer, or None when nobody was there to give one."""
    try:
        return await shop.api.client.request(method, path, **more)
    except httpx.TransportError:
        return None
