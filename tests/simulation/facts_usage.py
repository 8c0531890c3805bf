"""What the books say was used, held against the stream, which is counted again message by message (``reconcile``)."""

from collections import defaultdict
from datetime import date, datetime, timedelta

from tests.simulation.model.usage import Used, recount
from tests.simulation.model.world import World
from tests.simulation.stage import Stage

from licet import allowances
from licet import meter as metering
from licet.allowances import Direction
from licet.late import slot_of
from licet.postgres import usage
from licet.postgres.usage import Claim, Tally

STREAM = "messages"

_COUNTED = b"""
    SELECT p.product_key, d.device_key, d.id, u.used_on, sum(u.up)::bigint, sum(u.down)::bigint
    FROM (SELECT * FROM message_counts UNION ALL SELECT * FROM message_deltas) u
    JOIN devices d ON d.id = u.device_id
    JOIN products p ON p.id = d.product_id
    GROUP BY p.product_key, d.device_key, d.id, u.used_on
    HAVING sum(u.up + u.down) > 0"""
_QUARANTINED = b"""
    SELECT coalesce(sum((q.reported ->> 'up')::bigint + (q.reported ->> 'down')::bigint), 0) FROM quarantine q"""
_LEFT = b"SELECT (SELECT count(*) FROM message_claims), (SELECT count(*) FROM message_deltas)"
_ROUNDS = 300  # after which readers that find something each time will never come to an end


def tallied(stage: Stage, claimed: Claim) -> list[Tally]:
    """What a reader makes of its claim. Here licet says what counts; the model has its own opinion."""
    sums: defaultdict[tuple[str, str, int], list[int]] = defaultdict(lambda: [0, 0, 0])
    for message in stage.stream[claimed.first - 1 : claimed.last]:
        direction = Direction(message.direction)
        used = sums[stage.product(message.product), message.key, slot_of(message.at)]
        used[direction is Direction.DOWN] += allowances.counted(direction, message.topic, message.size)
        used[2] += message.size
    return [Tally(*names, up, down, size) for names, (up, down, size) in sums.items()]


async def reconcile(stage: Stage, world: World, now: datetime) -> tuple[str, ...]:
    """1. Nothing is left to claim, to count or to fold. 2. Claims are counted again, all of them: that changes nothing.
    3. The books say what the stream says. Returns what is wrong.
    """
    wrong = await _count_the_rest(stage, max(now, world.latest) + timedelta(minutes=1))
    wrong += [
        f"{claimed} is counted again"
        for claimed in sorted(stage.claims)
        if await metering.meter(stage.books, claimed, tallied(stage, claimed), now=now)
    ]
    claimed_to = 0
    for claimed in sorted(stage.claims):
        if claimed.first != claimed_to + 1:
            wrong.append(f"{claimed} comes after {claimed_to}")
        claimed_to = claimed.last
    if claimed_to != len(stage.stream):
        wrong.append(f"{claimed_to} of {len(stage.stream)} messages were claimed")
    return (*wrong, *await _differences(stage, world))


async def _count_the_rest(stage: Stage, now: datetime) -> list[str]:
    """By a reader that nothing befalls, when whoever had claimed anything has been away for long enough."""
    for _ in range(_ROUNDS):
        claimed = await metering.claim(
            stage.books, STREAM, last_sequence=len(stage.stream), most=1000, claimed_by="the last reader", now=now
        )
        if claimed is None:
            break
        stage.claims.add(claimed)
        await metering.meter(stage.books, claimed, tallied(stage, claimed), now=now)
    for _ in range(_ROUNDS):
        if not await usage.days_to_fold(stage.books):
            break
        await metering.fold(stage.books, now=now)
    left = await stage.books.one(_LEFT)
    return [] if left == (0, 0) else [f"claims and deltas that are left for ever: {left}"]


async def _differences(stage: Stage, world: World) -> list[str]:
    expected, nobodys = recount(world, stage.stream)
    names = {key: name for name, key in stage.products.items()}
    rows = await stage.books.all(_COUNTED)
    ids = sorted({row[2] for row in rows})
    counted = {(names[key], device_key, on): (up, down) for key, device_key, _, on, up, down in rows}
    wrong = [
        f"{_said(each)} used {counted.get(each, (0, 0))} up and down, not {_ways(expected.get(each))}"
        for each in sorted(counted.keys() | expected.keys())
        if counted.get(each, (0, 0)) != _ways(expected.get(each))
    ]
    for on in sorted({on for _, _, on in expected}):
        for each in await usage.messages_used_by(stage.books, ids, first=on, last=on):
            assert each.product_key is not None
            assert each.device_key is not None
            who = names[each.product_key], each.device_key, on
            shown = Used(each.up, each.down, each.allowance, each.drawn.covered, each.drawn.excess)
            if each.up + each.down and shown != expected.get(who):
                wrong.append(f"{_said(who)} shows {shown}, not {expected.get(who)}")
    kept = await stage.books.one(_QUARANTINED)
    if kept != (nobodys,):
        wrong.append(f"in quarantine are {kept} messages of nobody, not {nobodys}")
    return wrong


def _ways(used: Used | None) -> tuple[int, int]:
    return (used.up, used.down) if used is not None else (0, 0)


def _said(who: tuple[str, str, date]) -> str:
    product, key, on = who
    return f"{product}/{key} on {on}"
