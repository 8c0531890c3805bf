"""One word per thing: account, product, package, lot, code, assign, consume, activation. Others are not used."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
WRITTEN = (".py", ".sql", ".html", ".js", ".css", ".md", ".toml", ".json", ".txt")

# What we do not say, and what we say instead.
INSTEAD = {
    "customer": "account",
    "tenant": "account",
    "plan": "package",
    "tier": "package",
    "quota": "allowance",
    "entitlement": "allowance",
    "overage": "excess",
    "licence key": "code",
    "license key": "code",
    "activation key": "code",
    "voucher": "code",
    "subscription": "code, or package",
    "subscriber": "account, or device",
    "redeem": "consume",
}

# Where such a word is not ours, or means something else: part of a path, the line that has it, and why it may stay.
ALLOWED = [
    ("tests/house/test_words.py", "", "here they are listed"),
    ("src/licet/broker/", "subscri", "MQTT's and NATS's own word for what a client listens to"),
    ("tests/doors/broker/", "subscri", "MQTT's and NATS's own word for what a client listens to"),
]

# Only codes are consumed; messages are used, storage is taken, a top-up settles.
_USED = r"(?:messages?|bytes|storage|attempts?|traffic|top-?ups?|allowances?|memory|data)"
_CONSUMED = re.compile(rf"\bconsum(?:e|es|ed|ing) (?:\w+ )?{_USED}\b|\b{_USED} (?:\w+ )?consumed\b", re.IGNORECASE)


def _as_written(word: str) -> re.Pattern[str]:
    """``plan`` alone or as a part of a name (plan_id, PlanId, PLANS), but not within another word (explain, planet)."""
    low, capital, screaming = (each.replace(" ", "[ _-]?") for each in (word, word.capitalize(), word.upper()))
    return re.compile(rf"(?:(?<![A-Za-z]){low}|{capital})s?(?![a-z])|(?<![A-Za-z]){screaming}S?(?![A-Za-z])")


_FORBIDDEN = {word: _as_written(word) for word in INSTEAD}


def complaints(path: str, text: str) -> Iterator[str]:
    for number, line in enumerate(text.splitlines(), 1):
        if any(where in path and what in line.lower() for where, what, _ in ALLOWED):
            continue
        for word, pattern in _FORBIDDEN.items():
            if pattern.search(line):
                yield f"{path}:{number}: we say {INSTEAD[word]!r}, not {word!r}: {line.strip()}"
        if _CONSUMED.search(line):
            yield f"{path}:{number}: only codes are consumed: {line.strip()}"


def written() -> Iterator[Path]:
    for top in ("src", "tests", "docs", "bench"):
        files = (path for path in (ROOT / top).rglob("*") if path.suffix in WRITTEN and path.is_file())
        yield from (path for path in files if "vendor" not in path.parts)
    yield from ROOT.glob("*.md")


def test_every_thing_goes_by_its_one_name() -> None:
    found = [each for path in written() for each in complaints(str(path.relative_to(ROOT)), path.read_text("utf-8"))]
    assert not found, "\n".join(found)


@pytest.mark.parametrize(
    "line",
    [
        "customer_id: str",
        "class CustomerRepository:",
        "MAX_TENANTS = 5",
        "the Tenant's products",
        "SELECT plan_id FROM products",
        "your plan allows 1500 messages",
        "getPlan()",
        "a quota of messages",
        "overages are billed",
        "enter your license key",
        "LICENSE_KEY",
        "a licence-key",
        "renew the subscription",
        "1500 messages consumed",
        "a device consumes messages",
        "it consumed 3 messages",
    ],
)
def test_a_forbidden_word_is_found(line: str) -> None:
    assert list(complaints("src/licet/lots.py", line))


@pytest.mark.parametrize(
    "line",
    [
        "explain why",
        "planets and airplanes",
        "Apache License",
        "License: Apache-2.0",
        "a code is consumed",
        "10 codes consumed, 1500 messages used",
        "the next planet",
        "frontier",
        "its data center",
        "codes that are not consumed yet",
    ],
)
def test_other_words_are_left_alone(line: str) -> None:
    assert not list(complaints("src/licet/lots.py", line))


def test_brokers_keep_their_own_words() -> None:
    assert not list(complaints("src/licet/broker/gate.py", "subscription = await client.subscribe(ASKED)"))
    assert list(complaints("src/licet/web/app.py", "subscription = account.subscription"))


def test_every_exception_is_still_needed() -> None:
    """An exception that nothing uses any more would hide the next mistake."""
    unused = []
    for where, what, why in ALLOWED:
        lines = (
            line
            for path in written()
            if where in str(path.relative_to(ROOT))
            for line in path.read_text("utf-8").splitlines()
            if what in line.lower()
        )
        if not any(pattern.search(line) for line in lines for pattern in (*_FORBIDDEN.values(), _CONSUMED)):
            unused.append((where, what, why))
    assert not unused
