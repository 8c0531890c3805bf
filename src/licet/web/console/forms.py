"""What people typed: read field by field, everything that is malformed marked at once, nothing typed lost."""

import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from enum import StrEnum
from typing import Self, TypeVar
from zoneinfo import ZoneInfo, available_timezones

from fastapi import Request

from licet.refusals import Refused
from licet.units import DayCount, Term

_Word = TypeVar("_Word", bound=StrEnum)
_EMAIL = re.compile(r"[^@\s]+@[^@\s]+")
_GROUPING = re.compile(r"[,\s'’]")  # noqa: RUF001 - people group digits with it


@dataclass(frozen=True, slots=True)
class Said:
    """A message to whoever looks: good, warn or bad; a secret that is shown this once."""

    tone: str
    sentence: str
    next_step: str = ""
    secret: str = ""

    @classmethod
    def no(cls, refused: Refused) -> Self:
        return cls("bad", refused.sentence, refused.next_step)


@dataclass(slots=True)
class Form:
    """A form as it stands: what was ``typed``, what is ``wrong`` with which field, and why the whole was refused.

    Reading a field that is malformed marks it and returns a stand-in; ask ``is_right`` before any of it is used.
    """

    typed: Mapping[str, str] = field(default_factory=dict)
    wrong: dict[str, str] = field(default_factory=dict)
    said: Said | None = None
    ask: str = field(default_factory=lambda: secrets.token_urlsafe(18))

    @classmethod
    async def of(cls, request: Request, *, most_bytes: int = 64 * 1024) -> Self:
        """What was sent. Of a file, its text: a field like the others."""
        typed = {}
        async with request.form(max_files=1, max_fields=20_000, max_part_size=most_bytes) as sent:
            for name, value in sent.multi_items():
                typed[name] = value if isinstance(value, str) else (await value.read()).decode("utf-8-sig", "replace")
        form = cls(typed)
        return replace(form, ask=typed["ask"]) if typed.get("ask") else form

    @classmethod
    def asked(cls, request: Request) -> Self:
        """What a page is asked to filter by, from its address."""
        return cls(dict(request.query_params))

    @classmethod
    def empty(cls, **typed: str) -> Self:
        return cls(typed)

    @property
    def is_right(self) -> bool:
        return not self.wrong

    def text(self, name: str, *, longest: int = 100, required: bool = True) -> str:
        written = self.typed.get(name, "").strip()
        if required and not written:
            self.wrong[name] = "Fill this in."
        elif len(written) > longest:
            self.wrong[name] = f"At most {longest} characters."
        elif any(not sign.isprintable() for sign in written):
            self.wrong[name] = "One line, without control characters."
        return written

    def key(self, name: str, shape: re.Pattern[str], words: str) -> str:
        written = self.typed.get(name, "").strip()
        if not shape.fullmatch(written):
            self.wrong[name] = words
        return written

    def email(self, name: str) -> str:
        written = self.text(name, longest=254).lower()
        if name not in self.wrong and not _EMAIL.fullmatch(written):
            self.wrong[name] = "An address like name@example.com."
        return written

    def whole(self, name: str, *, least: int = 1, most: int = 2_000_000_000) -> int:
        """A whole number; people may group its digits: 10,000 or 10 000."""
        written = _GROUPING.sub("", self.typed.get(name, ""))
        if written.isascii() and written.isdecimal() and len(written) <= 10 and least <= int(written) <= most:
            return int(written)
        self.wrong[name] = f"A whole number from {least:,} to {most:,}."
        return least

    def word(self, name: str, words: type[_Word]) -> _Word:
        try:
            return words(self.typed.get(name, ""))
        except ValueError:
            self.wrong[name] = "Choose one."
            return next(iter(words))

    def switch(self, name: str) -> bool:
        return self.typed.get(name) == "yes"

    def time_zone(self, name: str) -> str:
        written = self.typed.get(name, "").strip()
        if written not in available_timezones():
            self.wrong[name] = "The name of a time zone, like Europe/Berlin."
        return written

    def term(self, name: str, day_count: DayCount) -> Term:
        try:
            return Term.parse(self.typed.get(name, "").strip().upper(), day_count)
        except ValueError as error:
            self.wrong[name] = f"{str(error)[0].upper()}{str(error)[1:]}."
            return Term(12, 0)

    def day(self, name: str, zone: str, *, after: int = 0) -> datetime | None:
        """The first instant of a day on the account's clock, or of the one so many days after; None when left open."""
        written = self.typed.get(name, "").strip()
        if not written:
            return None
        try:
            on = date.fromisoformat(written) + timedelta(days=after)
            return datetime(on.year, on.month, on.day, tzinfo=ZoneInfo(zone)).astimezone(UTC)
        except (ValueError, OverflowError):
            self.wrong[name] = "A day, like 2026-02-28."
            return None
