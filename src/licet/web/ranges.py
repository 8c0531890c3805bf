"""Which bytes of a file a request asks for (RFC 9110, 14.2): one range at the most, or all of it."""

import re
from typing import NamedTuple

_ONE = re.compile(r"bytes=\s*(\d{0,18})-(\d{0,18})\s*", re.ASCII | re.IGNORECASE)


class Span(NamedTuple):
    """Bytes ``first`` up to, and without, ``stop``."""

    first: int
    stop: int


def asked_for(header: str | None, size: int) -> Span | None:
    """What ``Range`` asks for of a file of that size. None: all of it, as also for what need not be understood.

    Raises ValueError when there is no such range.
    """
    found = _ONE.fullmatch(header or "")
    if found is None or found.groups() == ("", ""):
        return None
    first, last = found.groups()
    if not first:
        if int(last) == 0:
            raise ValueError("the last 0 bytes")
        return Span(max(0, size - int(last)), size)
    if last and int(last) < int(first):
        return None
    if int(first) >= size:
        raise ValueError("behind the end")
    return Span(int(first), min(size, int(last) + 1) if last else size)
