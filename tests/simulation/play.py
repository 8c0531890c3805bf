"""A story is played on the books and in the model at once; where they part, there is trouble."""

import asyncio
import traceback
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import permutations
from typing import Protocol

from tests.simulation import facts, invariants
from tests.simulation.acts import CreateProduct, Sweep
from tests.simulation.acts_devices import Import, Register, ResetDevice, ResetProduct
from tests.simulation.acts_usage import OF_USE, Reconcile
from tests.simulation.fates import THREAD, Fate, Killed, Kind, MortalBooks, Thread
from tests.simulation.model.world import No, World
from tests.simulation.stage import Stage, same

from licet.refusals import Reason, Refused
from licet.sweep import Swept, sweep


class Act(Protocol):
    async def do(self, stage: Stage, world: World, now: datetime) -> object: ...
    def expect(self, world: World, now: datetime) -> object: ...


@dataclass(frozen=True)
class Moment:
    """What happens at one instant of somebody's clock: one act, or several at once, and what befalls each."""

    at: datetime
    acts: tuple[tuple[Act, Fate | None], ...]

    def __str__(self) -> str:
        told = [f"{act}{f' - and {fate}' if fate else ''}" for act, fate in self.acts]
        return f"{self.at:%Y-%m-%d %H:%M:%S.%f}  " + ("\n" + " " * 20 + "at once:  ").join(told)


class Trouble(Exception):
    """The books and the rules have parted."""

    def __init__(self, moment: int, what: str) -> None:
        super().__init__(what)
        self.moment, self.what = moment, what


@dataclass(frozen=True)
class Outcome:
    """``undone``: nothing came of it. ``unheard``: it is done, and nobody heard."""

    act: Act
    word: str  # answered, undone, unheard, broken
    answer: object = None


@dataclass
class Player:
    books: MortalBooks
    packages: dict[str, str]
    world: World = field(default_factory=World)
    before: datetime | None = None
    struck: int = 0  # how many fates came to pass
    stage: Stage = field(init=False)

    def __post_init__(self) -> None:
        self.stage = Stage(self.books, dict(self.packages))

    async def play(self, story: Sequence[Moment]) -> None:
        """Raises Trouble. At the end everything due is written, and it is written once."""
        for n, moment in enumerate(story):
            await self._moment(n, moment)
        last = self.before or story[0].at
        await self._see_all(len(story), last)
        if self.stage.stream:
            await self._moment(len(story), Moment(last, ((Reconcile(), None),)))

    async def _moment(self, n: int, moment: Moment) -> None:
        if self.before is not None and moment.at < self.before and self.world.last_expiry > moment.at:
            # The clock goes back behind ends of spans of which it depends on who came by what is decided already.
            await self._see_all(n, self.before)
        self.before = moment.at
        self.world.latest = max(self.world.latest, moment.at)
        self.world.advance(moment.at)
        outcomes = await asyncio.gather(*(self._do(act, fate, moment.at) for act, fate in moment.acts))
        for outcome in outcomes:
            if outcome.word == "broken":
                raise Trouble(n, f"{outcome.act}: {outcome.answer}")
        if all(
            isinstance(act, OF_USE) for act, _ in moment.acts
        ):  # no code is touched; what counts is seen by Reconcile
            done = [outcome for outcome in outcomes if outcome.word != "undone"]
            if wrong := [said for each in done if (said := _unexpected(each, self.world, {}, moment.at))]:
                raise Trouble(n, wrong[0])
            return
        swept = len(outcomes) == 1 and isinstance(outcomes[0].act, Sweep) and outcomes[0].word == "answered"
        await self._agree(n, moment.at, outcomes, exact=swept)
        if swept:
            await self._see_counters(n, moment.at)
        for outcome in outcomes:
            _learn(self.world, outcome, self.stage.secrets)
        if found := await invariants.broken(self.books):
            raise Trouble(n, "\n".join(found[:3]))

    async def _do(self, act: Act, fate: Fate | None, now: datetime) -> Outcome:
        thread = Thread(fate)
        THREAD.set(thread)
        try:
            return await self._done(act, thread, now)
        finally:
            self.struck += thread.struck

    async def _done(self, act: Act, thread: Thread, now: datetime) -> Outcome:
        try:
            answer = await act.do(self.stage, self.world, now)
        except Killed:
            return Outcome(act, "unheard" if thread.fate is not None and thread.fate.kind is Kind.UNHEARD else "undone")
        except Refused as refused:
            if refused.reason is Reason.BOOKS_AWAY:
                return Outcome(
                    act, "undone" if thread.struck else "broken", "the books were away, and nobody took them"
                )
            return Outcome(act, "answered", ("no", refused.reason.code))
        except Exception as error:  # noqa: BLE001 - whatever it is, the story tells it
            return Outcome(act, "broken", "".join(traceback.format_exception(error, limit=-6)))
        return Outcome(act, "answered", answer)

    async def _agree(self, n: int, now: datetime, outcomes: Sequence[Outcome], *, exact: bool) -> None:
        """Acts at once must have come to what some order of them comes to. The model goes on from there."""
        written = await facts.read(self.books)
        done = [outcome for outcome in outcomes if outcome.word != "undone"]
        first: str | None = None
        for order in permutations(done):
            world, secrets = self.world.clone() if len(done) > 1 else self.world, dict(self.stage.secrets)
            wrong = next((said for each in order if (said := _unexpected(each, world, secrets, now))), None)
            wrong = wrong or next(facts.differences(written, self.stage, world, exact=exact), None)
            if wrong is None:
                self.world, self.stage.secrets = world, secrets
                return
            first = first or wrong
        raise Trouble(n, first or "nothing")

    async def _see_all(self, n: int, now: datetime) -> None:
        """A sweep that nothing befalls; a second one finds nothing to do."""
        await sweep(self.books, now=now)
        again = await sweep(self.books, now=now)
        if again != Swept():
            raise Trouble(n, f"a second sweep at {now} finds something to do: {again}")
        await self._agree(n, now, [], exact=True)
        await self._see_counters(n, now)

    async def _see_counters(self, n: int, now: datetime) -> None:
        if wrong := await facts.miscounted(self.stage, self.world, now, behind=now < self.world.latest):
            raise Trouble(n, "\n".join(wrong[:3]))


def _unexpected(outcome: Outcome, world: World, secrets: dict[str, str], now: datetime) -> str | None:
    """Take the act in the model. Returns what licet answered instead of what it must, if so."""
    try:
        expected = outcome.act.expect(world, now)
    except No as no:
        expected = ("no", no.code)
    if outcome.word == "unheard" or same(outcome.answer, expected, secrets):
        return None
    return f"{outcome.act}\n    is answered  {_said(outcome.answer)}\n    and must be  {_said(expected)}"


def _said(answer: object) -> str:
    if isinstance(answer, tuple):
        return f"({', '.join(_said(each) for each in answer)})"
    return f"{answer:%Y-%m-%d %H:%M:%S.%f}" if isinstance(answer, datetime) else str(answer)


def _learn(world: World, outcome: Outcome, secrets: dict[str, str]) -> None:
    """Who asked for a secret goes by it from now on; a secret that was imported is in its device anyway."""
    refused = isinstance(outcome.answer, tuple) and outcome.answer[:1] == ("no",)
    if outcome.word == "undone" or refused:
        return
    if outcome.word == "answered":
        goes_by(world, outcome.act, _in_the_model(outcome.answer, {real: secret for secret, real in secrets.items()}))
    elif isinstance(outcome.act, Import):
        world.held |= {(outcome.act.product, key): secret for key, secret, _ in outcome.act.lines if secret}


def _in_the_model(answer: object, symbols: dict[str, str]) -> object:
    if isinstance(answer, tuple):
        return tuple(_in_the_model(each, symbols) for each in answer)
    return symbols.get(answer, answer) if isinstance(answer, str) else answer


def goes_by(world: World, act: Act, answer: object) -> None:
    """Whoever was told a secret goes by it."""
    match act, answer:
        case ((CreateProduct(name=name) | ResetProduct(product=name)), str(secret)):
            world.held[name, None] = secret
        case ((Register(product=name, key=key) | ResetDevice(product=name, key=key)), str(secret)):
            world.held[name, key] = secret
        case Import(product=name), tuple(told):
            world.held |= {(name, key): secret for key, secret in told}
