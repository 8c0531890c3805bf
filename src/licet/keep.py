"""Keep: messages are kept for the days that a package grants, or longer, and are gone after it (rule E5).

It is the clock that ends a message's time: from that instant nobody is shown it any more. Keeping it off the disks is
work, done now and then, and never before it is counted; late or doubled it changes nothing that anybody sees.
"""

from collections.abc import Awaitable, Mapping
from datetime import datetime, timedelta
from typing import Protocol
from zoneinfo import ZoneInfo

from licet.accounts import By
from licet.assign import settle_one
from licet.events import Happening, Kind
from licet.postgres import accounts, audit, downlinks, events, storage, usage
from licet.postgres.books import Books
from licet.postgres.storage import Due
from licet.postgres.turns import Work, take_turn
from licet.refusals import Reason, Refused

_EVERY = timedelta(hours=1)  # a product's messages leave the disks at least so long after their time
MOST = 100  # products whose messages are looked for among the others', in one round
_OVER = timedelta(minutes=10)  # after a product is deleted its devices say nothing more


class Purge(Protocol):
    """Everything of a product (or of all) from before an instant goes, as far as its stream is counted: all of it?"""

    def __call__(
        self, *, before: datetime, counted: Mapping[str, int], product_key: str | None = None
    ) -> Awaitable[bool]: ...


async def keep(books: Books, purge: Purge, *, now: datetime) -> int:
    """Take from the disks what nobody keeps any more. Returns of how many products something went.

    1. One at a time; whoever comes second leaves it to the first.
    2. What came before the oldest message that anybody still keeps goes as a whole: most of it, and cheaply.
    3. Of products that keep less long than others, what is due goes by itself: so many of them at a time. Of deleted
       ones everything goes at once.
    4. Write down how far that went; what is not counted yet waits, and is due again.
    """
    async with books.transaction() as books:
        if not await take_turn(books, Work.KEEPING):
            return 0
        untils = {each.product_id: each.since(now) for each in await storage.days_kept(books, now=now)}
        counted = {
            stream: claimed if first is None else first - 1
            for stream, (claimed, first) in (await usage.behind(books)).items()
        }
        oldest = min(untils.values(), default=None)
        if oldest is not None:
            await purge(before=oldest, counted=counted)
            shorter = {product: until for product, until in untils.items() if until - oldest > _EVERY}
            due = await storage.due(books, shorter, every=_EVERY, most=MOST)
        else:
            due = []
        due += [Due(*each, now) for each in await storage.deleted(books, over=_OVER, most=MOST)]
        gone = {each.product_id: each.until for each in due if await _purged(purge, each, counted)}
        await storage.purged(books, gone)
        await downlinks.forget(books, untils | gone)
        return len(gone)


async def _purged(purge: Purge, due: Due, counted: Mapping[str, int]) -> bool:
    return await purge(before=due.until, counted=counted, product_key=due.product_key)


async def keep_for(books: Books, product_key: str, keep_days: int | None, *, by: By, now: datetime) -> None:
    """Keep a product's messages for so many days; None: as its package grants, which is the least.

    Longer is from now on, shorter from the account's next midnight: so that a day has one number, the largest of it.

    Raises ``Refused``: not_found, keeps_too_short.
    """
    async with books.transaction() as books:
        product = await settle_one(books, product_key, by=by, now=now)
        account = await accounts.get(books, product.account_id)
        assert account is not None
        (today,) = await storage.days_kept(books, product_key, now=now)
        if keep_days is not None and keep_days < today.granted_days:
            raise Refused(Reason.KEEPS_TOO_SHORT, product=product.name, granted=today.granted_days, keep_days=keep_days)
        settled = await storage.keeps(books, product.id)
        was = settled[0].keep_days if settled else None
        if keep_days == was:
            return
        shorter = max(keep_days or 0, today.granted_days) < today.kept_days
        starts_on = now.astimezone(ZoneInfo(account.time_zone)).date() + timedelta(days=shorter)
        await storage.set_keep(books, product.id, keep_days, starts_on=starts_on, set_by=by.name, now=now)
        facts: dict[str, object] = {"keep_days": keep_days, "starts_on": starts_on.isoformat()}
        happening = Happening(Kind.PRODUCT_CHANGED, product.account_id, product_key, facts)
        await events.tell(books, [happening], now=now)
        await audit.record(
            books,
            by=by,
            act="changed product",
            subject=product_key,
            before={"keep_days": was},
            after=facts,
            account_id=product.account_id,
            now=now,
        )
