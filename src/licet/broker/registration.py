"""How a device comes by its own secret over MQTT (rule C5, dynamic).

1. The device connects with client id ``register-PK-DK``, user name ``PK/DK/nonce``, and as its password the signature:
   HMAC-SHA256 of "PK/DK/nonce" by the product's secret, in hex. The gate verifies it and opens a bootstrap session.
2. That session lives for 60 seconds and can do two things. It subscribes to ``register/PK/DK/secret`` and waits for the
   SUBACK; then it publishes ``{"nonce": ..., "signature": ...}``, the same two, to ``register/PK/DK``.
3. One of the licet processes hears it. Who asks is proven by the subject, which nobody else may publish to. The
   signature is verified again, the secret is issued, once, and published to ``register/PK/DK/secret``:
   ``{"device_secret": ...}``, or why not: ``{"code": ..., "sentence": ..., "next_step": ...}``.
4. The device keeps its secret and from then on connects as ``PK-DK``, ``PK/DK`` and that secret.

Nothing is kept at licet between 1 and 3, so any process can do either. A device that was cut off before it heard its
secret asks an operator to reset it: a secret is told once.
"""

import json
import logging
from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Protocol

import msgspec
import nats.errors
from nats.aio.client import Client
from nats.aio.msg import Msg

from licet.broker.gate import SHARED
from licet.broker.lanes import Lanes
from licet.broker.wire import settled
from licet.products import NONCE, SIGNATURE, Registration
from licet.refusals import Reason, Refused

LANES = 4

log = logging.getLogger(__name__)


class Register(Protocol):
    """The verb, with its books in hand."""

    def __call__(self, asked: Registration, /, *, now: datetime) -> Awaitable[str]: ...


class _Proof(msgspec.Struct):
    nonce: str
    signature: str


_proofs = msgspec.json.Decoder(_Proof)


class RegistrationDesk:
    """Issues secrets to bootstrap sessions."""

    def __init__(self, register: Register, clock: Callable[[], datetime]) -> None:
        self._register = register
        self._clock = clock
        self._asks = Lanes(self._answer, batch=1, lanes=LANES)

    async def open(self, server: Client) -> None:
        """Begin to answer."""
        self._server = server
        self._heard = await server.subscribe("register.*.*", SHARED, cb=self._hear)
        await settled(server)

    async def close(self) -> None:
        """Hear no more, and answer what was heard."""
        await self._heard.drain()
        await self._asks.drain()
        await settled(self._server)

    async def _hear(self, ask: Msg) -> None:
        self._asks.put(ask)

    async def _answer(self, asks: list[Msg]) -> None:
        for ask in asks:
            try:
                await self._server.publish(f"{ask.subject}.secret", json.dumps(await self._decide(ask)).encode())
            except nats.errors.Error:
                log.warning("The answer to %s could not be sent.", ask.subject)

    async def _decide(self, ask: Msg) -> dict[str, str]:
        _, product_key, device_key = ask.subject.split(".")
        try:
            proof = _proofs.decode(ask.data)
            if not NONCE.fullmatch(proof.nonce) or not SIGNATURE.fullmatch(proof.signature):
                return _problem(Refused(Reason.NOT_AUTHORIZED))
            asked = Registration(product_key, device_key, proof.nonce, proof.signature)
            return {"device_secret": await self._register(asked, now=self._clock())}
        except msgspec.DecodeError:
            return _problem(Refused(Reason.NOT_AUTHORIZED))
        except Refused as refused:
            return _problem(refused)
        except Exception:
            log.exception("A registration could not be answered.")
            return _problem(Refused(Reason.BUSY))


def _problem(refused: Refused) -> dict[str, str]:
    return {"code": refused.reason.code, "sentence": refused.sentence, "next_step": refused.next_step}
