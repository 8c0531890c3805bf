"""How a page gets its words: templates, and the forms in which numbers and instants are shown."""

from datetime import UTC, datetime
from functools import cache
from hashlib import sha256
from importlib.resources import files
from typing import NamedTuple
from zoneinfo import ZoneInfo

from heroicons.jinja import heroicon_micro, heroicon_mini
from jinja2 import Environment, PackageLoader, StrictUndefined

from licet.products import Product


class Stock(NamedTuple):
    """How a product stands for codes, and in which tone that is said."""

    label: str
    tone: str


def number(count: int) -> str:
    """``12,480``"""
    return f"{count:,}"


def utc(instant: datetime) -> str:
    """RFC 3339, for programs: ``2026-02-01T08:00:00Z``."""
    return f"{instant.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"


def utc_words(instant: datetime) -> str:
    return f"{instant.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"


def local(instant: datetime, zone: str) -> str:
    """For people, on the account's clock: ``1 Feb 2026, 09:00``."""
    there = instant.astimezone(ZoneInfo(zone))
    return f"{there.day} {there:%b %Y, %H:%M}"


def stock(product: Product) -> Stock:
    """Low is a tenth of all codes or less: the moment to think of the next purchase."""
    codes = product.codes
    if product.package is None or not codes.total:
        return Stock("no codes yet", "none")
    if not codes.available:
        return Stock("out of codes", "bad")
    if codes.available * 10 <= codes.total:
        return Stock("low", "warn")
    return Stock("in stock", "good")


@cache
def static(name: str) -> str:
    """The address of a static file, with a mark that changes with its content so that browsers may keep it."""
    content = (files("licet.web") / "static" / name).read_bytes()
    return f"/static/{name}?{sha256(content).hexdigest()[:10]}"


def _environment() -> Environment:
    jinja = Environment(
        loader=PackageLoader("licet.web"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    jinja.filters.update(number=number, utc=utc, utc_words=utc_words, local=local, stock=stock)
    jinja.globals.update(static=static, heroicon_micro=heroicon_micro, heroicon_mini=heroicon_mini)
    return jinja


JINJA = _environment()
