"""A device knocks (C1 to C7)."""

import asyncio

import pytest
from tests.verbs.conftest import DAY, NOON, Trade

from licet.activations import Reason
from licet.admit import admit
from licet.postgres import activations, products
from licet.products import Knock
from licet.refusals import Reason as No


async def test_a_code_is_consumed_at_the_first_connect_only(trade: Trade) -> None:
    """C1, A4: validity runs from the first connect; every later one inside it costs nothing."""
    await trade.credited(2, await trade.package("P1Y"))
    await trade.imported("thermo1")
    first = await trade.knocks("thermo1", now=NOON + DAY)
    again = await trade.knocks("thermo1", now=NOON + 100 * DAY)
    assert first == again
    assert first[0].admitted
    assert first[0].until == (NOON + DAY).replace(year=2027)
    product = await products.get(trade.books, trade.product_key, now=NOON)
    assert product is not None
    assert (product.codes.available, product.codes.consumed, product.codes.total) == (1, 1, 2)
    (span,) = await activations.history(trade.books, trade.product_key, "thermo1")
    assert (span.number, span.reason, span.order_reference) == (1, Reason.FIRST, "order 1")


async def test_without_a_code_the_device_stays_out_and_the_refusal_says_why(trade: Trade) -> None:
    """C2: no_code_available, the field's 61016."""
    package = await trade.package("P2Y")
    await trade.credited(1, package)
    await trade.credited(7, package, to=None)
    await trade.imported("thermo1", "thermo2")
    one, two = await trade.knocks("thermo1", "thermo2")
    assert one.admitted
    assert two.refusal is not None
    assert two.refusal.reason is No.NO_CODE_AVAILABLE
    assert two.refusal.reason.device_code == 61016
    assert two.refusal.sentence == "Thermostat has no code left: 1 of 1 consumed."
    assert two.refusal.next_step == "Assign more; 7 unassigned codes have the same package."


@pytest.mark.parametrize("product_key", ["", "unknown", "\N{SNOWMAN}"])
async def test_strangers_and_wrong_secrets_are_told_the_same(trade: Trade, product_key: str) -> None:
    await trade.credited(1, await trade.package())
    await trade.imported("thermo1")
    knocks = [
        Knock(product_key, "thermo1", trade.secrets["thermo1"]),
        Knock(trade.product_key, "thermo9", trade.secrets["thermo1"]),
        Knock(trade.product_key, "thermo1", "wrong"),
        Knock(trade.product_key, "thermo1", ""),
    ]
    answers = await admit(trade.books, knocks, now=NOON)
    assert {answer.refusal.reason for answer in answers if answer.refusal} == {No.NOT_AUTHORIZED}
    assert len({str(answer.refusal) for answer in answers}) == 1


async def test_a_thousand_knocks_for_six_hundred_codes(trade: Trade) -> None:
    """C1, C2 under a race: 20 batches at once, 600 in, codes 1 to 600 each once."""
    await trade.credited(600, await trade.package())
    keys = [f"device{n:04}" for n in range(1000)]
    await trade.imported(*keys)
    batches = [keys[n : n + 50] for n in range(0, 1000, 50)]
    answers = [a for batch in await asyncio.gather(*(trade.knocks(*batch) for batch in batches)) for a in batch]
    assert sum(answer.admitted for answer in answers) == 600
    assert {a.refusal.reason for a in answers if a.refusal} == {No.NO_CODE_AVAILABLE}
    numbers = [span.number for key in keys for span in await activations.history(trade.books, trade.product_key, key)]
    assert sorted(numbers) == list(range(1, 601))


async def test_one_device_knocking_fifty_times_at_once_costs_one_code(trade: Trade) -> None:
    await trade.credited(60, await trade.package())
    await trade.imported("thermo1")
    knocks = [trade.knocks("thermo1") for _ in range(40)] + [trade.knocks(*["thermo1"] * 10)]
    answers = [answer for batch in await asyncio.gather(*knocks) for answer in batch]
    assert len(answers) == 50
    assert all(answer.admitted for answer in answers)
    product = await products.get(trade.books, trade.product_key, now=NOON)
    assert product is not None
    assert product.codes.consumed == 1


async def test_the_virtual_device_needs_no_code(trade: Trade) -> None:
    """C7."""
    await trade.imported("debug1", virtual=True)
    (answer,) = await trade.knocks("debug1")
    assert answer.admitted
    assert answer.until is None
