"""`licet up` as somebody runs it: started, looked at, killed in every part, stopped, and started again."""

import os
import signal
import socket
import stat
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

import psycopg
import pytest
from doors.running import Up, answers, greets, opens, pids, wait_for

from licet.broker.server import server_config
from licet.broker.tokens import issuer_of, new_seed
from licet.run.child import is_alive
from licet.run.nats_engine import Listen, Nats


def test_everything_starts_says_where_it_is_and_stops(up: Callable[..., Up]) -> None:
    one = up()
    said = one.start()
    where = {"url", "public_url", "token", "mqtt_host", "mqtt_port", "database_url", "nats_url"}
    assert set(said) == where | {"pids"}
    assert stat.S_IMODE((one.data / "run.json").stat().st_mode) == 0o600
    assert stat.S_IMODE(one.data.stat().st_mode) == 0o700
    assert answers(said, "/readyz")
    assert greets(said)
    socket.create_connection((said["mqtt_host"], said["mqtt_port"]), timeout=5).close()
    with psycopg.connect(said["database_url"]) as books:
        assert books.execute("select count(*) > 0 from migrations").fetchone() == (True,)
    status, output = one.end(signal.SIGTERM)
    assert status == 0
    for word in (said["url"], said["token"], f"{said['mqtt_host']}:{said['mqtt_port']}"):
        assert word in output
    assert not (one.data / "run.json").exists()
    assert not [pid for pid in pids(said) if is_alive(pid)]


def test_a_second_one_on_the_same_folder_says_so(up: Callable[..., Up]) -> None:
    one = up()
    said = one.start()
    second = up()
    with pytest.raises(AssertionError, match="already runs on"):
        second.start()
    assert second.process is not None
    assert second.process.returncode == 1
    assert answers(said, "/readyz")


def test_behind_a_proxy_who_asks_on_this_machine_does_not_go_through_it(up: Callable[..., Up]) -> None:
    one = up(**{"public-url": "https://licet.example"})
    said = one.start()
    assert said["public_url"] == "https://licet.example"
    assert urlsplit(said["url"]).hostname == "127.0.0.1"
    assert answers(said, "/readyz")
    output = one.end(signal.SIGTERM)[1]
    assert "https://licet.example/sign-in/" in output
    assert said["url"] not in output


@pytest.mark.parametrize("whom", ["licet", "postgres", "nats"])
def test_who_is_killed_is_started_again(up: Callable[..., Up], whom: str) -> None:
    one = up()
    before = one.start()
    killed = before["pids"][whom]
    killed = killed[0] if isinstance(killed, list) else killed
    os.kill(killed, signal.SIGKILL)
    wait_for(lambda: killed not in pids(one.running()))
    after = one.running()
    assert {key: after[key] for key in after if key != "pids"} == {key: before[key] for key in before if key != "pids"}
    wait_for(lambda: answers(after, "/readyz") and greets(after) and opens(after))


def test_after_a_kill_of_everything_the_next_one_recovers(up: Callable[..., Up]) -> None:
    one = up()
    before = one.start()
    with psycopg.connect(before["database_url"]) as books:
        books.execute("create table kept as select 1 as n")
    for pid in pids(before):
        os.kill(pid, signal.SIGKILL)
    one.end(signal.SIGKILL)
    assert (one.data / "run.json").exists()
    after = one.start()
    assert answers(after, "/readyz")
    with psycopg.connect(after["database_url"]) as books:
        assert books.execute("select n from kept").fetchone() == (1,)


def test_two_side_by_side_do_not_meet_and_a_taken_port_is_said(up: Callable[..., Up]) -> None:
    first = up("first")
    said = first.start()
    http_port, mqtt_port = urlsplit(said["url"]).port, said["mqtt_port"]
    second = up("second", **{"http-port": str(http_port), "mqtt-port": str(mqtt_port)})
    also = second.start()
    assert answers(said, "/readyz")
    assert answers(also, "/readyz")
    assert not set(pids(said)) & set(pids(also))
    _, output = second.end(signal.SIGINT)
    assert f"HTTP: port {http_port} is taken, using {urlsplit(also['url']).port}" in output
    assert f"MQTT: port {mqtt_port} is taken, using {also['mqtt_port']}" in output
    assert answers(said, "/readyz")


def test_one_of_two_processes_is_killed_and_nobody_is_turned_away(up: Callable[..., Up]) -> None:
    one = up(processes="2")
    said = one.start()
    killed, other = said["pids"]["licet"]
    os.kill(killed, signal.SIGKILL)
    assert all(answers(said, "/healthz") for _ in range(20))
    wait_for(lambda: killed not in pids(one.running()))
    after = one.running()["pids"]["licet"]
    assert len(after) == 2
    assert other in after


def test_all_processes_live_in_the_same_other_time_also_when_started_again(up: Callable[..., Up]) -> None:
    one = up(now="2031-05-01T12:00:00Z", processes="2")
    started = one.start()["pids"]["licet"]
    os.kill(started[0], signal.SIGKILL)
    wait_for(lambda: started[0] not in pids(one.running()))
    lives = [told(pid) for pid in (started[1], *one.running()["pids"]["licet"])]
    assert {live["LICET_NOW"] for live in lives} == {"2031-05-01T12:00:00+00:00"}
    assert len({float(live["LICET_NOW_BEGAN"]) for live in lives}) == 1


def test_engines_of_ones_own_are_used_and_left_alone(
    up: Callable[..., Up], database_url: str, start_nats: Callable[..., Nats]
) -> None:
    seed = new_seed()

    def config(listen: Listen, store: Path) -> str:
        return server_config(
            host=listen.host,
            nats_port=listen.nats_port,
            mqtt_port=listen.mqtt_port,
            store_dir=store,
            issuer=issuer_of(seed),
            password="shown to NATS",
        )

    nats = start_nats(config)
    one = up()
    said = one.start(
        LICET_DATABASE_URL=database_url,
        LICET_NATS_URL=nats.url,
        LICET_NATS_PASSWORD="shown to NATS",
        LICET_BROKER_SEED=seed,
    )
    assert said["pids"]["postgres"] is said["pids"]["nats"] is None
    assert (said["database_url"], said["nats_url"]) == (database_url, nats.url)
    assert answers(said, "/readyz")
    assert one.end(signal.SIGTERM)[0] == 0
    assert nats.ready()


@pytest.mark.parametrize(
    ("more", "sentence"),
    [
        ({"LICET_NATS_SERVER": "/nowhere/nats-server"}, "NATS ended"),
        ({"LICET_DATABASE_URL": "postgresql://licet@/licet?host=/nowhere"}, "PostgreSQL cannot be reached"),
        ({"LICET_KEY_FILE": "/proc/nowhere/keys.json"}, "/proc/nowhere"),
    ],
)
def test_what_cannot_start_says_why_and_leaves_nothing(
    up: Callable[..., Up], more: dict[str, str], sentence: str
) -> None:
    one = up()
    with pytest.raises(AssertionError, match=sentence) as failed:
        one.start(**more)
    assert "Traceback" not in str(failed.value)
    assert one.process is not None
    assert one.process.returncode == 1
    assert not (one.data / "postgres" / "data" / "postmaster.pid").exists()


def test_books_that_are_newer_than_licet_are_not_opened(up: Callable[..., Up], database_url: str) -> None:
    with psycopg.connect(database_url) as books:
        books.execute("INSERT INTO migrations (number, name, digest) VALUES (9999, 'from_the_future', '')")
    one = up()
    with pytest.raises(AssertionError, match="upgrade licet") as failed:
        one.start(LICET_DATABASE_URL=database_url)
    assert "Traceback" not in str(failed.value)


def told(pid: int) -> dict[str, str]:
    """The environment that a process was started with."""
    said = Path(f"/proc/{pid}/environ").read_text().rstrip("\0").split("\0")
    return dict(line.split("=", 1) for line in said)
