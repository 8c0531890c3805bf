"""What explain says is what admit does (C2, D2, D3), and it says what would change it."""

from tests.verbs.conftest import DAY, NOON, Trade

from licet.enrol import list_no_renewal
from licet.explain import explain
from licet.refusals import Reason
from licet.sweep import sweep


async def test_explain_says_what_admit_answers_through_a_devices_life(trade: Trade) -> None:
    package = await trade.package("P10D")
    await trade.imported("thermo1")

    async def agreed(day: int) -> tuple[bool, Reason | None, str]:
        now = NOON + day * DAY
        why = await explain(trade.books, trade.product_key, "thermo1", by=trade.alice, now=now)
        (answer,) = await trade.knocks("thermo1", now=now)
        refusal = why.refusal.reason if why.refusal else None
        assert (why.admitted, refusal) == (answer.admitted, answer.refusal.reason if answer.refusal else None)
        if why.refusal is not None:
            assert str(why.refusal) == str(answer.refusal)
        return why.admitted, refusal, why.sentence

    assert await agreed(0) == (False, Reason.NO_CODE_AVAILABLE, "Thermostat has no code left: 0 of 0 consumed.")
    await trade.credited(2, package)
    assert await agreed(0) == (True, None, "thermo1 would be let in for the first time and consume one code.")
    assert await agreed(9) == (True, None, "thermo1 is active: connecting costs nothing.")
    await list_no_renewal(trade.books, trade.product_key, ["thermo1"], renews=False, by=trade.alice, now=NOON + 9 * DAY)
    await sweep(trade.books, now=NOON + 10 * DAY)
    assert await agreed(10) == (False, Reason.RENEWAL_OFF, "thermo1 has expired and does not renew.")
    await list_no_renewal(trade.books, trade.product_key, ["thermo1"], renews=True, by=trade.alice, now=NOON + 10 * DAY)
    assert await agreed(11) == (True, None, "thermo1 would be let in again and consume one code.")
    await sweep(trade.books, now=NOON + 21 * DAY)
    assert await agreed(21) == (False, Reason.NO_CODE_AVAILABLE, "Thermostat has no code left: 2 of 2 consumed.")


async def test_explain_shows_the_rows_behind_its_answer(trade: Trade) -> None:
    await trade.credited(1, await trade.package("P10D"))
    await trade.imported("thermo1")
    await trade.knocks("thermo1")
    await sweep(trade.books, now=NOON + 10 * DAY)
    why = await explain(trade.books, trade.product_key, "thermo1", by=trade.alice, now=NOON + 11 * DAY)
    assert why.facts == [
        "Thermostat has 1 codes: 0 available, 1 consumed.",
        "Its package allows 10 days, 1500 messages a day, 1 OTA upgrade a month, 7 days of storage.",
        "Automatic renewal of the product is on, policy on_schedule.",
        why.facts[-1],
    ]
    assert why.facts[-1].startswith(
        "Code 1 (first, order order 1) from 2026-01-10 12:00:00 to 2026-01-20 12:00:00 UTC;"
    )
    assert why.facts[-1].endswith("none followed: no code was left at that instant.")
    assert why.next_step == "Assign more; 0 unassigned codes have the same package."
