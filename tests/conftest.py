"""The engines that tests run on: real, throw-away, and each test's own as far as it can tell.

One PostgreSQL serves a whole test run, however many workers share it. It belongs to the process that was
started by hand, so it ends with it. Every test that asks for `database_url` gets a database of its own, cloned
from one that is migrated once.
"""

import asyncio
import shutil
import tempfile
import uuid
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import hypothesis
import psycopg
import pytest
from psycopg import sql
from xdist.workermanage import WorkerController

from licet.keyring import Keyring
from licet.postgres.books import Books
from licet.run.checks import BROWSERS, DEBIAN_PACKAGES
from licet.run.child import NotReadyError
from licet.run.nats_engine import Listen, Nats
from licet.run.ports import free_port
from licet.run.postgres_engine import Postgres

# A checkout may be read only, and a machine busy: no examples are kept beside the source, no test fails for its pace.
hypothesis.settings.register_profile(
    "licet", database=None, deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.load_profile("licet")

TEMPLATE = "licet_migrated"
NatsConfig = Callable[[Listen, Path], str]


class ThrowAwayPostgres:
    """The one cluster of a test run, in a folder that goes when it stops."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="licet-tests-"))
        self.engine = Postgres(self.folder / "postgres", durable=False)
        self.engine.start()

    def stop(self) -> None:
        self.engine.stop()
        shutil.rmtree(self.folder)


_RUNNING: pytest.StashKey[ThrowAwayPostgres] = pytest.StashKey()


def _running(config: pytest.Config) -> ThrowAwayPostgres:
    if _RUNNING not in config.stash:
        config.stash[_RUNNING] = ThrowAwayPostgres()
    return config.stash[_RUNNING]


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: WorkerController) -> None:
    """The process that was started by hand owns the cluster and tells each worker where it is."""
    node.workerinput["postgres_url"] = _running(node.config).engine.url_of("postgres")


def pytest_unconfigure(config: pytest.Config) -> None:
    """Nothing is left running, whatever happened."""
    if _RUNNING in config.stash:
        config.stash[_RUNNING].stop()


@pytest.fixture(scope="session")
def postgres_url(request: pytest.FixtureRequest) -> str:
    """Where the shared cluster is: its maintenance database, as a superuser."""
    told: dict[str, str] | None = getattr(request.config, "workerinput", None)
    return told["postgres_url"] if told is not None else _running(request.config).engine.url_of("postgres")


@pytest.fixture(scope="session")
def template_database(postgres_url: str) -> str:
    """The name of a database with licet's schema and nothing in it, migrated once for all workers."""
    with psycopg.connect(postgres_url, autocommit=True) as maintenance:
        maintenance.execute("select pg_advisory_lock(7265)")
        found = maintenance.execute("select 1 from pg_database where datname = %s", [TEMPLATE]).fetchone()
        if found is None:
            _make_template(maintenance, postgres_url)
    return TEMPLATE


@pytest.fixture
def database_url(postgres_url: str, template_database: str) -> Iterator[str]:
    """A migrated, empty database of this test's own."""
    name = f"test_{uuid.uuid4().hex}"
    _clone(postgres_url, name, template_database)
    yield _in_database(postgres_url, name)
    _drop(postgres_url, name)


@pytest.fixture
def empty_database_url(postgres_url: str) -> Iterator[str]:
    """A database of this test's own with nothing in it, not even a schema."""
    name = f"empty_{uuid.uuid4().hex}"
    _clone(postgres_url, name, "template1")
    yield _in_database(postgres_url, name)
    _drop(postgres_url, name)


@pytest.fixture
def start_postgres(tmp_path: Path) -> Iterator[Callable[[], Postgres]]:
    """Start a durable cluster of this test's own, to be killed and started again."""
    started: list[Postgres] = []

    def start() -> Postgres:
        engine = Postgres(tmp_path / f"postgres-{len(started)}")
        started.append(engine)
        engine.start()
        return engine

    yield start
    for engine in started:
        engine.stop()


@pytest.fixture
def start_nats(tmp_path: Path) -> Iterator[Callable[..., Nats]]:
    """Start a nats-server on free ports: `start_nats()`, or `start_nats(config)` with the text made by the caller."""
    started: list[Nats] = []

    def start(config: NatsConfig = open_to_everyone) -> Nats:
        # Between choosing a port and using it somebody else may take it: then choose again.
        for _ in range(5):
            nats_port = free_port("127.0.0.1", 0)
            listen = Listen("127.0.0.1", nats_port, free_port("127.0.0.1", 0, besides=[nats_port]))
            folder = tmp_path / f"nats-{len(started)}"
            engine = Nats(folder, config(listen, folder / "streams"), listen)
            started.append(engine)
            try:
                engine.start()
            except NotReadyError:
                continue
            return engine
        raise AssertionError(started[-1].log.read_text())

    yield start
    for engine in started:
        engine.stop()


@pytest.fixture(scope="session")
def chromium() -> str:
    """A real browser. Where there is none, the tests that need it fail, and say what to run."""
    for name in BROWSERS:
        if found := shutil.which(name):
            return found
    pytest.fail(f"no browser to test the console with; run: sudo apt-get install -y {' '.join(DEBIAN_PACKAGES)}")


def open_to_everyone(listen: Listen, store: Path) -> str:
    """The least that a nats-server with MQTT needs; it asks nobody who they are."""
    return f"""
        server_name: test-{listen.nats_port}
        listen: "{listen.host}:{listen.nats_port}"
        jetstream {{ store_dir: "{store}" }}
        mqtt {{ host: "{listen.host}", port: {listen.mqtt_port} }}
    """


def _make_template(maintenance: psycopg.Connection[tuple[object, ...]], postgres_url: str) -> None:
    from licet.postgres.migrate import migrate

    made = f"{TEMPLATE}_new"
    maintenance.execute(sql.SQL("drop database if exists {} with (force)").format(sql.Identifier(made)))
    maintenance.execute(sql.SQL("create database {}").format(sql.Identifier(made)))
    asyncio.run(migrate(_in_database(postgres_url, made)))
    maintenance.execute(
        sql.SQL("alter database {} rename to {}").format(sql.Identifier(made), sql.Identifier(TEMPLATE))
    )


def _clone(postgres_url: str, name: str, template: str) -> None:
    with psycopg.connect(postgres_url, autocommit=True) as maintenance:
        maintenance.execute(
            sql.SQL("create database {} template {}").format(sql.Identifier(name), sql.Identifier(template))
        )


def _drop(postgres_url: str, name: str) -> None:
    with psycopg.connect(postgres_url, autocommit=True) as maintenance:
        maintenance.execute(sql.SQL("drop database {} with (force)").format(sql.Identifier(name)))


def _in_database(url: str, name: str) -> str:
    return url.replace("/postgres?", f"/{name}?", 1)


@pytest.fixture
async def books(database_url: str) -> AsyncIterator[Books]:
    """Books of this test's own, under a key that is no secret."""
    async with Books.open(database_url, Keyring({1: bytes(32)}, 1)) as books:
        yield books
