"""Everybody knocks at once, on two licet processes that know nothing of each other but the books."""

import asyncio
import hashlib
import hmac
from collections import Counter
from typing import Any

import aiomqtt
from doors.mqtt import LET_IN, REFUSED, Knocked, codes, storm
from doors.running import Api, Up, knocks_answered
from doors.shop import Shop, open_shop

NO_CODE = ("no_code_available", 61016)


async def test_c1_c2_1000_devices_knock_at_once_on_600_codes(said: dict[str, Any], api: Api, shared_up: Up) -> None:
    shop = await open_shop(said, api, codes=600, devices=1000)
    before = knocks_answered(said)
    async with storm(said, shop.everybody) as knocked:
        assert codes(knocked) == {LET_IN: 600, REFUSED: 400}, shared_up.logs()
        let_in = {each.names.device_key for each in knocked if each.let_in}
        answered = [after - earlier for after, earlier in zip(knocks_answered(said), before, strict=True)]
        assert all(each["admitted"] for each in answered), f"one licet has slept: {answered}"
        assert sum(answered, Counter()) == {"admitted": 600, "no_code_available": 400}
        await _consumed(shop, 600, let_in)
        await _refused_for_want_of_codes(shop, shop.secrets.keys() - let_in)
    # Every later connect costs nothing, and who was refused still is.
    async with storm(said, shop.everybody) as again:
        assert {each.names.device_key for each in again if each.let_in} == let_in
    await _consumed(shop, 600, let_in)


async def test_c1_a_device_that_knocks_50_times_at_once_consumes_one_code(said: dict[str, Any], api: Api) -> None:
    shop = await open_shop(said, api, codes=10, devices=1)
    async with storm(said, shop.everybody * 50) as knocked:
        _nobody_was_refused(knocked)
    await _consumed(shop, 1, {"dev0000"})
    (span,) = await shop.activations("dev0000")
    assert (span["number"], span["reason"]) == (1, "first")


async def test_c1_devices_that_knock_20_times_each_on_the_last_codes_consume_one_each(
    said: dict[str, Any], api: Api
) -> None:
    shop = await open_shop(said, api, codes=7, devices=20)
    everybody = [names for _ in range(20) for names in shop.everybody]
    async with storm(said, everybody) as knocked:
        let_in = {each.names.device_key for each in knocked if each.let_in}
        _nobody_was_refused([each for each in knocked if each.names.device_key in let_in])
    assert len(let_in) == 7
    await _consumed(shop, 7, let_in)


async def test_c1_the_api_and_the_broker_hand_out_the_same_codes(said: dict[str, Any], api: Api) -> None:
    """Another gateway asks about all of them while all of them knock."""
    shop = await open_shop(said, api, codes=30, devices=60)
    shown = [
        {"product_key": shop.product_key, "device_key": key, "device_secret": secret}
        for key, secret in shop.secrets.items()
    ]

    async def other_gateway(part: list[dict[str, str]]) -> list[str]:
        told = await api.ask("POST", "/v1/admit", json={"knocks": part})
        return [knock["device_key"] for knock, answer in zip(part, told["data"], strict=True) if answer["admitted"]]

    async def broker() -> list[str]:
        async with storm(said, shop.everybody) as knocked:
            return [each.names.device_key for each in knocked if each.let_in]

    parts = [shown[n::6] for n in range(6)]
    *by_api, by_broker = await asyncio.gather(*map(other_gateway, parts), broker())
    let_in = {key for each in [*by_api, by_broker] for key in each}
    assert len(let_in) == 30
    await _consumed(shop, 30, let_in)


async def test_c5_a_device_that_registers_20_times_at_once_is_issued_one_secret(said: dict[str, Any], api: Api) -> None:
    shop = await open_shop(said, api, codes=1)

    async def register(n: int) -> tuple[int, dict[str, Any]]:
        signed = f"{shop.product_key}/meter01/nonce{n:04}"
        asked = {
            "product_key": shop.product_key,
            "device_key": "meter01",
            "nonce": f"nonce{n:04}",
            "signature": hmac.new(shop.product_secret.encode(), signed.encode(), hashlib.sha256).hexdigest(),
        }
        answer = await api.client.post("/v1/register", json=asked)
        return answer.status_code, answer.json()

    answers = await asyncio.gather(*(register(n) for n in range(20)))
    assert Counter(status for status, _ in answers) == {200: 1, 409: 19}
    assert {body["code"] for status, body in answers if status == 409} == {"already_registered"}
    (shop.secrets["meter01"],) = [body["device_secret"] for status, body in answers if status == 200]
    async with storm(said, shop.everybody) as knocked:
        assert codes(knocked) == {LET_IN: 1}


async def test_c1_c2_what_stock_clients_see(said: dict[str, Any], api: Api) -> None:
    shop = await open_shop(said, api, codes=1, devices=2)

    def client(device_key: str) -> aiomqtt.Client:
        names = shop.names(device_key)
        return aiomqtt.Client(
            said["mqtt_host"],
            said["mqtt_port"],
            identifier=names.client_id,
            username=names.user,
            password=names.secret,
            timeout=30,
        )

    async with client("dev0000") as device:
        await device.subscribe(f"down/{shop.product_key}/dev0000/#", qos=1)
        await device.publish(f"up/{shop.product_key}/dev0000/temperature", "21.5", qos=1)
        refused = None
        try:
            async with client("dev0001"):
                pass
        except aiomqtt.MqttError as no:
            refused = no
        assert "Not authorized" in str(refused)
        await _consumed(shop, 1, {"dev0000"})
        await _refused_for_want_of_codes(shop, {"dev0001"})


def _nobody_was_refused(knocked: list[Knocked]) -> None:
    """Its own next connection may have evicted a device before it was told; but none was told no."""
    told = codes(knocked)
    assert told[LET_IN] >= 1
    assert set(told) <= {LET_IN, None}, told


async def _consumed(shop: Shop, number: int, let_in: set[str]) -> None:
    """The API, the list of devices and the books agree: these devices have consumed the codes 1 to ``number``."""
    assert len(let_in) == number
    total = (await shop.codes())["total"]
    assert await shop.codes() == {"total": total, "available": total - number, "consumed": number}
    spans = shop.spans()
    assert [number for _, number in spans] == list(range(1, number + 1))
    assert {device_key for device_key, _ in spans} == let_in
    listed = await shop.api.all("/v1/devices", product_key=shop.product_key)
    assert {
        each["device_key"]: each["codes_consumed"] for each in listed if each["state"] == "active"
    } == dict.fromkeys(let_in, 1)
    assert {each["codes_consumed"] for each in listed if each["state"] == "inactive"} <= {0}


async def _refused_for_want_of_codes(shop: Shop, device_keys: set[str]) -> None:
    explained = await asyncio.gather(*map(shop.explain, device_keys))
    assert {(why["refusal"], why["device_code"]) for why in explained} == {NO_CODE}
    assert not any(why["admitted"] for why in explained)
