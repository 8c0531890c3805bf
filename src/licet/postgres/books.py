"""The books: one PostgreSQL database that remembers everything licet knows.

A verb opens a transaction and gets books that are bound to it; books that are bound already join it, so that a door may
put what it has to write (the answer to an ``Idempotency-Key``) into the same one. Reads outside a transaction are one
round trip each.
"""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, Self

import psycopg
from psycopg import AsyncConnection, errors, sql
from psycopg_pool import AsyncConnectionPool, PoolTimeout

from licet.keyring import Keyring
from licet.refusals import Reason, Refused

Row = tuple[Any, ...]

#: What it means for the one who asks that a constraint had the last word. The sentence's facts come from the verb.
LAST_WORDS: Mapping[str, Reason] = {
    "packages_name_once": Reason.NAME_TAKEN,
    "people_email_once": Reason.NAME_TAKEN,
    "lots_order_once": Reason.ORDER_CREDITED,
    "devices_virtual_once": Reason.VIRTUAL_DEVICE_EXISTS,
    "registrations_nonce_once": Reason.NONCE_USED,
}


class Books:
    """Reads and writes by named queries. Raises ``Refused`` (books_away) while the database cannot be reached."""

    def __init__(
        self,
        pool: AsyncConnectionPool[AsyncConnection[Row]],
        keyring: Keyring,
        connection: AsyncConnection[Row] | None = None,
    ) -> None:
        self.keyring = keyring
        self._pool = pool
        self._connection = connection

    @classmethod
    @asynccontextmanager
    async def open(cls, database_url: str, keyring: Keyring, *, connections: int = 8) -> AsyncIterator[Self]:
        """Open the books at a PostgreSQL URL, with up to so many connections at once."""
        pool = AsyncConnectionPool(
            database_url,
            kwargs={"autocommit": True, "prepare_threshold": 0, "options": "-c timezone=UTC"},
            min_size=1,
            max_size=connections,
            timeout=5,
            # Whoever asks next tries again at once; by itself the pool would wait as long as the books were away.
            reconnect_timeout=1,
            open=False,
            check=None,
        )
        async with pool:
            yield cls(pool, keyring)

    @asynccontextmanager
    async def transaction(self, **facts: object) -> AsyncIterator[Self]:
        """One transaction, or the one these books are in already. All of it is remembered, or nothing.

        ``facts`` fill the refusal's sentence when a constraint has the last word (``LAST_WORDS``).
        """
        with _translated(facts):
            if self._connection is not None:
                yield self
                return
            async with self._pool.connection() as connection, connection.transaction():
                yield type(self)(self._pool, self.keyring, connection)

    async def all(self, query: bytes, **parameters: object) -> list[Row]:
        """Every row of the answer."""
        if self._connection is not None:  # the transaction says what a constraint's last word means
            return await (await self._connection.execute(query, parameters)).fetchall()
        with _translated({}):
            async with self._pool.connection() as connection:
                return await (await connection.execute(query, parameters)).fetchall()

    async def one(self, query: bytes, **parameters: object) -> Row | None:
        """The first row of the answer, or None."""
        rows = await self.all(query, **parameters)
        return rows[0] if rows else None

    def pool_stats(self) -> dict[str, int]:
        """How the pool of connections is doing, in its own words."""
        return self._pool.get_stats()

    async def run(self, query: bytes, **parameters: object) -> int:
        """Write, and say how many rows that touched. Only inside a transaction."""
        if self._connection is None:
            raise RuntimeError("a write belongs in a transaction")
        return (await self._connection.execute(query, parameters)).rowcount

    async def copy(self, table: str, columns: Sequence[str], rows: bytes) -> None:
        """Write many rows at once, packed in the server's own binary form. Only inside a transaction."""
        if self._connection is None:
            raise RuntimeError("a write belongs in a transaction")
        names = sql.SQL(", ").join(map(sql.Identifier, columns))
        statement = sql.SQL("{} {} ({}) FROM STDIN (FORMAT binary)").format(
            sql.SQL("COPY"), sql.Identifier(table), names
        )
        async with self._connection.cursor() as cursor, cursor.copy(statement) as into:
            await into.write(rows)

    async def vacuum(self, table: str) -> None:
        """Give back the room of rows that are gone. Not inside a transaction."""
        with _translated({}):
            async with self._pool.connection() as connection:
                await connection.execute(sql.SQL("VACUUM {}").format(sql.Identifier(table)))


class _translated:  # noqa: N801 - reads as a word in a with statement
    """Turn what the driver raises into what licet says."""

    def __init__(self, facts: Mapping[str, object]) -> None:
        self._facts = facts

    def __enter__(self) -> None:
        pass

    def __exit__(self, _kind: type[BaseException] | None, error: BaseException | None, _trace: object) -> None:
        match error:
            case errors.IntegrityError() if reason := LAST_WORDS.get(error.diag.constraint_name or ""):
                raise Refused(reason, **self._facts) from error
            case PoolTimeout() | psycopg.InterfaceError():
                raise Refused(Reason.BOOKS_AWAY) from error
            case psycopg.OperationalError() if not isinstance(error, errors.QueryCanceled):
                raise Refused(Reason.BOOKS_AWAY) from error
