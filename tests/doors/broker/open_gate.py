"""Who knocks in these tests, and what licet says to them where the books are not what is tested."""

from collections.abc import Sequence
from datetime import datetime

from doors.broker.devices import NOW, SEED

from licet.activations import Answer
from licet.broker.gate import Gate
from licet.broker.tokens import Signer
from licet.products import Knock, Registration
from licet.refusals import Reason, Refused

PK = "ThermostatX"
SECRET = "a-secret-of-its-own"
PRODUCT_SECRET = "a-secret-of-the-product"


async def admit_all(knocks: Sequence[Knock], /, *, now: datetime) -> list[Answer]:
    return [Answer(until=None) for _ in knocks]


async def check_signatures(asks: Sequence[Registration], /, *, now: datetime) -> list[Refused | None]:
    return [None if ask.is_signed_with(PRODUCT_SECRET) else Refused(Reason.NOT_AUTHORIZED) for ask in asks]


def gate_for_all() -> Gate:
    return Gate(Signer(SEED), admit_all, check_signatures, lambda: NOW)
