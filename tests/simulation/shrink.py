"""The shortest story that still comes to trouble, and how it is told."""

from collections.abc import Awaitable, Callable, Sequence

from tests.simulation.play import Moment, Trouble

_TRIES = 3

Play = Callable[[Sequence[Moment]], Awaitable[Trouble | None]]


async def shrink(story: Sequence[Moment], trouble: Trouble, play: Play) -> tuple[list[Moment], Trouble]:
    """Leave out what can be left out, many moments at a time, then one, then single acts and what befalls them."""
    short, last = list(story[: trouble.moment + 1]), trouble

    surely = [await play(short), await play(short)]
    tries = (
        1 if all(surely) else _TRIES
    )  # ids are random and races are races: what went well once may not the next time

    async def play_again(fewer: Sequence[Moment]) -> Trouble | None:
        for _ in range(tries):
            if (found := await play(fewer)) is not None:
                return found
        return None

    size = max(1, len(short) // 2)
    while size:
        n = 0
        while n < len(short):
            fewer = short[:n] + short[n + size :]
            found = await play_again(fewer) if fewer else None
            if found is not None:
                short, last = fewer[: found.moment + 1], found
            else:
                n += size
        size //= 2
    for n, moment in enumerate(short):
        for simpler in _simpler(moment):
            fewer = [*short[:n], simpler, *short[n + 1 :]]
            if n < len(short) and (found := await play_again(fewer)) is not None:
                short, last = fewer[: found.moment + 1], found
    return short, last


def _simpler(moment: Moment) -> list[Moment]:
    """The same without one of the acts, and without what befalls anybody."""
    acts = moment.acts
    fewer = [acts[:n] + acts[n + 1 :] for n in range(len(acts))] if len(acts) > 1 else []
    calm = tuple((act, None) for act, _ in acts)
    return [Moment(moment.at, each) for each in ([calm] if calm != acts else []) + fewer]


def tell(story: Sequence[Moment], trouble: Trouble) -> str:
    """The story in the trade's words, down to where the books and the rules part."""
    return "\n".join([*map(str, story), "", "  but:  " + trouble.what])
