"""A day is counted again from the streams: it comes to what the books say, and where it does not, that is found."""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import psycopg
import pytest
from doors.broker.devices import Broker
from doors.broker.sold import sell
from doors.broker.test_reader import counted, reading, spoken
from doors.eventually import eventually
from nats.aio.client import Client

from licet.broker.heads import heads_from
from licet.broker.recount import differences, recount
from licet.broker.server import LICET
from licet.broker.streams import MESSAGES, UPLINK, make_streams
from licet.meter import claim, fold
from licet.postgres import usage
from licet.postgres.books import Books


async def differing(broker: Broker, server: Client, books: Books, on: date) -> list[dict[str, object]]:
    jetstream = server.jetstream()
    async with heads_from([broker.url], LICET, broker.password, jetstream) as heads:
        found = await usage.counted_on(books, on, None)
        return differences(found.used, await recount(on, found, jetstream, heads))


def today() -> date:
    """Of the account that sells."""
    return datetime.now(ZoneInfo("Europe/Berlin")).date()


async def test_a_day_comes_to_the_same_again(broker: Broker, server: Client, books: Books, database_url: str) -> None:
    sold = await sell(books, codes=5, devices=5)
    await make_streams(server.jetstream())
    before = today()
    await spoken(server, sold.product_key, 700)
    for subject in (f"up.{sold.product_key}.dev0001.t", f"$MQTT.msgs.down.{sold.product_key}.dev0002.t"):
        await server.jetstream().publish(subject, b"x" * 1025)
    async with reading(broker, books, most=100):
        await counted(server, books)
    for on in {before, today(), today() - timedelta(days=1), today() + timedelta(days=1)}:
        assert await differing(broker, server, books, on) == []
    await fold(books, now=datetime.now(UTC))
    with psycopg.connect(database_url, autocommit=True) as tampering:
        tampering.execute("update message_counts set up = up - 1 where device_id = (select min(id) from devices)")
    found = [each for on in {before, today()} for each in await differing(broker, server, books, on)]
    assert {each["device_key"] for each in found} == {"dev0000"}
    assert {each["difference"] for each in found} == {1}


@pytest.mark.parametrize("stream", [MESSAGES, UPLINK])
async def test_what_is_not_counted_yet_is_no_difference(
    broker: Broker, server: Client, books: Books, stream: str
) -> None:
    sold = await sell(books, codes=5, devices=5)
    await make_streams(server.jetstream())
    await spoken(server, sold.product_key, 300)
    for _ in range(30):
        await server.jetstream().publish(f"up.{sold.product_key}.dev0000.t", b"x")
    last, now = (await server.jetstream().stream_info(stream)).state.last_seq, datetime.now(UTC)
    assert await claim(books, stream, last_sequence=last, most=last // 2, claimed_by="who still reads", now=now)
    async with reading(broker, books, most=20):
        await eventually(lambda: _claims(books, stream), lambda left: left == (last, 1), within=30)
        assert await differing(broker, server, books, today()) == []


async def _claims(books: Books, stream: str) -> tuple[int, int]:
    """How far it is claimed, and how many claims are open."""
    found = await usage.counted_on(books, today(), None)
    return found.claimed_to.get(stream, 0), sum(claim.stream == stream for claim in found.uncounted)
