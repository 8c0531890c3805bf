"""The migrations reach exactly what schema.sql says, and the schema keeps to the rules."""

import asyncio
import re
from pathlib import Path

import psycopg
import pytest

from licet.postgres.books import LAST_WORDS
from licet.postgres.migrate import OtherBooksError, migrate, migrations

SCHEMA = Path(__file__).parents[2] / "src/licet/postgres/schema.sql"

# What PostgreSQL itself knows about a database; the table of migrations is migrate.py's own.
_SHAPES = {
    "columns": """
        SELECT c.relname, a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull, a.attidentity, a.attgenerated,
               pg_get_expr(d.adbin, d.adrelid), o.collname
        FROM pg_attribute a
        JOIN pg_class c ON c.oid = a.attrelid AND c.relkind IN ('r', 'p')
        LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
        LEFT JOIN pg_collation o ON o.oid = a.attcollation
        WHERE c.relnamespace = 'public'::regnamespace AND a.attnum > 0 AND NOT a.attisdropped
    """,
    "constraints": """
        SELECT c.relname, k.conname, pg_get_constraintdef(k.oid), k.convalidated
        FROM pg_constraint k JOIN pg_class c ON c.oid = k.conrelid WHERE c.relnamespace = 'public'::regnamespace
    """,
    "indexes": """
        SELECT t.relname, i.indexrelid::regclass::text, pg_get_indexdef(i.indexrelid), i.indisvalid
        FROM pg_index i JOIN pg_class t ON t.oid = i.indrelid WHERE t.relnamespace = 'public'::regnamespace
    """,
    "others": """
        SELECT c.relname, c.relkind, c.relpersistence, c.reloptions FROM pg_class c
        WHERE c.relnamespace = 'public'::regnamespace
    """,
    "functions": "SELECT p.proname, p.prosrc FROM pg_proc p WHERE p.pronamespace = 'public'::regnamespace",
    "triggers": "SELECT pg_get_triggerdef(t.oid) FROM pg_trigger t WHERE NOT t.tgisinternal ORDER BY 1",
    "types": """
        SELECT t.typname, t.typtype FROM pg_type t
        WHERE t.typnamespace = 'public'::regnamespace AND t.typtype IN ('e', 'd', 'r')
    """,
}


def test_the_migrations_reach_the_schema(database_url: str, empty_database_url: str) -> None:
    with psycopg.connect(empty_database_url) as connection:
        connection.execute(SCHEMA.read_bytes())
    written, reached = _shape(empty_database_url), _shape(database_url)
    for kind in _SHAPES:
        assert reached[kind] == written[kind], kind


def test_a_difference_would_be_found(database_url: str) -> None:
    before = _shape(database_url)
    for change, kind in [
        ("ALTER TABLE lots ADD COLUMN colour text", "columns"),
        ("ALTER TABLE lots ALTER COLUMN quantity TYPE bigint", "columns"),
        ("ALTER TABLE ranges DROP CONSTRAINT ranges_not_oversold", "constraints"),
        ("DROP INDEX activations_ends", "indexes"),
        ("CREATE VIEW everything AS SELECT id FROM lots", "others"),
        ("CREATE FUNCTION one() RETURNS int LANGUAGE sql AS 'SELECT 1'", "functions"),
    ]:
        with psycopg.connect(database_url) as connection:
            connection.execute(change.encode())
            assert _shape_of(connection)[kind] != before[kind], change
            connection.rollback()


def test_migrating_twice_or_at_once_is_migrating_once(empty_database_url: str) -> None:
    async def at_once() -> list[list[str]]:
        return await asyncio.gather(*(migrate(empty_database_url) for _ in range(3)))

    applied = asyncio.run(at_once())
    names = [name for _, name, _ in migrations()]
    assert sorted(applied) == [[], [], names]
    assert asyncio.run(migrate(empty_database_url)) == []


def test_books_that_are_newer_than_licet_are_left_alone(empty_database_url: str) -> None:
    asyncio.run(migrate(empty_database_url))
    with psycopg.connect(empty_database_url) as connection:
        connection.execute("INSERT INTO migrations (number, name, digest) VALUES (9999, 'from_the_future', '')")
    with pytest.raises(OtherBooksError, match="upgrade licet"):
        asyncio.run(migrate(empty_database_url))


def test_books_that_came_about_in_another_way_are_left_alone(empty_database_url: str) -> None:
    """A migration that was changed after it had been applied: what this licet would look for is not there."""
    asyncio.run(migrate(empty_database_url))
    with psycopg.connect(empty_database_url) as connection:
        connection.execute("UPDATE migrations SET digest = 'another' WHERE number = 1")
    with pytest.raises(OtherBooksError, match=r"migration 1 .* is not the one"):
        asyncio.run(migrate(empty_database_url))


def test_migrations_are_numbered_without_gaps() -> None:
    assert [number for number, _, _ in migrations()] == list(range(1, len(migrations()) + 1))


def test_triggers_only_refuse_and_no_table_asks_the_clock(database_url: str) -> None:
    """G4, G6: what is written of a closed month stays written; no trigger ever does anything else."""
    shape = _shape(database_url)
    assert all("EXECUTE FUNCTION refuse_change()" in str(trigger) for trigger in shape["triggers"])
    assert len(shape["functions"]) == 1
    assert "RAISE EXCEPTION" in str(shape["functions"][0])
    defaults = [str(column[6]) for column in shape["columns"] if column[6]]
    assert not [each for each in defaults if re.search(r"now\(|clock|current_|statement_t", each, re.IGNORECASE)]


def test_every_constraint_that_has_a_last_word_is_there(database_url: str) -> None:
    shape = _shape(database_url)
    names = {str(row[1]) for kind in ("constraints", "indexes") for row in shape[kind]}
    assert set(LAST_WORDS) <= names


def test_instants_are_named_at_and_dates_on(database_url: str) -> None:
    """``_at`` an instant, ``_on`` a date; an instant that bounds something is ``_until``, ``_from`` or ``use_by``."""
    for column in _shape(database_url)["columns"]:
        table, name, kind = (str(part) for part in column[:3])
        if kind == "timestamp with time zone":
            assert re.search(r"(^at|_at|_until|_from|use_by)$", name), f"{table}.{name} is a {kind}"
        else:
            assert not re.search(r"(^at|_at)$", name), f"{table}.{name} is a {kind}"
        assert name.endswith("_on") == (kind == "date"), f"{table}.{name} is a {kind}"


def _shape(url: str) -> dict[str, list[tuple[object, ...]]]:
    with psycopg.connect(url) as connection:
        return _shape_of(connection)


def _shape_of(connection: psycopg.Connection[tuple[object, ...]]) -> dict[str, list[tuple[object, ...]]]:
    shape = {kind: connection.execute(query.encode()).fetchall() for kind, query in _SHAPES.items()}
    ours = {kind: [row for row in rows if not str(row[0]).startswith("migrations")] for kind, rows in shape.items()}
    return {kind: sorted(rows, key=str) for kind, rows in ours.items()}
