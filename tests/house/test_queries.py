"""The books hold every line of SQL: each query has a promise, a function of its name, a caller, and fits the schema."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

ROOT = Path(__file__).parents[2]
BOOKS = ROOT / "src/licet/postgres"

_HEADING = re.compile(r"^-- (\w+) --$", re.MULTILINE)
_PARAMETER = re.compile(r"%\((\w+)\)[sbt]")
_CLOCK = re.compile(
    r"\b(?:(?:now|clock_timestamp|statement_timestamp|transaction_timestamp|timeofday|random|age)\s*\("
    r"|current_(?:date|time|timestamp)\b|local(?:time|timestamp)\b|'now')",
    re.IGNORECASE,
)
_STAR = re.compile(r"(?:\b(?:select|returning|distinct|all)|,|\.)\s*\*", re.IGNORECASE)
_OFFSET = re.compile(r"\boffset\b", re.IGNORECASE)
_SQL = re.compile(
    r"\s*(?:(?:SELECT|INSERT INTO|UPDATE|DELETE FROM|WITH|MERGE INTO|COPY|LOCK TABLE|TRUNCATE)\s"
    r"|select\s[^.]*\sfrom\s|insert into\s|update\s+\w+\s+set\s|delete from\s)"
)


def _is_sql(text: str) -> bool:
    return bool(_SQL.match(text))


def queries() -> list[tuple[str, str, str, str]]:
    """(noun, name, promise, statement) of every query there is."""
    found = []
    for path in sorted(BOOKS.glob("*.sql")):
        if path.name == "schema.sql":
            continue
        before, *rest = _HEADING.split(path.read_text("utf-8"))
        assert not _is_sql(before), f"{path.name} begins with a statement that has no name"
        for name, text in zip(rest[::2], rest[1::2], strict=True):
            lines = text.strip().splitlines()
            promise = [line for line in lines if line.startswith("--")]
            statement = "\n".join(line for line in lines if not line.lstrip().startswith("--"))
            found.append((path.stem, name, "\n".join(promise), statement.strip().rstrip(";")))
    return found


def faults_of(statement: str) -> Iterator[str]:
    if found := _CLOCK.search(statement):
        yield f"asks the clock or the dice itself: {found[0]}"
    if _STAR.search(re.sub(r"\bcount\s*\(\s*\*\s*\)", "count()", statement, flags=re.IGNORECASE)):
        yield "selects whatever is there: *"
    if _OFFSET.search(statement):
        yield "pages by counting what it skips: offset"
    if re.search(r"(?<!%)%[sbt]", statement):
        yield "has a parameter without a name"
    if ";" in statement:
        yield "is more than one statement"


QUERIES = queries()
ids = [f"{noun}.{name}" for noun, name, _, _ in QUERIES]


def test_there_are_queries() -> None:
    assert QUERIES
    assert len(set(ids)) == len(ids)


@pytest.mark.parametrize(("noun", "name", "promise", "statement"), QUERIES, ids=ids)
def test_a_query_promises_something_and_keeps_to_the_rules(noun: str, name: str, promise: str, statement: str) -> None:
    assert len(promise) > len("-- x"), f"{noun}.{name} says not what it promises"
    assert not list(faults_of(statement))


def test_every_query_is_prepared_against_the_schema_and_typed(database_url: str) -> None:
    faults = []
    with psycopg.connect(database_url, autocommit=True) as connection:
        for noun, name, _, statement in QUERIES:
            numbered, names = _numbered(statement)
            try:
                connection.execute(f"PREPARE house AS {numbered}".encode())
            except psycopg.Error as error:
                faults.append(f"{noun}.{name}: {error}")
                continue
            known = connection.execute(
                "SELECT parameter_types::text[] FROM pg_prepared_statements WHERE name = 'house'"
            ).fetchone()
            connection.execute("DEALLOCATE house")
            types = dict(zip(names, known[0] if known else [], strict=True))
            faults += [f"{noun}.{name}: {one} has no type" for one, kind in types.items() if kind == "unknown"]
    assert not faults, "\n".join(faults)


def test_each_query_is_wrapped_by_the_one_function_of_its_name() -> None:
    for noun in {noun for noun, _, _, _ in QUERIES}:
        written = {name for of, name, _, _ in QUERIES if of == noun}
        runs: dict[str, set[str]] = {}
        for function in _functions(_tree(BOOKS / f"{noun}.py")):
            for node in ast.walk(function):
                if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "_sql":
                    runs.setdefault(node.attr, set()).add(function.name)
        assert runs == {name: {name} for name in written}, noun


def test_each_function_gives_its_query_what_it_asks_for() -> None:
    """Nothing else would see it before the query is run."""
    asked = {(noun, name): set(_PARAMETER.findall(statement)) for noun, name, _, statement in QUERIES}
    wrong = [
        f"{noun}.{name} asks for {sorted(asked[noun, name])} and is given {sorted(given)}"
        for noun in {noun for noun, _, _, _ in QUERIES}
        for name, given in _given(_tree(BOOKS / f"{noun}.py"))
        if (given - {"**"} > asked[noun, name] if "**" in given else given != asked[noun, name])
    ]
    assert not wrong, "\n".join(wrong)


def test_a_function_that_forgets_something_would_be_found() -> None:
    assert list(_given(ast.parse("rows = books.all(_sql.page, account_id=a, limit=9)"))) == [
        ("page", {"account_id", "limit"})
    ]


def test_every_query_is_called_by_somebody() -> None:
    called = {call for path in (ROOT / "src").rglob("*.py") for call in _calls(path)}
    uncalled = sorted(f"{noun}.{name}" for noun, name, _, _ in QUERIES if (noun, name) not in called)
    assert not uncalled, ", ".join(uncalled)


def test_sql_is_written_nowhere_else() -> None:
    """migrate.py brings the table of migrations along: before it there is no schema to prepare anything against."""
    elsewhere = []
    for path in (ROOT / "src").rglob("*.py"):
        if path == BOOKS / "migrate.py":
            continue
        for node in ast.walk(_tree(path)):
            text = node.value if isinstance(node, ast.Constant) else None
            if isinstance(text, str | bytes) and _is_sql(text.decode("latin-1") if isinstance(text, bytes) else text):
                elsewhere.append(f"{path.relative_to(ROOT)}:{node.lineno}")  # type: ignore[attr-defined]
    assert not elsewhere


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT * FROM lots",
        "SELECT l.* FROM lots l",
        "SELECT id, * FROM lots",
        "DELETE FROM lots RETURNING *",
        "SELECT id FROM lots WHERE credited_at < now()",
        "SELECT CURRENT_TIMESTAMP",
        "SELECT id FROM lots LIMIT 10 OFFSET 20",
        "SELECT id FROM lots WHERE id = %s",
        "SELECT id FROM lots; SELECT id FROM lots",
    ],
)
def test_a_query_that_breaks_a_rule_is_found(statement: str) -> None:
    assert list(faults_of(statement))


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT count(*) FROM lots",
        "SELECT quantity * 2 FROM lots",
        "SELECT told_until FROM notices WHERE days = %(days)s",
    ],
)
def test_a_query_that_keeps_the_rules_is_left_alone(statement: str) -> None:
    assert not list(faults_of(statement))


@pytest.mark.parametrize(
    "written", ["select id from lots", "\n    INSERT INTO lots (id) VALUES (1)", "UPDATE lots SET id = 1"]
)
def test_sql_is_told_from_words(written: str) -> None:
    assert _is_sql(written)
    assert not _is_sql("Select a product first.")
    assert not _is_sql("With dynamic authentication on, devices register themselves.")


def _numbered(statement: str) -> tuple[str, list[str]]:
    """The statement as PREPARE wants it, $1 … instead of names, and the names in that order."""
    names: list[str] = []

    def number(found: re.Match[str]) -> str:
        if found[1] not in names:
            names.append(found[1])
        return f"${names.index(found[1]) + 1}"

    return _PARAMETER.sub(number, statement).replace("%%", "%"), names


def _tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text("utf-8"), str(path))


def _functions(tree: ast.Module) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    yield from (node for node in tree.body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))


def _given(tree: ast.Module) -> Iterator[tuple[str, set[str]]]:
    """(query, names of what it is given) of every call that runs one."""
    for node in ast.walk(tree):
        match node:
            case ast.Call(args=[ast.Attribute(value=ast.Name(id="_sql"), attr=name), *_], keywords=keywords):
                yield name, {keyword.arg or "**" for keyword in keywords}


def _calls(path: Path) -> Iterator[tuple[str, str]]:
    """(noun, function) for every mention of a function of the books in a file that is not its own."""
    tree = _tree(path)
    modules: dict[str, str] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module == "licet.postgres":
            modules |= {each.asname or each.name: each.name for each in node.names}
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith("licet.postgres."):
            noun = str(node.module).rpartition(".")[2]
            yield from ((noun, each.name) for each in node.names)
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id in modules:
            yield modules[node.value.id], node.attr
