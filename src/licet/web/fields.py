"""What may stand in a field: whole numbers within bounds, texts of one line, instants in UTC. Nothing else is read."""

import re
import unicodedata
import zoneinfo
from datetime import UTC, date, datetime
from functools import cache
from typing import Annotated

from fastapi import Path
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, PlainSerializer

from licet.products import DEVICE_KEY, DEVICE_SECRET, PRODUCT_KEY

MOST_CODES = 10_000_000

_RFC_3339 = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(\.\d{1,6})?([Zz]|[+-]\d\d:\d\d)", re.ASCII)
_DAY = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)
_MONTH = re.compile(r"\d{4}-(?:0[1-9]|1[0-2])", re.ASCII)
_EMAIL = re.compile(r"[^@\s]{1,64}@[^@\s]{1,190}")
_YEARS = range(1970, 9000)


class Asked(BaseModel):
    """A body that is asked with. A field that it does not have is refused: it would be a wish that goes unheard."""

    model_config = ConfigDict(extra="forbid")


class Told(BaseModel):
    """A body that is answered with."""


def _one_line(text: str) -> str:
    if any(unicodedata.category(character) in {"Cc", "Cs", "Zl", "Zp"} for character in text):
        raise ValueError("this is one line of text, without control characters")
    return text


def _trimmed(text: str) -> str:
    return text.strip()


def _email(text: str) -> str:
    if not _EMAIL.fullmatch(text):
        raise ValueError("this is an e-mail address, like alice@acme.example")
    return text.lower()


def _instant(value: object) -> object:
    if isinstance(value, str) and _RFC_3339.fullmatch(value):
        return value
    raise ValueError("this is an instant as RFC 3339 writes it, like 2026-02-01T08:00:00Z")


def _day(value: object) -> object:
    if isinstance(value, str) and _DAY.fullmatch(value) and int(value[:4]) in _YEARS:
        return value
    raise ValueError("this is a day, like 2026-02-01")


def _month(value: object) -> object:
    if isinstance(value, str) and _MONTH.fullmatch(value) and int(value[:4]) in _YEARS:
        return f"{value}-01"
    raise ValueError("this is a month, like 2026-02")


def _in_utc(instant: datetime) -> datetime:
    if instant.year not in _YEARS:
        raise ValueError("this instant is not of this age")
    return instant.astimezone(UTC)


@cache
def _time_zones() -> frozenset[str]:
    return frozenset(zoneinfo.available_timezones()) - {"localtime", "Factory"}  # these name no place


def _time_zone(text: str) -> str:
    if text not in _time_zones():
        raise ValueError("this is a time zone, like Europe/Berlin")
    return text


def _said(value: object) -> object:
    return True if value == "" else value


def _device_secret(text: str) -> str:
    if not DEVICE_SECRET.fullmatch(text):
        raise ValueError("a device secret is 8 to 128 printable ASCII characters without spaces")
    return text


def _device_key(text: str) -> str:
    if not DEVICE_KEY.fullmatch(text):
        raise ValueError("a device key is 4 to 32 letters and digits")
    return text


def _product_key(text: str) -> str:
    if not PRODUCT_KEY.fullmatch(text):
        raise ValueError("a product key is 11 letters and digits")
    return text


def _id(text: str) -> str:
    if not re.fullmatch(r"[a-z]{3}_[0-9a-f]{20}", text, re.ASCII):
        raise ValueError("this is no id of licet's")
    return text


Line = Annotated[str, AfterValidator(_one_line), Field(max_length=200)]
Name = Annotated[str, AfterValidator(_trimmed), AfterValidator(_one_line), Field(min_length=1, max_length=200)]
Email = Annotated[
    str, AfterValidator(_trimmed), AfterValidator(_one_line), AfterValidator(_email), Field(max_length=255)
]
Id = Annotated[str, AfterValidator(_id), Field(max_length=40, examples=["acc_1f3a5c7e9b2d4f6a8c0e"])]
TimeZone = Annotated[str, AfterValidator(_time_zone), Field(max_length=100, examples=["Europe/Berlin"])]
Quantity = Annotated[int, Field(strict=True, ge=1, le=MOST_CODES)]
Figure = Annotated[int, Field(strict=True, ge=0, le=MOST_CODES)]
Days = Annotated[int, Field(strict=True, ge=0, le=36_500)]
Switch = Annotated[bool, Field(strict=True)]
ProductKey = Annotated[str, AfterValidator(_product_key), Field(examples=["aX9kLm2QpR7"])]
DeviceKey = Annotated[str, AfterValidator(_device_key), Field(examples=["thermo1"])]
DeviceSecret = Annotated[str, AfterValidator(_device_secret)]
Instant = Annotated[datetime, BeforeValidator(_instant), AfterValidator(_in_utc)]
Day = Annotated[date, BeforeValidator(_day), Field(examples=["2026-02-01"])]

#: In a query ``?dry_run`` says it, and so does ``?dry_run=true``.
Said = Annotated[bool, BeforeValidator(_said)]

#: An instant in an answer: UTC, with a Z.
At = Annotated[
    datetime, PlainSerializer(lambda at: at.astimezone(UTC).isoformat().replace("+00:00", "Z"), when_used="json")
]

#: A month goes by its first day.
Month = Annotated[date, BeforeValidator(_month), Field(examples=["2026-02"])]

# In an address: what cannot be a name is the name of nothing, and so not found.
IdInPath = Annotated[str, AfterValidator(_id), Path()]
ProductKeyInPath = Annotated[str, AfterValidator(_product_key), Path(description="Product key.")]
DeviceKeyInPath = Annotated[str, AfterValidator(_device_key), Path(description="Device key.")]
MonthInPath = Annotated[Month, Path(description="A month, like 2026-02.")]
