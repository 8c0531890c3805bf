"""Bring the books to the present schema: numbered files, each applied once, in order, under an advisory lock."""

from importlib.resources import files

from psycopg import AsyncConnection

_LOCK = 0x11CE7  # one migration at a time, whoever starts it
_LEDGER = b"""
    CREATE TABLE IF NOT EXISTS migrations (
        number     integer     NOT NULL PRIMARY KEY,
        name       text        NOT NULL,
        applied_at timestamptz NOT NULL DEFAULT clock_timestamp()
    )
"""


class NewerBooksError(RuntimeError):
    """A newer licet has written these books."""


def migrations() -> list[tuple[int, str, str]]:
    """(number, name, SQL) of every migration, in order."""
    found = (file for file in (files("licet.postgres") / "migrations").iterdir() if file.name.endswith(".sql"))
    return sorted((int(file.name[:4]), file.name[5:-4], file.read_text("utf-8")) for file in found)


async def migrate(database_url: str) -> list[str]:
    """Apply what is missing, each in a transaction of its own; safe to start twice. Returns the names applied.

    Raises NewerBooksError when the books are newer than this licet.
    """
    applied = []
    async with await AsyncConnection.connect(database_url, autocommit=True) as connection:
        await connection.execute("SELECT pg_advisory_lock(%s)", [_LOCK])
        try:
            await connection.execute(_LEDGER)
            row = await (await connection.execute("SELECT coalesce(max(number), 0) FROM migrations")).fetchone()
            reached = row[0] if row else 0
            known = migrations()
            if reached > known[-1][0]:
                raise NewerBooksError(
                    f"the books are at migration {reached}, this licet knows {known[-1][0]}: upgrade licet"
                )
            for number, name, sql in known:
                if number > reached:
                    async with connection.transaction():
                        await connection.execute(sql.encode())
                        await connection.execute("INSERT INTO migrations VALUES (%s, %s)", [number, name])
                    applied.append(name)
        finally:
            await connection.execute("SELECT pg_advisory_unlock(%s)", [_LOCK])
    return applied
