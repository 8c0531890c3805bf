"""What the books hold, read past licet: to see that something has changed, or that nothing has."""

from typing import Any

import psycopg
from psycopg import sql

# What time and the broker write by themselves; what people and devices ask for is in all the other tables.
_BY_THEMSELVES = ("events", "notices", "lapses", "sessions", "message_", "account_days", "stored_", "storage_")


def contents(said: dict[str, Any]) -> dict[str, tuple[int, str]]:
    """Of each table that somebody's asking can change: how many rows, and a digest of all of them."""
    with psycopg.connect(said["database_url"]) as books:
        found = books.execute("select tablename from pg_tables where schemaname = 'public' order by 1").fetchall()
        tables = [name for (name,) in found if not name.startswith(_BY_THEMSELVES)]
        assert {"accounts", "products", "lots", "ranges", "devices", "activations", "asks", "audit"} <= set(tables)
        return {name: _content(books, name) for name in tables}


def _content(books: psycopg.Connection[tuple[Any, ...]], table: str) -> tuple[int, str]:
    query = sql.SQL("select count(*), coalesce(md5(string_agg(md5(t::text), '' order by md5(t::text))), '') from {} t")
    found = books.execute(query.format(sql.Identifier(table))).fetchone()
    assert found is not None
    return found
