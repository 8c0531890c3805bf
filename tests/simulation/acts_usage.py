"""Messages go through, and readers count them: see acts.py.

What went through lies in a stream, as it does in the broker: numbered, and as it was. Readers of it are slow, die, are
doubled, and take over from each other; whatever they do, each message is counted once (E1 to E4).
"""

from dataclasses import dataclass
from datetime import datetime

from tests.simulation import facts_usage
from tests.simulation.facts_usage import STREAM, tallied
from tests.simulation.model.usage import GHOST, Message
from tests.simulation.model.world import World
from tests.simulation.stage import Stage

from licet import meter as metering


@dataclass(frozen=True)
class Send:
    """Only of those that may connect do messages go through."""

    messages: tuple[Message, ...]

    def __str__(self) -> str:
        return "; ".join(map(str, self.messages))

    async def do(self, stage: Stage, world: World, now: datetime) -> object:
        stage.stream += [message for message in self.messages if _goes_through(world, message, now)]
        return None

    def expect(self, _world: World, _now: datetime) -> object:
        return None


@dataclass(frozen=True)
class Count:
    """A reader claims the next messages and counts them; ``times``: it does not know that it has done so already."""

    reader: str
    most: int
    times: int = 1

    def __str__(self) -> str:
        return f"{self.reader} claims {self.most} messages at most and counts them, {self.times} times"

    async def do(self, stage: Stage, _world: World, now: datetime) -> object:
        claimed = await metering.claim(
            stage.books, STREAM, last_sequence=len(stage.stream), most=self.most, claimed_by=self.reader, now=now
        )
        if claimed is None:
            return 0
        stage.claims.add(claimed)
        again = 0
        for n in range(self.times):
            counted = await metering.meter(
                stage.books, claimed, tallied(stage, claimed), now=now, known=stage.known[self.reader]
            )
            again += counted and n > 0
        return again

    def expect(self, _world: World, _now: datetime) -> object:
        return 0  # times that it was counted again


@dataclass(frozen=True)
class Stall:
    """A reader claims the next messages, and is not heard of for some time."""

    reader: str
    most: int

    def __str__(self) -> str:
        return f"{self.reader} claims {self.most} messages at most, and stalls"

    async def do(self, stage: Stage, _world: World, now: datetime) -> object:
        claimed = await metering.claim(
            stage.books, STREAM, last_sequence=len(stage.stream), most=self.most, claimed_by=self.reader, now=now
        )
        if claimed is not None:
            stage.claims.add(claimed)
            stage.stalled[self.reader] = claimed
        return None

    def expect(self, _world: World, _now: datetime) -> object:
        return None


@dataclass(frozen=True)
class GoOn:
    """A reader that had stalled counts what it had claimed, whoever has counted it meanwhile."""

    reader: str

    def __str__(self) -> str:
        return f"{self.reader} goes on where it had stalled"

    async def do(self, stage: Stage, _world: World, now: datetime) -> object:
        if (claimed := stage.stalled.get(self.reader)) is not None:
            await metering.meter(stage.books, claimed, tallied(stage, claimed), now=now)
        return None

    def expect(self, _world: World, _now: datetime) -> object:
        return None


@dataclass(frozen=True)
class Fold:
    def __str__(self) -> str:
        return "what was counted is folded"

    async def do(self, stage: Stage, _world: World, now: datetime) -> object:
        await metering.fold(stage.books, now=now)
        return None

    def expect(self, _world: World, _now: datetime) -> object:
        return None


@dataclass(frozen=True)
class Reconcile:
    """Everything is claimed, counted and folded; then the stream is counted again, and the books say the same."""

    def __str__(self) -> str:
        return "the stream is counted again, and held against the books"

    async def do(self, stage: Stage, world: World, now: datetime) -> object:
        return await facts_usage.reconcile(stage, world, now)

    def expect(self, _world: World, _now: datetime) -> object:
        return ()


#: What touches no code.
OF_USE = (Send, Count, Stall, GoOn, Fold, Reconcile)


def _goes_through(world: World, message: Message, now: datetime) -> bool:
    product = world.products.get(message.product)
    if product is None or product.deleted:
        return False
    device = product.devices.get(message.key)
    if device is None:
        return message.key == GHOST
    return not device.deleted and (device.virtual or device.active(now))
