"""How often an address, or an e-mail address, may be wrong before it has to wait.

Only what went wrong is counted, in this process and on the app's own clock. What is remembered is bounded: with very
many addresses at once the ones that were longest quiet are forgotten first.
"""

import ipaddress
from collections import OrderedDict
from dataclasses import dataclass
from datetime import datetime, timedelta
from math import ceil

from licet.refusals import Reason, Refused

_REMEMBERED = 100_000


@dataclass(frozen=True, slots=True)
class Limit:
    """So many tries that went wrong within a window; then no more until the window has passed."""

    tries: int
    window: timedelta


SIGN_IN = Limit(20, timedelta(minutes=5))
BEARER = Limit(30, timedelta(minutes=1))
REGISTRATION = Limit(60, timedelta(minutes=1))
DEVICE = Limit(20, timedelta(minutes=1))  # one device from one network
DEVICES = Limit(60, timedelta(minutes=1))  # all of one network


class Tries:
    """Who was wrong how often, since when."""

    def __init__(self) -> None:
        self._wrong: OrderedDict[tuple[Limit, str], tuple[datetime, int]] = OrderedDict()

    def begin(self, limit: Limit, who: str, *, now: datetime) -> None:
        """Count a try. Raises ``Refused`` when there were too many.

        What can be guessed is counted before it is tried, so that guesses made all at once are counted too. What
        cannot be guessed is counted once it was wrong: then nobody who is right waits for a neighbour who is not.
        """
        key = (limit, who)
        since, count = self._wrong.pop(key, (now, 0))
        if now - since >= limit.window:
            since, count = now, 0
        self._wrong[key] = (since, min(count + 1, limit.tries + 1))
        if count >= limit.tries:
            raise Refused(Reason.TOO_MANY_TRIES, seconds=ceil((since + limit.window - now).total_seconds()))
        if len(self._wrong) > _REMEMBERED:
            self._wrong.popitem(last=False)

    def was_right(self, limit: Limit, who: str) -> None:
        """That try does not count after all."""
        counted = self._wrong.pop((limit, who), None)
        if counted is not None and counted[1] > 1:
            self._wrong[(limit, who)] = (counted[0], counted[1] - 1)


def network_of(address: str | None) -> str:
    """Whom to count: an address, or in IPv6 the /64 that one line has to itself."""
    try:
        found = ipaddress.ip_address(address or "")
    except ValueError:
        return address or "unknown"
    if isinstance(found, ipaddress.IPv6Address):
        if found.ipv4_mapped is not None:
            return str(found.ipv4_mapped)
        return str(ipaddress.ip_network((found, 64), strict=False))
    return str(found)
