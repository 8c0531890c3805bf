"""Late: what is counted of a month that is over must meet whoever closes that month (rule G6).

Use is counted and months are closed at the same time, by different processes. Whoever counts something of an earlier
month holds the account first, so that the month is closed before or after, not meanwhile: before, and it is noted as
late; after, and it is on the statement. What is counted of the running month, nearly everything, holds nothing.
"""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from licet.postgres import statements
from licet.postgres.books import Books
from licet.postgres.statements import Month
from licet.statements import month_of

_SLOT_SECONDS = 900
_WESTMOST = timedelta(hours=12)  # the last calendar to begin a month does so this long after UTC
_EASTMOST = timedelta(hours=14)  # and the first one this long before


async def hold_late(books: Books, used: Iterable[tuple[str, int]], *, now: datetime) -> list[Month]:
    """Hold the accounts of which something is about to be counted in a month that is over there, or just about.

    ``used``: (product key, slot: quarters of an hour since 1970 in UTC). Returns these months, for
    ``statements.note_late`` once it is counted, in the same transaction; that notes those that are closed.
    """
    begins = (now + _EASTMOST).astimezone(UTC).replace(day=1, hour=0, minute=0, second=0, microsecond=0) + _WESTMOST
    begins_slot = int(begins.timestamp()) // _SLOT_SECONDS
    earlier = {(product_key, slot) for product_key, slot in used if slot < begins_slot}
    if not earlier:
        return []
    calendars = await statements.hold_calendars(books, sorted({product_key for product_key, _ in earlier}))
    months = set()
    for product_key, slot in earlier:
        if (calendar := calendars.get(product_key)) is not None:
            # Also of the month that runs: an account that has moved west may have closed it where it was before.
            account_id, zone = calendar[0], ZoneInfo(calendar[1])
            months.add((account_id, month_of(datetime.fromtimestamp(slot * _SLOT_SECONDS, zone).date())))
    return sorted(months)


def slot_of(at: datetime) -> int:
    return int(at.timestamp()) // _SLOT_SECONDS
