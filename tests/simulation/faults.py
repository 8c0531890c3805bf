"""Faults that are planted in licet, to see that the simulation finds them.

Each changes the text of one function or query where it runs, and nothing in the source tree; when that text is not
there any more, the planting itself fails and says so.
"""

import inspect
import textwrap
from collections.abc import Callable
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import pytest
from tests.simulation import acts

from licet import admit, allowances, assign, lots, mint, renew, upgrade
from licet.enrol import devices as enrol_devices
from licet.enrol import products as enrol_products
from licet.postgres import activations, products, usage
from licet.postgres import books as books_module
from licet.postgres import lots as lots_in_books

Plant = Callable[[pytest.MonkeyPatch], None]


@dataclass(frozen=True)
class Fault:
    """``schema``: what is done to the database's own guards. ``first``: the seed to look from, where it is rare."""

    name: str
    plants: tuple[Plant, ...]
    schema: str = ""
    first: int = 0


def code(owner: Any, function: str, *changes: tuple[str, str]) -> Plant:
    """A function of a module or a class with other text."""

    def plant(patch: pytest.MonkeyPatch) -> None:
        original = inspect.unwrap(getattr(owner, function))
        text = textwrap.dedent(inspect.getsource(original))
        for old, new in changes:
            assert old in text, f"{function} does not say {old!r} any more"
            text = text.replace(old, new)
        made: dict[str, Any] = {}
        exec(compile(text, f"<fault in {function}>", "exec"), original.__globals__, made)  # noqa: S102
        patch.setattr(owner, function, made[function])

    return plant


def query(module: ModuleType, name: str, *changes: tuple[str, str]) -> Plant:
    """A query with other text."""

    def plant(patch: pytest.MonkeyPatch) -> None:
        text = getattr(module._sql, name).decode()
        for old, new in changes:
            assert old in text, f"{name} does not say {old!r} any more"
            text = text.replace(old, new)
        patch.setattr(module._sql, name, text.encode())

    return plant


_LOCK = query(products, "lock", ("FOR NO KEY UPDATE", ""))
_GUARDS = """
    ALTER TABLE lapses DROP CONSTRAINT lapses_span;
    ALTER TABLE activations DROP CONSTRAINT activations_span_once;
    ALTER TABLE activations DROP CONSTRAINT activations_code_once;
    ALTER TABLE ranges DROP CONSTRAINT ranges_not_oversold"""
_LISTED = "        AND NOT EXISTS (SELECT FROM no_renewals x WHERE x.device_id = a.device_id)"

FAULTS = [
    Fault("nobody holds the product", (_LOCK,)),
    Fault("nobody holds the product, and no constraint has the last word", (_LOCK,), _GUARDS),
    Fault(
        "where a device stands is not looked at again under the lock",
        (code(admit, "_without_code", ("if now < stands.ends_at:", "if False:")),),
    ),
    Fault(
        "the package is read before the product is held",
        (
            code(
                products,
                "lock",
                (
                    "    rows = ",
                    '    early = dict(await books.all(b"SELECT id, package_id FROM products"))\n    rows = ',
                ),
                ("{row[7] for row in rows if row[7] is not None}", "set(early.values()) - {None}"),
                ("terms.get(row[7])", "terms.get(early[row[0]])"),
            ),
        ),
        first=8,
    ),
    Fault("a span covers its last instant", (code(admit, "_judge", ("now < known.ends_at", "now <= known.ends_at")),)),
    Fault(
        "renewals due are not settled before something changes",
        tuple(
            code(module, "settle_one", ("settle(books, [product_id], now=now)", "products.lock(books, [product_id])"))
            for module in (assign, mint, upgrade, enrol_devices, enrol_products)
        ),
    ),
    Fault(
        "renewals due are not settled before a knock",
        (code(admit, "_consume", ("settle(books, product_ids, now=now)", "products.lock(books, product_ids)")),),
    ),
    Fault(
        "a slice of renewals is longer than a term",
        (code(renew, "_slice_ends_at", ("term.no_end_before(first)", "first + timedelta(days=40_000)")),),
    ),
    Fault(
        "a slice of renewals ignores when codes are lost",
        (code(renew, "_slice_ends_at", (", *lost", "")),),
        first=2,
    ),
    Fault(
        "a lapse is not written",
        (
            code(renew, "renew", ("first - _INSTANT", "first")),
            code(renew, "_lapse_slice", ("    by_reason", "    return 1\n    by_reason")),
        ),
    ),
    Fault(
        "on_connect renews on schedule",
        (code(renew, "_renew_slice", (" or product.renewal_policy is RenewalPolicy.ON_CONNECT", "")),),
    ),
    Fault(
        "the list of devices that must not renew is ignored",
        (query(activations, "count_due", (_LISTED, "")), query(activations, "renew_due", (_LISTED[2:], ""))),
    ),
    Fault(
        "the latest expiry is renewed first",
        (query(activations, "renew_due", ("ORDER BY a.ends_at, d", "ORDER BY a.ends_at DESC, d")),),
    ),
    Fault(
        "a renewal starts when it is written",
        (query(activations, "renew_due", ("due.ends_at, due.", "%(now)s, due.")),),
    ),
    Fault("codes are consumed after their use_by", (code(lots.Range, "left", ("at >= self.use_by", "False")),)),
    Fault(
        "codes that would be lost first are consumed last",
        tuple(code(module, "take", ("r.use_by is None, ", "")) for module in (admit, renew)),
    ),
    Fault(
        "a clock that is behind loses renewals",
        (code(admit, "_activate", ("if ends_at <= product.renewed_until", "if False")),),
        first=10,
    ),
    Fault(
        "an order that is credited twice at once is an error",
        (query(lots_in_books, "insert_lot", ("ON CONFLICT ON CONSTRAINT lots_order_once DO NOTHING", "")),),
    ),
    Fault(
        "a purchase and its assignment are two transactions",
        (
            code(
                books_module.Books,
                "transaction",
                ("as connection, connection.transaction():", "as connection:"),
            ),
        ),
    ),
    Fault(
        "renewals are not told",
        (code(renew, "_renew_slice", ("    await events.tell", "    0 and await events.tell")),),
    ),
    Fault(
        "a month of 30 days renews for a calendar month",
        (code(activations, "renew_due", ("thirty = ", "thirty = False and ")),),
    ),
    Fault(
        "a claim is counted whether it is still there or not",
        (code(usage, "finish_claim", (" == 1", " < 2")),),
    ),
    Fault(
        "a message that is a byte too long is one all the same",
        (code(allowances, "messages_in", ("-(-payload_bytes // MESSAGE_BYTES)", "payload_bytes // MESSAGE_BYTES")),),
    ),
    Fault(
        "a heartbeat as long as a message counts",
        (code(allowances, "counted", ("payload_bytes <= MESSAGE_BYTES", "payload_bytes < MESSAGE_BYTES")),),
    ),
    Fault(
        "a day is one of UTC",
        (query(usage, "days_of", ("AT TIME ZONE a.time_zone", "AT TIME ZONE 'UTC'")),),
    ),
    Fault(
        "nobody takes over from a reader that died",
        (query(usage, "take_over", ("c.claimed_at < %(stale)s", "false AND %(stale)s::text IS NULL")),),
        first=12,
    ),
    Fault(
        "whatever is used is covered",
        (query(usage, "messages_used_by", ("least(u.up + u.down, k.messages_per_day)", "u.up + u.down")),),
    ),
    Fault(
        "a new package's messages count on days that are over",
        (
            code(
                acts,
                "upgrade",
                ("upgrade_takes_effect_at(now, account.time_zone)", "datetime.fromtimestamp(0, now.tzinfo)"),
            ),
        ),
    ),
    Fault(
        "a deleted device renews",
        (
            query(activations, "count_due", ("d.deleted_at IS NULL AND ", "")),
            query(activations, "renew_due", ("d.deleted_at IS NULL AND ", "")),
        ),
    ),
    Fault(
        "a device that is imported again gets a new secret",
        (code(enrol_devices, "_secret", ("if was is None or", "if line.secret is None or was is None or")),),
    ),
]
