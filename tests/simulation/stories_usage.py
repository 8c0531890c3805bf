"""What devices use is woven into a story. What becomes of their codes stays as it was told."""

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

from tests.simulation.acts_usage import Count, Fold, GoOn, Reconcile, Send, Stall
from tests.simulation.fates import Fate, Kind
from tests.simulation.model.terms import ZONES
from tests.simulation.model.usage import GHOST, Message, midnight
from tests.simulation.model.world import No, Product, World
from tests.simulation.play import Act, Moment, goes_by

INSTANT = timedelta(microseconds=1)
READERS = ("reader 1", "reader 2", "reader 3")
SIZES = (0, 1, 511, 512, 512, 513, 513, 1024, 1025)
LARGE = (100_000, 400_000, 768_000, 768_001)  # which the day's allowance is soon used up by
TOPICS = {
    "up": ("data/t", "sys/heartbeat", "sys/presence/on", "sys/exception", "sys/command/7", "sys/heartbeats", "sys/ota"),
    "down": ("data/t", "sys/command/7", "sys/ota/x", "sys/heartbeat", "sys/otas", "system"),
}


def woven(told: Sequence[Moment], seed: int) -> list[Moment]:
    """In some stories nothing is used."""
    dice = random.Random(f"use {seed}")
    return list(_Weaver(dice).weave(told)) if dice.random() < 0.7 else list(told)


@dataclass
class _Weaver:
    dice: random.Random
    world: World = field(default_factory=World)

    def weave(self, told: Sequence[Moment]) -> Iterator[Moment]:
        self.faults = self.dice.choice((0.0, 0.1, 0.4))
        often = self.dice.choice((0.1, 0.2, 0.3))
        for moment in told:
            yield moment
            self.world.advance(moment.at)
            for act, _ in moment.acts:
                try:
                    goes_by(self.world, act, act.expect(self.world, moment.at))
                except No:
                    continue
            if self.dice.random() < often:
                for acts in self._acts(moment.at):
                    yield Moment(moment.at, tuple((act, self._fate(act)) for act in acts))

    def _fate(self, act: Act) -> Fate | None:
        if isinstance(act, Send | Reconcile) or self.dice.random() >= self.faults:
            return None
        kind = self.dice.choice(list(Kind))
        return Fate(kind, self.dice.randint(1, 2 if kind is Kind.UNHEARD else 12))

    def _acts(self, at: datetime) -> Iterator[list[Act]]:
        dice = self.dice
        if messages := self._messages(at):
            yield [Send(messages)]
        for _ in range(dice.randint(0, 3)):
            count = Count(dice.choice(READERS), dice.choice((1, 2, 3, 10)), dice.choice((1, 1, 2)))
            match dice.randrange(6):
                case 0:
                    yield [Stall(dice.choice(READERS), dice.randint(1, 5))]
                case 1:
                    yield [GoOn(dice.choice(READERS))]
                case 2:
                    yield [Count(reader, dice.randint(1, 4)) for reader in READERS[: dice.randint(2, 3)]] + [Fold()]
                case 3:
                    yield [GoOn(reader) for reader in READERS[:2]] + [count, Fold(), Fold()]
                case 4:
                    yield [Fold()]
                case _:
                    yield [count]
        if dice.random() < 0.1:
            yield [Reconcile()]

    def _messages(self, at: datetime) -> tuple[Message, ...]:
        dice = self.dice
        able = [
            (product, device.key)
            for product in self.world.products.values()
            if not product.deleted
            for device in product.devices.values()
            if not device.deleted and (device.virtual or device.active(at))
        ]
        if not able:
            return ()
        few = dice.sample(able, min(3, len(able)))
        messages = [self._message(*dice.choice(few), at) for _ in range(dice.randint(1, 8))]
        if dice.random() < 0.1:
            messages.append(self._message(few[0][0], GHOST, at))
        return tuple(messages)

    def _message(self, product: Product, key: str, at: datetime) -> Message:
        dice = self.dice
        direction = dice.choice(tuple(TOPICS))
        topic = "data/t" if dice.random() < 0.5 else dice.choice(TOPICS[direction])
        size = dice.choice(LARGE if dice.random() < 0.25 else SIZES)
        return Message(product.name, key, min(at, self._instant(product.account, at)), direction, size, topic)

    def _instant(self, account: str, at: datetime) -> datetime:
        """Now; or about a midnight of the account's calendar, now and then one of a day of 23 or 25 hours (or so)."""
        dice = self.dice
        how = dice.random()
        if how < 0.3:
            return at
        today = at.astimezone(ZoneInfo(ZONES[account])).date()
        if how < 0.85:
            day = today - timedelta(days=dice.choice((0, 0, 1)))
        else:
            day = dice.choice(_days_of_changes(today.year)) + timedelta(days=dice.choice((0, 1)))
            day = min(today, day)
        near = (-timedelta(hours=1), -INSTANT, timedelta(), INSTANT, timedelta(minutes=29), timedelta(hours=2))
        return (midnight(account, day) + dice.choice(near)).astimezone(UTC)


def _days_of_changes(year: int) -> tuple[date, ...]:
    """In Europe the last Sundays of March and October; on Lord Howe Island the first of April and October."""
    found = []
    for first, step in (
        (date(year, 3, 31), -1),
        (date(year, 10, 31), -1),
        (date(year, 4, 1), 1),
        (date(year, 10, 1), 1),
    ):
        found.append(
            next(
                first + timedelta(days=step * n) for n in range(7) if (first + timedelta(days=step * n)).weekday() == 6
            )
        )
    return tuple(found)
