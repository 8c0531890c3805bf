"""The gate fails closed: while licet does not answer, nobody comes in, and nobody is the poorer for it."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from doors.broker.devices import until
from doors.mqtt import LET_IN, REFUSED, Names, codes, knock, storm
from doors.running import PATIENCE, Up, answers, family, knocks_answered, operator, stopped
from doors.shop import Shop, open_shop

from licet.run.child import is_alive


@asynccontextmanager
async def half_known(one: Up) -> AsyncIterator[Shop]:
    """A shop with codes for all its devices; half of them have been here before."""
    said = one.start()
    async with operator(said) as api:
        shop = await open_shop(said, api, codes=20, devices=20)
        async with storm(said, shop.everybody[::2]) as knocked:
            assert codes(knocked) == {LET_IN: 10}
        yield shop


async def test_while_licet_is_stopped_nobody_is_let_in(up: Callable[..., Up]) -> None:
    one = up(processes="2")
    async with half_known(one) as shop:
        with stopped(one.running()["pids"]["licet"]):
            async with storm(shop.said, shop.everybody) as knocked:
                assert set(codes(knocked)) <= {REFUSED, None}
        # What was asked meanwhile is heard now, but nobody waits for the answer any more: it consumes nothing.
        await until(lambda: sum(each["too_late"] for each in knocks_answered(shop.said)) == 20, within=PATIENCE)
        assert len(shop.spans()) == 10
        await _everybody_comes_in(shop)


async def test_while_licet_is_killed_whenever_it_starts_nobody_is_let_in(up: Callable[..., Up]) -> None:
    one = up(processes="2")
    async with half_known(one) as shop:
        down = asyncio.create_task(_keep_down(one))
        await until(lambda: not any(map(is_alive, one.running()["pids"]["licet"])))
        for _ in range(2):
            async with storm(shop.said, shop.everybody) as knocked:
                assert set(codes(knocked)) <= {REFUSED, None}
        assert len(shop.spans()) == 10
        down.cancel()
        await asyncio.gather(down, return_exceptions=True)
        await _everybody_comes_in(shop)


async def test_while_the_books_hang_nobody_is_let_in(up: Callable[..., Up]) -> None:
    """A database that is there and does not answer is worse than one that is gone: nothing tells anybody so."""
    one = up(processes="2")
    async with half_known(one) as shop:
        with stopped(family(one.running()["pids"]["postgres"])):
            async with storm(shop.said, shop.everybody) as knocked:
                assert set(codes(knocked)) <= {REFUSED, None}
        await _everybody_comes_in(shop)


async def _keep_down(one: Up) -> None:
    while True:
        for pid in one.running()["pids"]["licet"]:
            if is_alive(pid):
                os.kill(pid, signal.SIGKILL)
        await asyncio.sleep(0.02)


async def _everybody_comes_in(shop: Shop) -> None:
    """Who was refused knocks again; it has cost nobody a second code."""
    await until(lambda: answers(shop.said, "/readyz"), within=PATIENCE)
    async with asyncio.timeout(PATIENCE):
        for names in shop.everybody:
            await _comes_in(shop, names)
    spans = shop.spans()
    assert [number for _, number in spans] == list(range(1, 21))
    assert {device_key for device_key, _ in spans} == set(shop.secrets)


async def _comes_in(shop: Shop, names: Names) -> None:
    while True:
        knocked = await knock(shop.said, names)
        if knocked.device is not None:
            await knocked.device.close()
            return
        await asyncio.sleep(0.1)
