"""What has happened is told to the outside, at least once, in order, and under the same id each time."""

import asyncio
import json
from datetime import UTC, datetime
from typing import Any

import pytest
from doors.broker.devices import NOW, Broker, Dial
from doors.broker.sold import Clock, sell
from nats.aio.client import Client
from nats.js.client import JetStreamContext

from licet.accounts import PLATFORM
from licet.broker.relay import Relay, cloud_events
from licet.broker.servers import Servers
from licet.broker.streams import make_streams
from licet.enrol import delete_device
from licet.events import Event, Happening, Kind
from licet.postgres import events
from licet.postgres.books import Books


@pytest.fixture
async def jetstream(server: Client) -> JetStreamContext:
    jetstream = server.jetstream()
    await make_streams(jetstream)
    return jetstream


@pytest.fixture
def servers(system: Client) -> Servers:
    return Servers(system)


async def told(jetstream: JetStreamContext) -> list[tuple[str, dict[str, Any]]]:
    state = (await jetstream.stream_info("EVENTS")).state
    stored = [await jetstream.get_msg("EVENTS", n) for n in range(state.first_seq, state.last_seq + 1)]
    return [(str(message.subject), json.loads(message.data or b"")) for message in stored if state.messages]


async def happen(books: Books, *happenings: Happening) -> None:
    async with books.transaction() as bound:
        await events.tell(bound, happenings, now=NOW)


async def test_an_event_is_told_as_a_cloud_event_and_once(
    books: Books, servers: Servers, jetstream: JetStreamContext
) -> None:
    await happen(
        books,
        Happening(Kind.PRODUCT_CREATED, "acc_1", "ThermostatX", {"name": "Thermostat"}),
        Happening(Kind.DEVICES_IMPORTED, "acc_1", "ThermostatX", {"device_keys": ["dev1", "dev2"]}),
    )
    relay = Relay(books, Clock(), source="/licet/local")
    await relay.tell_some(servers, jetstream)
    await relay.tell_some(servers, jetstream)
    created, imported = await told(jetstream)
    assert created == (
        "licet.events.product_created",
        {
            "specversion": "1.0",
            "id": created[1]["id"],
            "source": "/licet/local",
            "type": "licet.product_created",
            "time": "2026-11-01T12:00:00Z",
            "datacontenttype": "application/json",
            "data": {"account_id": "acc_1", "product_key": "ThermostatX", "name": "Thermostat"},
        },
    )
    assert imported[0] == "licet.events.devices_imported"
    assert int(imported[1]["id"]) > int(created[1]["id"])
    async with books.transaction() as bound:
        assert await events.untold(bound, limit=10) == []


async def test_what_was_told_but_not_marked_is_told_again_under_the_same_id_and_dropped_by_the_stream(
    books: Books, servers: Servers, jetstream: JetStreamContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    """licet dies between the two: the next one tells it again."""
    await happen(books, Happening(Kind.PRODUCT_CREATED, "acc_1", "ThermostatX", {}))

    async def die(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(events, "mark_told", die)
    with pytest.raises(KeyboardInterrupt):
        await Relay(books, Clock()).tell_some(servers, jetstream)
    monkeypatch.undo()
    assert len(await told(jetstream)) == 1
    await Relay(books, Clock()).tell_some(servers, jetstream)
    assert len(await told(jetstream)) == 1


async def test_two_relays_tell_everything_once_between_them(
    books: Books, servers: Servers, jetstream: JetStreamContext
) -> None:
    await happen(books, *(Happening(Kind.PRODUCT_CHANGED, "acc_1", "ThermostatX", {"n": n}) for n in range(1200)))

    async def tell_all(relay: Relay) -> None:
        while await relay.tell_some(servers, jetstream):
            pass

    await asyncio.gather(tell_all(Relay(books, Clock())), tell_all(Relay(books, Clock())))
    await tell_all(Relay(books, Clock()))
    heard = await told(jetstream)
    assert sorted(event["data"]["n"] for _, event in heard) == list(range(1200))


async def test_a_revoking_event_is_marked_only_after_a_second_look(
    books: Books, servers: Servers, jetstream: JetStreamContext, broker: Broker, dial: Dial, open_gate: object
) -> None:
    """Who was admitted an instant before the books changed may be seated an instant after the first look."""
    sold = await sell(books, codes=1, devices=1)
    await delete_device(books, sold.product_key, "dev0000", by=PLATFORM, now=NOW)
    relay = Relay(books, Clock(), settle_seconds=0)
    await relay.tell_some(servers, jetstream)
    async with books.transaction() as bound:
        assert [event.kind for event in await events.untold(bound, limit=10)] == [Kind.DEVICE_DELETED]
    late, code = await sold.knock(dial, broker, "dev0000")
    assert code == 0  # the gate of this test knows no better
    await relay.tell_some(servers, jetstream)
    await late.hung_up(within=2)
    async with books.transaction() as bound:
        assert await events.untold(bound, limit=10) == []
    kinds = [event["type"] for _, event in await told(jetstream)]
    assert kinds.count("licet.device_deleted") == 1


async def test_an_event_that_is_too_large_is_told_in_parts(
    books: Books, servers: Servers, jetstream: JetStreamContext
) -> None:
    device_keys = [f"device{n:026}" for n in range(10_000)]
    await happen(books, Happening(Kind.DEVICES_IMPORTED, "acc_1", "ThermostatX", {"device_keys": device_keys}))
    await Relay(books, Clock()).tell_some(servers, jetstream)
    parts = [event for _, event in await told(jetstream)]
    assert len(parts) > 5
    assert [key for part in parts for key in part["data"]["device_keys"]] == device_keys
    whole_id = parts[0]["id"].removesuffix("-1")
    assert [part["id"] for part in parts] == [f"{whole_id}-{n + 1}" for n in range(len(parts))]
    assert {part["parts"] for part in parts} == {len(parts)}


def test_parts_keep_what_belongs_together() -> None:
    facts = {"reason": "first", "device_keys": ["a" * 32] * 1000, "numbers": list(range(1000))}
    event = Event(7, datetime(2026, 1, 1, tzinfo=UTC), Kind.DEVICES_ACTIVATED, "acc_1", "ThermostatX", facts)
    parts = list(cloud_events(event, "/licet", 4096))
    assert all(len(json.dumps(part)) <= 4096 - 200 for part in parts)
    assert all(len(part["data"]["device_keys"]) == len(part["data"]["numbers"]) for part in parts)
    assert [n for part in parts for n in part["data"]["numbers"]] == list(range(1000))
    assert {part["data"]["reason"] for part in parts} == {"first"}


async def test_a_stream_that_is_there_already_is_left_as_it_is(server: Client, jetstream: JetStreamContext) -> None:
    found = (await jetstream.stream_info("EVENTS")).config
    found.max_age = 3600.0
    await jetstream.update_stream(found)
    await make_streams(jetstream)
    assert (await jetstream.stream_info("EVENTS")).config.max_age == 3600.0
