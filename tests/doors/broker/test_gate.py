"""Nobody comes in unless licet says so."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import suppress
from datetime import datetime, timedelta

import pytest
from doors.broker.devices import NOW, SEED, Broker, Dial, HungUpError, connected, until

from licet.activations import Answer
from licet.broker.gate import Gate, Gatekeeping
from licet.broker.server import LICET
from licet.broker.tokens import Signer, new_seed
from licet.products import Knock, Registration
from licet.refusals import Reason, Refused

PK = "ThermostatX"
SECRET = "a-secret-of-its-own"

REFUSED = 5


class Said:
    """What the gate asked, and what it is to be told: the verb's place is taken, the books are not needed."""

    def __init__(self) -> None:
        self.batches: list[list[Knock]] = []
        self.answer: Callable[[Knock], Answer] = lambda _: Answer(until=NOW + timedelta(days=365))
        self.hold = asyncio.Event()
        self.hold.set()
        self.away = False

    async def admit(self, knocks: Sequence[Knock], /, *, now: datetime) -> list[Answer]:
        assert now == NOW
        self.batches.append(list(knocks))
        await self.hold.wait()
        if self.away:
            raise Refused(Reason.BOOKS_AWAY)
        return [self.answer(knock) for knock in knocks]

    async def check(self, asks: Sequence[Registration], /, *, now: datetime) -> list[Refused | None]:
        assert now == NOW
        return [None if ask.is_signed_with("s") else Refused(Reason.NOT_AUTHORIZED) for ask in asks]

    @property
    def knocks(self) -> list[Knock]:
        return [knock for batch in self.batches for knock in batch]

    def gate(self, **keeping: float) -> Gate:
        return Gate(Signer(SEED), self.admit, self.check, lambda: NOW, Gatekeeping(**keeping))  # type: ignore[arg-type]


@pytest.fixture
def said() -> Said:
    return Said()


@pytest.fixture
async def gate(broker: Broker, said: Said) -> AsyncIterator[Gate]:
    async with connected(broker, LICET) as server:
        gate = said.gate()
        await gate.open(server)
        yield gate
        await gate.close()


async def knock(dial: Dial, broker: Broker, device_key: str = "dev1", password: str = SECRET) -> int:
    device = await dial(broker)
    return await device.connect(f"{PK}-{device_key}", f"{PK}/{device_key}", password)


async def test_a_device_is_let_in_when_licet_says_yes(gate: Gate, said: Said, broker: Broker, dial: Dial) -> None:
    assert await knock(dial, broker) == 0
    assert said.knocks == [Knock(PK, "dev1", SECRET)]
    assert gate.tally == {"admitted": 1}


async def test_a_device_is_refused_when_licet_says_no(gate: Gate, said: Said, broker: Broker, dial: Dial) -> None:
    said.answer = lambda _: Answer(refusal=Refused(Reason.NO_CODE_AVAILABLE))
    assert await knock(dial, broker) == REFUSED
    assert "no_code_available" in broker.engine.log.read_text()
    assert gate.tally == {"no_code_available": 1}


async def test_a_device_without_end_stays(gate: Gate, said: Said, broker: Broker, dial: Dial) -> None:
    said.answer = lambda _: Answer(until=None)
    device = await dial(broker)
    assert await device.connect(f"{PK}-dev1", f"{PK}/dev1", SECRET) == 0
    await device.ping()


async def test_the_gate_fails_closed_when_nobody_answers(impatient_broker: Broker, dial: Dial) -> None:
    assert await knock(dial, impatient_broker) == REFUSED


async def test_the_gate_fails_closed_when_the_answer_is_not_signed_by_licet(broker: Broker, dial: Dial) -> None:
    said = Said()
    async with connected(broker, LICET) as server:
        gate = Gate(Signer(new_seed()), said.admit, said.check, lambda: NOW)
        await gate.open(server)
        assert await knock(dial, broker) == REFUSED
        assert len(said.knocks) == 1
        await gate.close()


async def test_books_that_are_away_refuse_and_the_gate_opens_again(
    gate: Gate, said: Said, broker: Broker, dial: Dial, caplog: pytest.LogCaptureFixture
) -> None:
    said.away = True
    assert [await knock(dial, broker, f"dev{n}") for n in range(3)] == [REFUSED] * 3
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    said.away = False
    assert await knock(dial, broker) == 0
    assert len(caplog.records) == 2


async def test_a_fault_refuses_its_batch_and_no_other(
    gate: Gate, said: Said, broker: Broker, dial: Dial, caplog: pytest.LogCaptureFixture
) -> None:
    def stumble(_: Knock) -> Answer:
        raise ZeroDivisionError

    said.answer = stumble
    assert await knock(dial, broker) == REFUSED
    assert "ZeroDivisionError" in caplog.text
    said.answer = lambda _: Answer(until=None)
    assert await knock(dial, broker) == 0


async def test_what_is_waiting_is_one_batch(said: Said, broker: Broker, dial: Dial) -> None:
    """500 devices knock while the only lane is under way: the books are asked once about all of them."""
    async with connected(broker, LICET) as server:
        gate = said.gate(lanes=1, batch=500)
        await gate.open(server)
        said.hold.clear()
        first = asyncio.create_task(knock(dial, broker, "first"))
        await until(lambda: bool(said.batches))
        knocks = [asyncio.create_task(knock(dial, broker, f"dev{n}")) for n in range(500)]
        await until(lambda: gate.waiting == 500)
        said.hold.set()
        assert await first == 0
        assert await asyncio.gather(*knocks) == [0] * 500
        assert [len(batch) for batch in said.batches] == [1, 500]
        await gate.close()


async def test_a_knock_that_waited_too_long_is_dropped(said: Said, impatient_broker: Broker, dial: Dial) -> None:
    """Who has been refused by the server must not consume a code any more."""
    async with connected(impatient_broker, LICET) as server:
        gate = said.gate(lanes=1, batch=1, patience_seconds=1.0)
        await gate.open(server)
        said.hold.clear()
        refused = await asyncio.gather(*(knock(dial, impatient_broker, f"dev{n}") for n in range(5)))
        assert refused == [REFUSED] * 5
        said.hold.set()
        await gate.close()
        # The first was under way; by the time it was given up, so were those behind it.
        assert 1 <= len(said.knocks) <= 2
        assert gate.tally["too_late"] == 5 - len(said.knocks)


async def test_two_gates_share_the_knocks_and_one_goes_on_alone(said: Said, broker: Broker, dial: Dial) -> None:
    other = Said()
    async with connected(broker, LICET) as server, connected(broker, LICET) as other_server:
        gate, other_gate = said.gate(), other.gate()
        await gate.open(server)
        await other_gate.open(other_server)
        assert await asyncio.gather(*(knock(dial, broker, f"dev{n}") for n in range(100))) == [0] * 100
        assert len(said.knocks) > 10
        assert len(other.knocks) > 10
        assert len(said.knocks) + len(other.knocks) == 100
        await other_gate.close()
        assert await asyncio.gather(*(knock(dial, broker, f"dev{n}") for n in range(100))) == [0] * 100
        assert len(said.knocks) + len(other.knocks) == 200
        await gate.close()


async def test_closing_answers_what_was_heard(said: Said, broker: Broker, dial: Dial) -> None:
    async with connected(broker, LICET) as server:
        gate = said.gate(lanes=1, batch=1)
        await gate.open(server)
        said.hold.clear()
        knocks = [asyncio.create_task(knock(dial, broker, f"dev{n}")) for n in range(3)]
        await until(lambda: gate.waiting == 2)
        closing = asyncio.create_task(gate.close())
        await asyncio.sleep(0.1)
        said.hold.set()
        await closing
        assert await asyncio.gather(*knocks) == [0] * 3


A_GATE_OF_ITS_OWN = """
    import asyncio, sys
    from datetime import UTC, datetime, timedelta
    import nats
    from licet.activations import Answer
    from licet.broker.gate import Gate
    from licet.broker.tokens import Signer

    async def admit(knocks, /, *, now):
        return [Answer(until=now + timedelta(seconds=2)) for _ in knocks]

    async def main():
        url, password, seed = sys.argv[1:]
        # licet's clock is two years ahead: what counts is what remains of the span.
        clock = lambda: datetime.now(UTC) + timedelta(days=730)
        server = await nats.connect(url, user="licet", password=password)
        await Gate(Signer(seed), admit, admit, clock).open(server)
        print("open", flush=True)
        await asyncio.Event().wait()

    asyncio.run(main())
"""


async def test_the_server_hangs_up_at_the_end_of_the_span_with_licet_away(broker: Broker, dial: Dial) -> None:
    """D2: the session ends with the span, and nothing of licet's need be running for that."""
    licet = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        textwrap.dedent(A_GATE_OF_ITS_OWN),
        broker.url,
        broker.password,
        broker.seed,
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert licet.stdout is not None
    assert await licet.stdout.readline() == b"open\n"
    device = await dial(broker)
    assert await device.connect(f"{PK}-dev1", f"{PK}/dev1", SECRET) == 0
    let_in_at = time.monotonic()
    licet.send_signal(signal.SIGKILL)
    await licet.wait()
    await device.ping()
    await device.hung_up(within=6)
    assert 1.5 <= time.monotonic() - let_in_at <= 2 + 2


@pytest.mark.parametrize(
    ("client_id", "user", "password"),
    [
        (f"{PK}-dev1", f"{PK}/dev2", SECRET),  # another device's client id
        (f"{PK}-dev1", PK, SECRET),
        (f"{PK}-dev1", f"{PK}/dev1/", SECRET),
        (f"{PK}-dev1", f"{PK}/dev1/short", SECRET),
        (f"{PK}-dev1", f"/{PK}/dev1", SECRET),
        (f"{PK}-dev1", f"{PK}/dev1 ", SECRET),
        (f"{PK}-dev1", f"{PK}/dev1\n", SECRET),
        (f"{PK}-dev1", f"{PK}/d.v1", SECRET),
        (f"{PK}-dev1", f"{PK}/>", SECRET),
        (f"{PK}-dev1", f"{PK}/*", SECRET),
        (f"{PK}-dev", f"{PK}/dev", SECRET),  # DK of 3
        (f"{PK}-{'d' * 33}", f"{PK}/{'d' * 33}", SECRET),
        (f"{PK}1-dev1", f"{PK}1/dev1", SECRET),  # PK of 12
        (f"{PK}-dév1", f"{PK}/dév1", SECRET),
        (f"{PK}-dev\uff11", f"{PK}/dev\uff11", SECRET),  # a digit, but not one of ours
        (f"{PK}-dev1", f"{PK}/dev1", ""),
        (f"{PK}-dev1", f"{PK}/dev1", "short"),
        (f"{PK}-dev1", f"{PK}/dev1", "x" * 129),
        (f"{PK}-dev1", f"{PK}/dev1", "a secret with spaces"),
        (f"{PK}-dev1", f"{PK}/dev1", None),
        (f"{PK}-dev1", None, None),
        ("someone", "licet", SECRET),
        ("someone", "licet-sys", SECRET),
        ("", f"{PK}/dev1", SECRET),
        (f"{PK}-dev1", "u" * 65_000, SECRET),
        (f"{PK}-dev1", "\x01" * 20_000, SECRET),
        (f"{PK}-dev1", f"{PK}/dev1", "p" * 60_000),
        ("c" * 60_000, f"{PK}/dev1", SECRET),
        (f"register-{PK}-dev1", f"{PK}/dev1/noncenonce", SECRET),
        (f"register-{PK}-dev2", f"{PK}/dev1/noncenonce", "0" * 64),
        (f"{PK}-dev1", f"{PK}/dev1/noncenonce", "0" * 64),
    ],
)
async def test_what_is_no_knock_is_refused_without_the_books(
    gate: Gate, said: Said, broker: Broker, dial: Dial, client_id: str, user: str | None, password: str | None
) -> None:
    device = await dial(broker)
    began = time.monotonic()
    with suppress(HungUpError):
        assert await device.connect(client_id, user, password) in (2, 4, REFUSED)
    await device.hung_up(within=2)
    assert time.monotonic() - began < 2  # at once, not when the server's patience ends
    assert said.batches == []
    assert await knock(dial, broker) == 0  # and the gate goes on


@pytest.mark.parametrize(
    "probe",
    [
        b"GET / HTTP/1.1\r\nHost: example.org\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(200),  # TLS
        b"\x10\x10\x00\x04MQTT\x05\x02\x00\x3c\x00\x00\x03abc",  # MQTT 5
        b"\x10\x0f\x00\x06MQIsdp\x03\x02\x00\x3c\x00\x01a",  # MQTT 3.1
        b"AMQP\x00\x00\x09\x01",
        b"CONNECT {}\r\nPING\r\n",
        b"\xe0\x00",  # DISCONNECT before anything
        b"\x30\x05\x00\x01aXY",  # PUBLISH before CONNECT
        b"\x10\xff\xff\xff\x7f" + bytes(1000),  # a packet of 256 MiB
        b"\x10\x14\x00\x04MQTT\x04\x82\x00\x3c\x00\x04\xff\xfe\xfd\xfc\x00\x02\xc3\x28",  # not UTF-8
        b"\x10\x12\x00\x04MQTT\x04\x82\x00\x3c\x00\x02ab\x00\x02a\x00",  # NUL in the user name
        bytes(64),
    ],
)
async def test_probes_of_other_protocols_are_hung_up_on(
    gate: Gate, said: Said, broker: Broker, dial: Dial, probe: bytes
) -> None:
    device = await dial(broker)
    await device.send_raw(probe)
    await device.hung_up(within=8)
    assert said.batches == []
    assert await knock(dial, broker) == 0


async def test_a_nats_client_with_a_devices_secret_is_refused(gate: Gate, said: Said, broker: Broker) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", broker.engine.listen.nats_port)
    shown = {"user": f"{PK}/dev1", "pass": SECRET, "verbose": False, "pedantic": False}
    writer.write(b"CONNECT " + json.dumps(shown).encode() + b"\r\nPING\r\n")
    assert b"Authorization Violation" in await reader.read()
    writer.close()
    assert said.batches == []


@pytest.mark.parametrize("user", ["licet", "licet-sys"])
async def test_licets_own_users_cannot_come_in_by_mqtt(gate: Gate, broker: Broker, dial: Dial, user: str) -> None:
    assert await (await dial(broker)).connect("someone", user, broker.password) == REFUSED
