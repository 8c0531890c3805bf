"""The two engines under our own supervision: started, stopped, killed and started again."""

import os
import signal
import socket
import stat
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest

from licet.run.child import is_alive
from licet.run.nats_engine import Nats
from licet.run.ports import free_port
from licet.run.postgres_engine import Postgres


def test_a_cluster_keeps_what_was_written_through_a_stop_and_a_kill(start_postgres: Callable[[], Postgres]) -> None:
    engine = start_postgres()
    with psycopg.connect(engine.url) as connection:
        connection.execute("create table kept (n int)")
        connection.execute("insert into kept values (1)")
    engine.stop()
    engine.start()
    with psycopg.connect(engine.url) as connection:
        connection.execute("insert into kept values (2)")
    assert engine.process is not None
    engine.process.kill()
    engine.process.wait()
    engine.start()
    with psycopg.connect(engine.url) as connection:
        assert connection.execute("select n from kept order by n").fetchall() == [(1,), (2,)]


def test_nobody_is_trusted_and_no_port_is_open(start_postgres: Callable[[], Postgres]) -> None:
    engine = start_postgres()
    with psycopg.connect(engine.url) as connection:
        assert connection.execute("show listen_addresses").fetchone() == ("",)
        methods = connection.execute("select distinct auth_method from pg_hba_file_rules").fetchall()
        assert methods == [("scram-sha-256",)]
        collations = connection.execute("select distinct datcollate, datctype from pg_database").fetchall()
        assert collations == [("C.UTF-8", "C.UTF-8")]
    without_password = engine.url.replace(engine.url.split("@")[0], "postgresql://licet")
    with pytest.raises(psycopg.OperationalError, match="password"):
        psycopg.connect(without_password)
    assert stat.S_IMODE((engine.folder / "password").stat().st_mode) == 0o600


def test_no_folder_above_our_own_is_opened(tmp_path: Path) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    before = stat.S_IMODE(closed.stat().st_mode)
    engine = Postgres(closed / "deep" / "postgres", durable=False)
    engine.start()
    try:
        with psycopg.connect(engine.url) as connection:
            connection.execute("select 1")
        assert engine.process is not None
        server = Path(f"/proc/{engine.process.pid}").stat().st_uid
        assert server != 0
        assert (server == os.geteuid()) == (os.geteuid() != 0)
    finally:
        engine.stop()
    assert stat.S_IMODE(closed.stat().st_mode) == before
    assert closed.stat().st_uid == os.geteuid()


def test_a_path_too_long_for_a_socket_is_reached_by_a_short_link(tmp_path: Path) -> None:
    engine = Postgres(tmp_path / ("long-" * 20) / "postgres", durable=False)
    engine.start()
    try:
        with psycopg.connect(engine.url) as connection:
            assert connection.execute("select 1").fetchone() == (1,)
    finally:
        engine.stop()


def test_a_half_made_cluster_is_made_anew(tmp_path: Path) -> None:
    half = tmp_path / "postgres" / "data.new"
    half.mkdir(parents=True)
    (half / "PG_VERSION").write_text("18")
    engine = Postgres(tmp_path / "postgres", durable=False)
    engine.start()
    engine.stop()
    assert not half.exists()


def test_a_pid_file_whose_number_is_another_process_by_now_is_forgotten(tmp_path: Path) -> None:
    engine = Postgres(tmp_path / "postgres", durable=False)
    engine.prepare()
    with subprocess.Popen(["sleep", "60"]) as stranger:
        (engine.data / "postmaster.pid").write_text(f"{stranger.pid}\n/proc/self/cwd\n1\n5432\n.\n\n\nready\n")
        engine.start()
        engine.stop()
        assert stranger.poll() is None
        stranger.kill()


ORPHANS = """
    import os, pathlib, signal, sys, tempfile
    sys.path[:0] = sys.argv[2:]
    import conftest
    from licet.run.nats_engine import Listen, Nats
    from licet.run.ports import free_port
    from licet.run.postgres_engine import Postgres
    folder = pathlib.Path(sys.argv[1])
    postgres = Postgres(folder / "postgres", durable=False)
    postgres.start()
    port = free_port("127.0.0.1", 0)
    listen = Listen("127.0.0.1", port, free_port("127.0.0.1", 0, besides=[port]))
    nats = Nats(folder / "nats", conftest.open_to_everyone(listen, folder / "nats" / "streams"), listen)
    nats.start()
    print(postgres.process.pid, nats.process.pid, flush=True)
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_engines_die_with_a_supervisor_that_is_killed(tmp_path: Path) -> None:
    paths = [str(Path(__file__).parents[1]), str(Path(__file__).parents[2] / "src")]
    command = [sys.executable, "-c", textwrap.dedent(ORPHANS), str(tmp_path), *paths]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == -signal.SIGKILL, done.stderr
    pids = [int(pid) for pid in done.stdout.split()]
    assert len(pids) == 2
    _wait_for(lambda: not any(is_alive(pid) for pid in pids))
    again = Postgres(tmp_path / "postgres", durable=False)
    again.start()
    again.stop()


def test_nats_answers_on_both_ports_and_survives_a_kill(start_nats: Callable[..., Nats]) -> None:
    engine = start_nats()
    assert engine.ready()
    assert engine.process is not None
    engine.process.kill()
    engine.process.wait()
    assert not engine.ready()
    engine.start()
    assert engine.ready()
    assert stat.S_IMODE((engine.folder / "nats.conf").stat().st_mode) == 0o600


def test_a_taken_port_gives_way_to_the_next_free_one(start_nats: Callable[..., Nats]) -> None:
    taken = start_nats().listen.nats_port
    chosen = free_port("127.0.0.1", taken)
    assert chosen > taken
    assert free_port("127.0.0.1", chosen) == chosen
    assert free_port("127.0.0.1", chosen, besides=[chosen]) > chosen


def _wait_for(done: Callable[[], bool], within: float = 20.0) -> None:
    give_up = time.monotonic() + within
    while not done():
        assert time.monotonic() < give_up
        time.sleep(0.02)


def test_a_taken_port_is_passed_over_and_any_other_trouble_is_said() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert free_port("127.0.0.1", port) > port
    with pytest.raises(OSError, match=r"port 8080 of 192\.0\.2\.1 cannot be listened on"):
        free_port("192.0.2.1", 8080)  # nobody's address, by agreement
