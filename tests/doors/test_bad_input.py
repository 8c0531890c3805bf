"""Whatever is sent to the devices' door: a clear no or a hang-up, nothing written, nobody else disturbed."""

import asyncio
import json
import random
from contextlib import suppress
from dataclasses import replace
from typing import Any
from urllib.parse import urlsplit

import pytest
from doors.books_seen import contents
from doors.broker.devices import HungUpError, length, text
from doors.mqtt import LET_IN, REFUSED, Names, codes, knock, storm
from doors.running import Api, Up
from doors.shop import Shop, open_shop

NUL = "\0"
# The largest that MQTT can say, and one that the server still reads.
TOO_LARGE, LARGE = "a" * 65_535, "a" * 60_000
SEED = 20_261_101


@pytest.fixture
async def shop(said: dict[str, Any], api: Api) -> Shop:
    return await open_shop(said, api, codes=5, devices=2)


def wrong_names(shop: Shop, other: Shop) -> dict[str, Names]:
    """The right names of a device, each time with one thing wrong."""
    right = shop.names("dev0000")
    pk, secret = shop.product_key, right.secret
    users = {
        "unknown product": ("Zz9Zz9Zz9Zz", "dev0000"),
        "unknown device": (pk, "dev9999"),
        "another product's device": (other.product_key, "dev0000"),
        "device key too short": (pk, "dev"),
        "device key too long": (pk, "d" * 33),
        "device key with a dash": (pk, "dev-0000"),
        "device key in another case": (pk, "DEV0000"),
        "no device key": (pk, ""),
        "device key with letters of elsewhere": (pk, "d\u00e9v0000"),
        "device key that quotes": (pk, "' or '1'='1"),
    }
    secrets = {
        "no secret": "",
        "part of the secret": secret[:-1],
        "more than the secret": secret + "a",
        "the secret twice": secret * 2,
        "the secret of another device": shop.secrets["dev0001"],
        "the product's secret": shop.product_secret,
        "a secret with an end": secret + NUL,
        "a large secret": LARGE,
        "a secret too large": TOO_LARGE,
    }
    whole = {
        "no names": Names("dev0000", "", "", ""),
        "a large user name": replace(right, user=LARGE),
        "a user name too large": replace(right, user=TOO_LARGE),
        "a large client id": replace(right, client_id=LARGE),
        "a client id too large": replace(right, client_id=TOO_LARGE),
        "one more level": replace(right, user=f"{right.user}/1"),
        "client id as user name": replace(right, user=right.client_id),
        "user name with an end": replace(right, user=right.user + NUL),
        "licet's own name": Names("dev0000", "licet", "licet", "licet"),
        "licet's own name at the server": Names("dev0000", "licet-sys", "licet-sys", secret),
        "somebody else's client id": replace(right, client_id=f"{pk}-dev0001"),
        "no client id": replace(right, client_id=""),
        "a client id for all": replace(right, client_id=f"{pk}-*"),
        "a client id for everything": replace(right, client_id=">"),
        "a client id of levels": replace(right, client_id=f"{pk}.dev0000"),
        "a bootstrap session without its proof": replace(
            right, client_id=f"register-{right.client_id}", user=f"{right.user}/nonce001"
        ),
    }
    return (
        {what: Names.of(*names, secret) for what, names in users.items()}
        | {what: replace(right, secret=wrong) for what, wrong in secrets.items()}
        | whole
    )


# What the server itself says, by MQTT's own rules and the largest message, without asking licet. None: it hangs up.
SAID_BY_THE_SERVER = {
    "no names": 4,
    "user name with an end": 4,
    "device key that quotes": 2,
    "a client id for all": 2,
    "a client id for everything": 2,
    "a client id of levels": 2,
    "a secret too large": None,
    "a user name too large": None,
    "a client id too large": None,
}


async def test_who_shows_something_wrong_is_refused_and_nothing_is_written(
    said: dict[str, Any], api: Api, shop: Shop, shared_up: Up
) -> None:
    other = await open_shop(said, api, codes=1)
    wrong = wrong_names(shop, other)
    before = contents(said)
    async with storm(said, wrong.values()) as knocked:
        told = {what: each.code for what, each in zip(wrong, knocked, strict=True)}
    assert told == dict.fromkeys(wrong, REFUSED) | SAID_BY_THE_SERVER
    assert contents(said) == before
    async with storm(said, shop.everybody) as knocked:
        assert codes(knocked) == {LET_IN: 2}
    _logs_are_calm(shared_up, shop)


async def test_a_stranger_cannot_tell_what_exists(said: dict[str, Any], shop: Shop) -> None:
    """Unknown product, unknown device and wrong secret are one answer, to the last byte."""
    right = shop.names("dev0000")
    strangers = [
        Names.of("Zz9Zz9Zz9Zz", "dev0000", right.secret),
        Names.of(shop.product_key, "dev9999", right.secret),
        replace(right, secret="wrong-secret-of-a-device"),
    ]
    assert {await _last_words(said, names) for names in strangers} == {b"\x20\x02\x00\x05"}


async def test_the_client_id_of_another_device_evicts_nobody(said: dict[str, Any], shop: Shop) -> None:
    thief, victim = shop.names("dev0000"), shop.names("dev0001")
    async with storm(said, [victim]) as (seated,):
        device = seated.device
        assert device is not None
        assert await device.subscribe(f"down/{shop.product_key}/dev0001/#", 1) == 1
        for names in (
            replace(thief, client_id=victim.client_id),
            replace(victim, secret=thief.secret),
            replace(victim, user=thief.user),
        ):
            for clean in (True, False):
                assert (await knock(said, names, clean=clean)).code == REFUSED
        await device.ping()


async def test_a_device_that_was_let_in_stays_under_its_own_name(said: dict[str, Any], shop: Shop) -> None:
    pk = shop.product_key
    own, other = f"{pk}/dev0000", f"{pk}/dev0001"
    async with storm(said, shop.everybody) as (attacker, victim):
        assert attacker.device is not None
        assert victim.device is not None
        assert await victim.device.subscribe(f"down/{other}/#") == 0
        for topic_filter in (
            *("#", "+/#", "$SYS/#", "$JS/#", "$MQTT/#", "_INBOX/#", "licet/#", "register/#", "up/#", "down/#"),
            *(
                f"down/{other}/#",
                f"up/{other}/#",
                f"down/{pk}/+/#",
                f"down/{pk}/#",
                f"up/{own}/#",
                "$SYS/REQ/USER/AUTH",
            ),
        ):
            assert await attacker.device.subscribe(topic_filter, 1) == 0x80, topic_filter
        for topic in (f"down/{other}/x", f"up/{other}/x", "$SYS/REQ/USER/AUTH", "$JS/API/INFO", "licet/events/x"):
            for qos, retain in ((0, False), (1, False), (1, True)):
                await attacker.device.publish(topic, b"false", qos, retain=retain)
        await attacker.device.publish(f"down/{own}/x", b"false", 1)
        await attacker.device.ping()
        with pytest.raises(TimeoutError):
            await victim.device.message(within=0.5)


PROBES = {
    "HTTP": b"GET / HTTP/1.1\r\nHost: licet\r\nConnection: keep-alive\r\n\r\n",
    "TLS": bytes.fromhex("16030100a5010000a10303") + bytes(160),
    "SSH": b"SSH-2.0-OpenSSH_9.2\r\n",
    "AMQP": b"AMQP\x00\x00\x09\x01",
    "Redis": b"*1\r\n$4\r\nPING\r\n",
    "PostgreSQL": bytes.fromhex("0000000804d2162f"),
    "NATS": b'CONNECT {"verbose":false,"user":"licet"}\r\nPING\r\n',
    "STOMP": b"CONNECT\naccept-version:1.2\n\n\x00",
    "nothing but zeros": bytes(4096),
    "an endless length": b"\x10\xff\xff\xff\xff\xff\xff",
    "a promise of 256 MB": b"\x10\xff\xff\xff\x7f\x00\x04MQTT\x04\x02\x00\x3c",
    "a message before the names": b"\x30\x0a\x00\x04up/xhello",
    "a wish to listen before the names": b"\x82\x09\x00\x01\x00\x04up/#\x00",
    "a name cut short": b"\x10\x20\x00\x04MQTT\x04\xc2\x00\x3c\xff\xff",
    "another protocol's name": b"\x10\x0e\x00\x06MQIsdp\x03\x02\x00\x3c\x00\x00",
    "MQTT 5": b"\x10\x10\x00\x04MQTT\x05\x02\x00\x3c\x00\x00\x03abc",
    "reserved flags": b"\x10\x0c\x00\x04MQTT\x04\x03\x00\x3c\x00\x00",
    "a will of no quality": b"\x10\x0c\x00\x04MQTT\x04\x1e\x00\x3c\x00\x00",
}


@pytest.mark.parametrize("what", PROBES)
async def test_who_speaks_something_else_is_hung_up_on(said: dict[str, Any], what: str) -> None:
    """At once, or when the time to say one's names is over; and nobody is greeted."""
    answer = await _send(said["mqtt_host"], said["mqtt_port"], PROBES[what])
    assert answer[:1] in (b"", b"\x20"), answer
    assert answer[3:4] != b"\x00", "let in"


async def test_noise_disturbs_nobody(said: dict[str, Any], shop: Shop, shared_up: Up) -> None:
    """Random bytes, and good frames with a bit turned, from many at once, while devices knock and stay."""
    chance = random.Random(SEED)
    right = shop.names("dev0000")
    good = text("MQTT") + b"\x04\xc2\x00\x3c" + text(right.client_id) + text(right.user) + text("wrong-secret-here")
    frame = b"\x10" + length(len(good)) + good
    noise = [chance.randbytes(chance.randrange(1, 2000)) for _ in range(40)]
    noise += [_turned(frame, chance) for _ in range(160)]
    before = contents(said)
    async with storm(said, [shop.names("dev0001")]) as (seated,):
        assert seated.device is not None
        first = contents(said)
        await asyncio.gather(*(_send(said["mqtt_host"], said["mqtt_port"], each, within=1) for each in noise))
        await seated.device.ping()
        assert contents(said) == first
        assert first["activations"][0] == before["activations"][0] + 1
        async with storm(said, [right]) as knocked:
            assert codes(knocked) == {LET_IN: 1}
    _logs_are_calm(shared_up, shop)


async def test_who_knocks_twice_on_one_connection_is_hung_up_on(said: dict[str, Any], shop: Shop) -> None:
    one, two = shop.everybody
    async with storm(said, [one]) as (seated,):
        assert seated.device is not None
        with pytest.raises((HungUpError, AssertionError)):
            assert await seated.device.connect(two.client_id, two.user, two.secret) != LET_IN
        await seated.device.hung_up(within=10)
    assert (await shop.device("dev0001"))["state"] == "inactive"


async def test_the_door_between_licet_and_the_broker_is_not_a_devices(said: dict[str, Any], shop: Shop) -> None:
    """A device's own names, and guesses of licet's, open nothing where NATS itself is spoken."""
    at = urlsplit(said["nats_url"])
    right = shop.names("dev0000")
    for user, password in ((right.user, right.secret), ("licet", "licet"), ("licet-sys", ""), ("", "")):
        shown = json.dumps({"verbose": True, "user": user, "pass": password})
        answer = await _send(at.hostname or "", at.port or 0, f"CONNECT {shown}\r\nPING\r\n".encode())
        assert b"Authorization Violation" in answer
        assert b"PONG" not in answer
    assert (await shop.device("dev0000"))["state"] == "inactive"


async def _last_words(said: dict[str, Any], names: Names) -> bytes:
    """Everything that the server says to a knock until it hangs up."""
    body = text("MQTT") + b"\x04\xc2\x00\x3c" + text(names.client_id) + text(names.user) + text(names.secret)
    return await _send(said["mqtt_host"], said["mqtt_port"], b"\x10" + length(len(body)) + body)


async def _send(host: str, port: int, said: bytes, *, within: float = 30) -> bytes:
    """What is answered until the other side hangs up; within so many seconds it must, unless we are the ones who go."""
    reader, writer = await asyncio.open_connection(host, port)
    answer = b""
    with suppress(ConnectionError):
        writer.write(said)
        await writer.drain()
        with suppress(TimeoutError):
            async with asyncio.timeout(within):
                while part := await reader.read(65_536):
                    answer += part
    writer.close()
    with suppress(ConnectionError):
        await writer.wait_closed()
    return answer


def _turned(frame: bytes, chance: random.Random) -> bytes:
    turned = bytearray(frame)
    for _ in range(chance.randrange(1, 4)):
        turned[chance.randrange(len(turned))] ^= 1 << chance.randrange(8)
    return bytes(turned[: chance.randrange(2, len(turned) + 1)])


def _logs_are_calm(up: Up, shop: Shop) -> None:
    """No fault was logged, and no secret."""
    for log in [*up.data.glob("*.log"), *up.data.glob("*/*.log")]:
        told = log.read_text(errors="replace")
        assert "Traceback" not in told, log
        assert not any(secret in told for secret in (*shop.secrets.values(), shop.product_secret)), log
