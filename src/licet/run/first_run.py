"""What a start makes so that somebody can come in: an operator's token for programs, a sign-in link for a person."""

import os
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from licet.accounts import PLATFORM
from licet.invite import issue_operator_token, operator, sign_in_link, token_holder
from licet.postgres.books import Books
from licet.run import key_file
from licet.run.config import Settings

_OPERATOR = "operator@localhost"
_LINK_HOURS = 24


@dataclass(frozen=True, slots=True)
class FirstRun:
    """``token``: the operator's, the same at every start. ``sign_in_link``: good once, for a day."""

    token: str
    sign_in_link: str


async def prepare(settings: Settings, *, now: datetime) -> FirstRun:
    """The operator's token, kept in the data folder (mode 0600) and issued anew if it was revoked; and a fresh link."""
    async with Books.open(settings.database_url, key_file.load(settings.key_file), connections=1) as books:
        kept = settings.data / "operator.token"
        token = kept.read_text("ascii").strip() if kept.exists() else ""
        if not token or await token_holder(books, token, now=now) is None:
            token = await issue_operator_token(books, name="operator of this machine", by=PLATFORM, now=now)
            _keep(kept, token)
        person = await operator(books, email=_OPERATOR, name="Operator", by=PLATFORM, now=now)
        link, _ = await sign_in_link(books, person.id, hours=_LINK_HOURS, by=PLATFORM, now=now)
        return FirstRun(token, f"{settings.public_url.rstrip('/')}/sign-in/{link}")


def _keep(path: Path, token: str) -> None:
    aside = path.with_name(path.name + ".new")
    aside.unlink(missing_ok=True)
    with os.fdopen(os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="ascii") as file:
        file.write(token + "\n")
    aside.replace(path)
