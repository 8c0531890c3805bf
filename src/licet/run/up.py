"""`licet up`: everything that licet needs on one machine, started, kept alive, and stopped in order.

1. take the data folder, so that nobody else uses it; end what a killed `up` left running on it
2. make the secrets of the first day; choose ports, and say so where one was taken
3. start PostgreSQL and NATS, unless we are told to use others
4. bring the books up to date, and make what a first start needs
5. start the licet processes, which share one listening socket, and wait until they are ready
6. write run.json, say where everything is, and keep all of it running until we are asked to stop
"""

import asyncio
import os
import signal
import socket
import sys
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit

from licet.broker.server import server_config
from licet.broker.tokens import issuer_of
from licet.postgres.migrate import OtherBooksError, migrate
from licet.postgres.version import OLDEST, server_version
from licet.run import data_folder, first_run, nats_engine, run_file
from licet.run.child import NotReadyError, command_of, end_leftover, is_alive
from licet.run.clock import Clock
from licet.run.config import Settings
from licet.run.key_file import KeyFileError
from licet.run.licet_process import LicetProcess
from licet.run.listening import http_url, listen
from licet.run.nats_engine import Listen, Nats
from licet.run.ports import free_port
from licet.run.postgres_engine import Postgres
from licet.run.supervisor import Supervisor


def main(settings: Settings, *, demo: bool) -> int:
    """Run until SIGINT or SIGTERM. Returns the status to exit with."""
    try:
        with data_folder.taken(settings.data):
            asyncio.run(_Up(settings, demo=demo).run())
    except (data_folder.FolderInUseError, NotReadyError, OtherBooksError, KeyFileError, OSError) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


class _Up:
    """One run of everything."""

    def __init__(self, settings: Settings, *, demo: bool) -> None:
        self._clock = Clock(settings.now)
        # Whoever is started here, now or again, lives in the same time as we do.
        self._settings = replace(data_folder.complete(settings), now_began=self._clock.began)
        self._demo = demo
        self._supervisor = Supervisor(_say)
        self._postgres: Postgres | None = None
        self._nats: Nats | None = None
        self._licets: list[LicetProcess] = []

    async def run(self) -> None:
        stopping = asyncio.Event()
        loop = asyncio.get_running_loop()
        for asked in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            loop.add_signal_handler(asked, stopping.set)
        _end_leftovers(self._settings.data)
        work = asyncio.create_task(self._work())
        asked_to = asyncio.create_task(stopping.wait())
        try:
            await asyncio.wait([work, asked_to], return_when=asyncio.FIRST_COMPLETED)
            if work.done():
                await work
            else:
                _say("stopping")
        finally:
            for task in (work, asked_to):
                task.cancel()
            await asyncio.gather(work, asked_to, return_exceptions=True)
            await self._supervisor.stop()
            run_file.remove(self._settings.data)

    async def _work(self) -> None:
        with self._http_socket() as http:
            await self._start_engines()
            await migrate(self._settings.database_url)
            first = await first_run.prepare(self._settings, now=self._clock())
            running = run_file.Running(
                url=http_url(self._settings.host, self._settings.http_port),
                public_url=self._settings.public_url,
                token=first.token,
                mqtt_host=self._mqtt_host(),
                mqtt_port=self._settings.mqtt_port,
                database_url=self._settings.database_url,
                nats_url=self._settings.nats_url,
            )
            await self._start_licet(http)
            self._supervisor.changed = lambda: run_file.write(self._settings.data, running, self._pids())
            self._supervisor.changed()
            if self._demo:
                await self._supervisor.start(self._licet_process("demo", "demo", answers_at=None))
            self._say_where(running, first.sign_in_link)
            await self._supervisor.wait()

    def _http_socket(self) -> socket.socket:
        """Taken first and held to the end, so that it is nobody else's while licet is started again."""
        settings = self._settings
        port = _port("HTTP", settings.host, settings.http_port, [])
        http = listen(settings.host, port)
        reached = settings.public_url or http_url(settings.host, port)
        self._settings = replace(settings, http_port=port, http_fd=http.fileno(), public_url=reached)
        return http

    async def _start_engines(self) -> None:
        settings = self._settings
        if not settings.database_url:
            self._postgres = Postgres(settings.data / "postgres")
            await self._supervisor.start(self._postgres)
            settings = replace(settings, database_url=self._postgres.url)
        else:
            await _must_answer(settings.database_url)
        if not settings.nats_url:
            nats_port = _port("NATS", settings.host, settings.nats_port, [])
            mqtt_port = _port("MQTT", settings.host, settings.mqtt_port, [nats_port])
            self._nats = _nats(settings, Listen(settings.host, nats_port, mqtt_port))
            await self._supervisor.start(self._nats)
            settings = replace(settings, nats_url=self._nats.url, nats_port=nats_port, mqtt_port=mqtt_port)
        self._settings = settings

    async def _start_licet(self, http: socket.socket) -> None:
        at = (http.getsockname()[0], self._settings.http_port)
        for number in range(1, self._settings.processes + 1):
            process = self._licet_process(f"licet-{number}", "serve", answers_at=at)
            self._licets.append(process)
            await self._supervisor.start(process)

    def _licet_process(self, name: str, command: str, *, answers_at: tuple[str, int] | None) -> LicetProcess:
        return LicetProcess(name, command, self._settings, answers_at=answers_at)

    def _mqtt_host(self) -> str:
        if self._nats is not None:
            return urlsplit(http_url(self._settings.host, 0)).hostname or self._settings.host
        return urlsplit(self._settings.nats_url).hostname or ""

    def _pids(self) -> dict[str, object]:
        def pid(child: Postgres | Nats | LicetProcess | None) -> int | None:
            return child.process.pid if child and child.process else None

        licets = [pid(process) for process in self._licets]
        return {"supervisor": os.getpid(), "postgres": pid(self._postgres), "nats": pid(self._nats), "licet": licets}

    def _say_where(self, running: run_file.Running, sign_in_link: str | None) -> None:
        _say(f"console     {running.public_url}")
        if sign_in_link:
            _say(f"sign in     {sign_in_link}  (once)")
        _say(f"API token   {running.token}")
        _say(f"MQTT        {running.mqtt_host}:{running.mqtt_port}")
        _say(f"data        {self._settings.data}")
        _say("ready; Ctrl-C stops everything")


def _nats(settings: Settings, where: Listen) -> Nats:
    folder = settings.data / "nats"
    config = server_config(
        host=where.host,
        nats_port=where.nats_port,
        mqtt_port=where.mqtt_port,
        store_dir=folder / "streams",
        issuer=issuer_of(settings.broker_seed),
        password=settings.nats_password,
        sync_interval=settings.sync_interval,
        server_name=f"licet-{settings.data_center}",
    )
    return Nats(folder, config, where, server=settings.nats_server)


async def _must_answer(database_url: str) -> None:
    found = await server_version(database_url)
    if isinstance(found, str):
        raise NotReadyError(f"PostgreSQL cannot be reached: {found}")
    if found < OLDEST:
        raise NotReadyError(f"PostgreSQL {found // 10_000} is too old; {OLDEST // 10_000} or later is needed")


def _port(of: str, host: str, wanted: int, besides: list[int]) -> int:
    port = free_port(host, wanted, besides=besides)
    if port != wanted and wanted != 0:
        _say(f"{of}: port {wanted} is taken, using {port}")
    return port


def _end_leftovers(data: Path) -> None:
    """After kill -9 of an `up` the kernel tells its children to end; wait for those that take their time."""
    nats_engine.leave_nothing_running(data / "nats")
    said = run_file.read(data) or {}
    for pid in said.get("pids", {}).get("licet", []):
        if is_alive(pid) and "licet.run.cli" in command_of(pid):
            end_leftover(pid, signal.SIGTERM)
    run_file.remove(data)


def _say(line: str) -> None:
    print(line, flush=True)
