"""What other gateways ask, and what devices themselves ask: the two paths where the load is.

A body is read here by hand, with every field that is wrong named at once, and without building a model of it.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC
from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, Request, Response
from pydantic import Field

from licet import enrol
from licet.accounts import Scope
from licet.activations import Answer
from licet.admit import admit
from licet.postgres import products
from licet.products import DEVICE_KEY, NONCE, PRODUCT_KEY, SIGNATURE, Knock, Registration
from licet.refusals import Reason, Refused
from licet.web.door import door_of
from licet.web.fields import At, Told
from licet.web.problem import Malformed, WrongField
from licet.web.session import Ask, address_of, signed_in
from licet.web.tries import REGISTRATION, network_of

router = APIRouter(tags=["knocks"])

MOST_KNOCKS = 1_000
_LONGEST_SECRET = 128
_STRANGER = Answer(refusal=Refused(Reason.NOT_AUTHORIZED))

Admitting = Annotated[Ask, signed_in(Scope.ADMIT)]


class Knocked(Told):
    product_key: str
    device_key: str
    device_secret: str


class KnocksAsked(Told):
    knocks: list[Knocked] = Field(max_length=MOST_KNOCKS)


class AnswerTold(Told):
    """``until``: the end of the device's span; null when it is let in for good, as a virtual device is."""

    admitted: bool
    until: At | None
    refusal: str | None = Field(description="The code of the reason, when it is not let in.")
    device_code: int | None
    transient: bool
    sentence: str | None
    next_step: str | None


class AnswersTold(Told):
    data: list[AnswerTold]


class RegistrationAsked(Told):
    """``signature``: HMAC-SHA256 of "PK/DK/nonce" by the product's secret, in lower-case hex."""

    product_key: str
    device_key: str
    nonce: str
    signature: str


class Registered(Told):
    device_secret: str


def _body(*models: type[Told]) -> dict[str, Any]:
    schemas = [{"$ref": f"#/components/schemas/{model.__name__}"} for model in models]
    schema = schemas[0] if len(schemas) == 1 else {"anyOf": schemas}
    return {"requestBody": {"required": True, "content": {"application/json": {"schema": schema}}}}


@router.post("/v1/admit", response_model=AnswerTold | AnswersTold, openapi_extra=_body(Knocked, KnocksAsked))
async def admit_devices(request: Request, ask: Admitting) -> Response:
    """Let one device in, or up to 1,000 at once (``knocks``, answered as ``data`` in their order).

    Asking again costs nothing while the device's code lasts, so that this needs no Idempotency-Key.
    """
    body = _json_object(await request.body())
    if "knocks" not in body:
        (answer,) = await _answer(ask, [_knock(body, "")])
        return _json(_told(answer))
    return _json({"data": [_told(answer) for answer in await _answer(ask, _knocks(body))]})


@router.post("/v1/register", response_model=Registered, openapi_extra=_body(RegistrationAsked))
async def register_device(request: Request) -> Response:
    """Exchange a proof of the product's secret for the device's own, once per device until it is reset."""
    body = _json_object(await request.body())
    texts = _texts(body, ("product_key", "device_key", "nonce", "signature"), "")
    shapes = {"product_key": PRODUCT_KEY, "device_key": DEVICE_KEY, "nonce": NONCE, "signature": SIGNATURE}
    needs = {
        "product_key": "A product key is 11 letters and digits.",
        "device_key": "A device key is 4 to 32 letters and digits.",
        "nonce": "A nonce is 8 to 64 letters, digits, hyphens and underscores.",
        "signature": "A signature is 64 lower-case hexadecimal digits.",
    }
    _refuse([_wrong(name, needs[name]) for name, shape in shapes.items() if not shape.fullmatch(texts[name])])
    door = door_of(request)
    now = door.clock()
    try:
        secret = await enrol.register(door.books, Registration(**texts), now=now)
    except Refused as refused:
        if refused.reason is Reason.NOT_AUTHORIZED:
            door.tries.begin(REGISTRATION, network_of(address_of(request)), now=now)
        raise
    return _json({"device_secret": secret})


async def _answer(ask: Ask, knocks: Sequence[Knock]) -> list[Answer]:
    """Ask the books about those that can be in them, and about those alone that are the business of whoever asks."""
    possible = [index for index, knock in enumerate(knocks) if _can_be(knock)]
    if ask.by.account_id is not None:
        keys = sorted({knocks[index].product_key for index in possible})
        own = {key for key in keys if await _is_own(ask, key)}
        possible = [index for index in possible if knocks[index].product_key in own]
    answers = [_STRANGER] * len(knocks)
    if possible:
        admitted = await admit(ask.books, [knocks[index] for index in possible], now=ask.now)
        for index, answer in zip(possible, admitted, strict=True):
            answers[index] = answer
    return answers


async def _is_own(ask: Ask, product_key: str) -> bool:
    product = await products.get(ask.books, product_key, now=ask.now)
    return product is not None and product.account_id == ask.by.account_id


def _can_be(knock: Knock) -> bool:
    return (
        PRODUCT_KEY.fullmatch(knock.product_key) is not None
        and DEVICE_KEY.fullmatch(knock.device_key) is not None
        and len(knock.secret) <= _LONGEST_SECRET
    )


def _knocks(body: Mapping[str, object]) -> list[Knock]:
    given = body["knocks"]
    wrong = [_wrong(name, "There is no such field.") for name in body if name != "knocks"]
    if not isinstance(given, list) or not 1 <= len(given) <= MOST_KNOCKS:
        raise Malformed([*wrong, _wrong("knocks", f"This is a list of 1 to {MOST_KNOCKS} knocks.")])
    knocks = []
    for index, each in enumerate(given):
        try:
            knocks.append(_knock(each, f"knocks.{index}."))
        except Malformed as malformed:
            wrong += malformed.wrong
    _refuse(wrong)
    return knocks


def _knock(given: object, at: str) -> Knock:
    shown = _texts(given, ("product_key", "device_key", "device_secret"), at)
    return Knock(shown["product_key"], shown["device_key"], shown["device_secret"])


def _texts(given: object, names: Sequence[str], at: str) -> dict[str, str]:
    """These fields, all of them texts, and no other."""
    if not isinstance(given, dict):
        raise Malformed([_wrong(at.rstrip("."), "This is an object.")])
    wrong = [_wrong(at + name, "This is a text.") for name in names if not isinstance(given.get(name), str)]
    wrong += [_wrong(at + name, "There is no such field.") for name in given if name not in names]
    _refuse(wrong)
    return given


def _json_object(body: bytes) -> dict[str, Any]:
    try:
        read = msgspec.json.decode(body)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        raise Malformed([_wrong("", "This is not JSON.")]) from None
    if not isinstance(read, dict):
        raise Malformed([_wrong("", "This is an object.")])
    return read


def _refuse(wrong: Sequence[WrongField]) -> None:
    if wrong:
        raise Malformed(wrong)


def _wrong(field: str, sentence: str) -> WrongField:
    return WrongField(where="body", field=field[:100], sentence=sentence)


def _told(answer: Answer) -> dict[str, object]:
    no = answer.refusal
    return {
        "admitted": answer.admitted,
        "until": answer.until.astimezone(UTC) if answer.until else None,
        "refusal": no.reason.code if no else None,
        "device_code": no.reason.device_code if no else None,
        "transient": no.reason.transient if no else False,
        "sentence": no.sentence if no else None,
        "next_step": no.next_step if no else None,
    }


def _json(told: object) -> Response:
    return Response(msgspec.json.encode(told), media_type="application/json")
