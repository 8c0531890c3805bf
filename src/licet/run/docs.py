"""The pages of the manual that are made from the code: ``python -m licet.run.docs --write`` makes them again.

A test compares them with what the code says now, so that none of them can be out of date.
"""

import sys
from collections.abc import Iterable
from pathlib import Path

from licet.events import MEANINGS, REVOKING, Kind
from licet.lifecycle import STEPS, CodeState, DeviceState, Step
from licet.refusals import Reason
from licet.run.cli import app
from licet.run.command_page import commands_page

DOCS = Path(__file__).parents[3] / "docs"

_BEGIN = "<!-- made by licet.run.docs from {} -->"
_END = "<!-- end of what is made -->"

_REFUSALS = """\
# Refusals

Every reason licet says no, in order of precedence: when several hold, the first one is said. The API answers with the
code, the sentence and the next step as problem+json (RFC 9457); the console and the command line show the same words.
What is in braces is a fact of the case. A *transient* refusal may be answered otherwise when the same is asked again.

| code | sentence | next step | HTTP | device | |
|---|---|---|---|---|---|
"""

_EVENTS = """\
# Events

Everything licet says has happened. An event is written in the transaction that made it true and told afterwards, at
least once and under the same id each time, as a CloudEvent of type `licet.<event>` on the NATS subject
`licet.events.<event>`. Its `data` has the `account_id` and `product_key` it is about, where it is about one, and these
facts. After those marked ◆ the devices concerned are put out at the broker.

| event | what has happened | facts |
|---|---|---|
"""


def refusals_page() -> str:
    """docs/refusals.md, whole."""
    return _REFUSALS + "".join(
        f"| `{reason.code}` | {reason.value.sentence} | {reason.value.next_step} | {reason.status} "
        f"| {reason.device_code or ''} | {'transient' if reason.transient else ''} |\n"
        for reason in Reason
    )


def events_page() -> str:
    """docs/events.md, whole."""
    return _EVENTS + "".join(_event_line(kind) for kind in Kind)


def _event_line(kind: Kind) -> str:
    says, facts = MEANINGS[kind]
    mark = " ◆" if kind in REVOKING else ""
    return f"| `{kind.value}`{mark} | {says} | {', '.join(f'`{fact}`' for fact in facts)} |\n"


def life_of_a_code() -> str:
    """The made part of docs/the-life-of-a-code.md: two diagrams, then every step."""
    codes, devices = ([step for step in STEPS if isinstance(step.target, state)] for state in (CodeState, DeviceState))
    rows = "".join(
        f"| {_state(step.source)} | {step.target.value} | {step.verb} | {step.when} | {step.rule} |\n"
        for step in (*codes, *devices)
    )
    return (
        f"A code:\n\n{_diagram(codes)}\nA device:\n\n{_diagram(devices)}\n"
        f"| from | to | who takes the step | when | rules |\n|---|---|---|---|---|\n{rows}"
    )


def _diagram(steps: Iterable[Step]) -> str:
    """In mermaid's words; a colon or semicolon would end a label there."""
    lines = "".join(
        f"    {step.source.value if step.source else '[*]'} --> {step.target.value}: "
        f"{step.verb}, {step.when.replace(':', ',').replace(';', ',')}\n"
        for step in steps
    )
    return f"```mermaid\nstateDiagram-v2\n    direction TB\n{lines}```\n"


def _state(state: CodeState | DeviceState | None) -> str:
    return state.value if state is not None else "nothing"


def pages() -> dict[Path, str]:
    """What each page that is made from the code has to say now."""
    life = DOCS / "the-life-of-a-code.md"
    return {
        DOCS / "refusals.md": refusals_page(),
        DOCS / "events.md": events_page(),
        DOCS / "commands.md": commands_page(app),
        life: filled(life.read_text("utf-8"), "lifecycle.py", life_of_a_code()),
    }


def filled(page: str, source: str, made: str) -> str:
    """The page with its made part put between the two marks. Raises ValueError when it lacks them."""
    begin = _BEGIN.format(source)
    before, mark, rest = page.partition(begin)
    _, other_mark, after = rest.partition(_END)
    if not mark or not other_mark:
        raise ValueError(f"the page has no place for what is made from {source}: {begin} … {_END}")
    return f"{before}{begin}\n{made}{_END}{after}"


def main(arguments: list[str]) -> int:
    """Say which pages are out of date; with ``--write``, write them. Returns the exit status."""
    outdated = [path for path, text in pages().items() if not path.exists() or path.read_text("utf-8") != text]
    for path in outdated:
        if "--write" in arguments:
            path.write_text(pages()[path], "utf-8")
        print(f"{path.name} {'written' if '--write' in arguments else 'is out of date'}")
    return 1 if outdated and "--write" not in arguments else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
