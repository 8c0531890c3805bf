"""Bring the books to the present schema: numbered files, each applied once, in order, under an advisory lock."""

from hashlib import sha256
from importlib.resources import files

from psycopg import AsyncConnection

_LOCK = 0x11CE7  # one migration at a time, whoever starts it
_LEDGER = b"""
    CREATE TABLE IF NOT EXISTS migrations (
        number     integer     NOT NULL PRIMARY KEY,
        name       text        NOT NULL,
        digest     text        NOT NULL,
        applied_at timestamptz NOT NULL DEFAULT clock_timestamp()
    )
"""
_APPLIED = b"INSERT INTO migrations (number, name, digest) VALUES (%s, %s, %s)"


class OtherBooksError(RuntimeError):
    """Another licet than this one has made these books what they are."""


def migrations() -> list[tuple[int, str, str]]:
    """(number, name, SQL) of every migration, in order."""
    found = (file for file in (files("licet.postgres") / "migrations").iterdir() if file.name.endswith(".sql"))
    return sorted((int(file.name[:4]), file.name[5:-4], file.read_text("utf-8")) for file in found)


async def migrate(database_url: str) -> list[str]:
    """Apply what is missing, each in a transaction of its own; safe to start twice. Returns the names applied.

    Raises OtherBooksError when the books are newer than this licet, or came about in another way than it knows.
    """
    applied = []
    async with await AsyncConnection.connect(database_url, autocommit=True) as connection:
        await connection.execute("SELECT pg_advisory_lock(%s)", [_LOCK])
        try:
            await connection.execute(_LEDGER)
            known = migrations()
            rows = await (await connection.execute("SELECT number, digest FROM migrations ORDER BY number")).fetchall()
            _must_be_known(dict(rows), known)
            reached = len(rows)
            for number, name, sql in known:
                if number > reached:
                    async with connection.transaction():
                        await connection.execute(sql.encode())
                        await connection.execute(_APPLIED, [number, name, _digest(sql)])
                    applied.append(name)
        finally:
            await connection.execute("SELECT pg_advisory_unlock(%s)", [_LOCK])
    return applied


def _must_be_known(applied: dict[int, str], known: list[tuple[int, str, str]]) -> None:
    if (reached := max(applied, default=0)) > known[-1][0]:
        raise OtherBooksError(f"the books are at migration {reached}, this licet knows {known[-1][0]}: upgrade licet")
    for number, name, sql in known:
        if applied.get(number, _digest(sql)) != _digest(sql):
            raise OtherBooksError(
                f"migration {number} ({name}) of the books is not the one that this licet knows: they were made by a "
                "licet between two versions. Use that one, or begin new books"
            )


def _digest(sql: str) -> str:
    return sha256(sql.encode()).hexdigest()
