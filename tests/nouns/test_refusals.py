"""Every reason to say no: one code, one sentence, one next step, in order of precedence (C2)."""

import re
from string import Formatter

import pytest

from licet.refusals import Reason, Refused


def test_the_sentence_says_what_the_case_rests_on() -> None:
    refused = Refused(Reason.NO_CODE_AVAILABLE, product="Thermostat", consumed=500, total=500, unassigned=120)
    assert refused.sentence == "Thermostat has no code left: 500 of 500 consumed."
    assert refused.next_step == "Assign more; 120 unassigned codes have the same package."
    assert str(refused) == f"{refused.sentence} {refused.next_step}"


def test_no_code_available_is_the_fields_number_61016() -> None:
    assert Reason.NO_CODE_AVAILABLE.device_code == 61016


def test_a_code_is_given_to_one_reason_only() -> None:
    codes = [reason.code for reason in Reason]
    assert len(set(codes)) == len(codes)
    numbers = [reason.device_code for reason in Reason if reason.device_code is not None]
    assert len(set(numbers)) == len(numbers)


@pytest.mark.parametrize("reason", Reason, ids=lambda reason: reason.code)
def test_a_reason_is_whole(reason: Reason) -> None:
    assert re.fullmatch(r"[a-z]+(_[a-z]+)*", reason.code)
    assert reason.value.sentence.endswith(".")
    assert reason.value.next_step.endswith(".")
    assert 400 <= reason.status < 600
    assert reason.transient == (reason.status in (429, 503))


@pytest.mark.parametrize("reason", Reason, ids=lambda reason: reason.code)
def test_a_fact_that_is_not_given_is_a_fault_and_never_half_a_sentence(reason: Reason) -> None:
    text = reason.value.sentence + reason.value.next_step
    facts = {name for _, name, _, _ in Formatter().parse(text) if name}
    whole = Refused(reason, **dict.fromkeys(facts, "x"))
    assert "{" not in str(whole)
    if facts:
        with pytest.raises(KeyError):
            str(Refused(reason))


def test_who_asks_is_settled_before_anything_else_is_said() -> None:
    """A stranger is never told what exists: reasons about codes come after reasons about who asks."""
    order = list(Reason)
    strangers = order.index(Reason.NOT_AUTHORIZED)
    assert order.index(Reason.NOT_SIGNED_IN) < order.index(Reason.NOT_PERMITTED) < order.index(Reason.NOT_FOUND)
    assert strangers < order.index(Reason.RENEWAL_OFF) < order.index(Reason.NO_CODE_AVAILABLE)
