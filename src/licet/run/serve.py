"""`licet serve`: one licet process, on a PostgreSQL and a nats-server that are there already. Many may share the work.

1. open the books; wait for them if need be, and bring them up to date unless `up`, which started us, has done so
2. open the devices' door: whoever knocks is answered, whatever is said is counted
3. open the web door: console and API
4. sweep, and close months that are over, now and then
5. on SIGTERM: hear nobody new, answer who was heard, close
"""

import asyncio
import contextlib
import gc
import logging
import os
import signal
import socket
import sys
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import asdict
from typing import Any
from urllib.parse import urlsplit

import uvicorn

from licet.accounts import FreeCodes
from licet.broker.door import Door as DevicesDoor
from licet.broker.door import Wiring
from licet.broker.gate import Gatekeeping
from licet.broker.wire import pause
from licet.close import close
from licet.packages import Allowance
from licet.postgres.books import Books
from licet.postgres.migrate import OtherBooksError, migrate
from licet.postgres.version import server_version
from licet.refusals import Refused
from licet.run import key_file
from licet.run.child import NotReadyError
from licet.run.clock import Clock
from licet.run.config import Settings
from licet.run.listening import http_url, listen
from licet.run.shifted import write_shift
from licet.shifts import REAL, Shifts
from licet.sweep import Swept, sweep
from licet.units import Term
from licet.web.app import create_app

_FREE_MESSAGES_PER_DAY = 1500
_FREE_OTA_PER_MONTH = 1
_FREE_STORAGE_DAYS = 7
_LEAVE_SECONDS = 20  # from being asked to end
_AGAIN_SECONDS = 2.0  # between two looks whether the books are there

log = logging.getLogger(__name__)


def main(settings: Settings) -> int:
    """Run until SIGINT or SIGTERM. Returns the status to exit with."""
    logging.basicConfig(
        level=settings.log_level.upper(), format="%(asctime)s %(levelname)s %(name)s: %(message)s", force=True
    )
    spare_the_collector()
    try:
        asyncio.run(_serve(settings))
    except (NotReadyError, OtherBooksError, key_file.KeyFileError) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def spare_the_collector() -> None:
    """Knocks and messages come by the hundred thousand and hold no circles: look for these at every 50,000th thing."""
    gc.freeze()
    gc.set_threshold(50_000, 20, 20)


def free_codes(settings: Settings) -> FreeCodes:
    """What a new account is given (rule A8)."""
    allowance = Allowance(
        Term.parse(settings.free_codes_term), _FREE_MESSAGES_PER_DAY, _FREE_OTA_PER_MONTH, _FREE_STORAGE_DAYS
    )
    return FreeCodes(settings.free_codes_enterprise, settings.free_codes_individual, allowance)


def wiring(settings: Settings) -> Wiring:
    """Where the broker is, and how licet proves itself to it."""
    return Wiring(
        urls=[url.strip() for url in settings.nats_url.split(",")],
        password=settings.nats_password,
        seed=settings.broker_seed,
        source=f"/licet/{settings.data_center}",
        keeping=Gatekeeping(batch=settings.admit_batch),
    )


async def _serve(settings: Settings) -> None:
    stop = asyncio.Event()
    for asked in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(asked, stop.set)
    leaving = asyncio.create_task(_leave_in_time(stop))
    clock = Clock(settings.now, settings.now_began)
    keyring = key_file.load(settings.key_file)
    if settings.http_fd is None:
        await _bring_up_to_date(settings.database_url, stop)
    with _http_socket(settings) as http:
        async with Books.open(settings.database_url, keyring) as books:
            shifts = await _shifts(books, clock, stop)
            devices = DevicesDoor(wiring(settings), books, clock, shifts)
            await _open_doors(settings, books, clock, devices, http, stop)
    leaving.cancel()


async def _leave_in_time(stop: asyncio.Event) -> None:
    """Whoever was heard is answered first; but if an engine is gone in the midst of that, nobody waits for ever."""
    await stop.wait()
    await asyncio.sleep(_LEAVE_SECONDS)
    log.error("Not everything has ended in %d seconds; it ends now.", _LEAVE_SECONDS)
    os._exit(1)


async def _open_doors(
    settings: Settings, books: Books, clock: Clock, devices: DevicesDoor, http: socket.socket, stop: asyncio.Event
) -> None:
    app = create_app(
        books,
        clock=clock,
        data_center=settings.data_center,
        free=free_codes(settings),
        public_url=settings.public_url or http_url(settings.host, settings.http_port),
        session_hours=settings.session_hours,
        presence=devices.presence.online,
        knocks=lambda: devices.gate.tally,
        ready=devices.open.is_set,
        firmware=settings.firmware_folder,
        firmware_mib=settings.firmware_mib,
        lag=lambda: devices.reader.lag,
        messages=devices.stored,
        send_down=devices.downlink.nudge,
    )
    await asyncio.gather(
        devices.run(stop),
        _listen(app, settings, http, stop),
        _sweep_all_day(books, clock, settings.sweep_seconds, stop),
    )


async def _bring_up_to_date(database_url: str, stop: asyncio.Event) -> None:
    """Whichever licet is first does it; the others wait until it is done."""
    while isinstance(away := await server_version(database_url), str) and not stop.is_set():
        log.warning("The books are waited for: %s", away)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), _AGAIN_SECONDS)
    if not stop.is_set():
        for name in await migrate(database_url):
            log.info("The books are brought up to date: %s.", name)


async def _shifts(books: Books, clock: Clock, stop: asyncio.Event) -> Shifts:
    """What time messages came at depends on it, so nobody is heard before the books say it."""
    while not stop.is_set():
        try:
            return await write_shift(books, clock)
        except Refused as away:
            log.warning("The books are waited for: %s", away.sentence)
            await pause(_AGAIN_SECONDS, stop)
    return REAL


def _http_socket(settings: Settings) -> socket.socket:
    """The one that was handed down, or one of our own."""
    if settings.http_fd is not None:
        return socket.socket(fileno=settings.http_fd)
    try:
        return listen(settings.host, settings.http_port)
    except OSError as taken:
        raise NotReadyError(f"HTTP cannot be served: {taken}") from taken


async def _listen(app: Callable[..., Any], settings: Settings, http: socket.socket, stop: asyncio.Event) -> None:
    """Serve HTTP until ``stop``."""
    behind_proxy = urlsplit(settings.public_url).scheme == "https"
    config = uvicorn.Config(
        app,
        host=settings.host,
        port=settings.http_port,
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=behind_proxy,
        timeout_graceful_shutdown=5,
        timeout_keep_alive=30,
    )
    server = _Server(config)
    serving = asyncio.create_task(server.serve(sockets=[http]))
    stopping = asyncio.create_task(stop.wait())
    await asyncio.wait([serving, stopping], return_when=asyncio.FIRST_COMPLETED)
    server.should_exit = True
    stopping.cancel()
    await serving


class _Server(uvicorn.Server):
    """Signals are ours: they stop the devices' door as well."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


async def _sweep_all_day(books: Books, clock: Clock, seconds: int, stop: asyncio.Event) -> None:
    """Now and then write down what time has made true. Late or doubled is as good; so is not at all, for who knocks."""
    while not stop.is_set():
        await _tried("sweep", _sweep(books, clock))
        await _tried("close", _close_months(books, clock))
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), seconds)


async def _tried(name: str, work: Awaitable[None]) -> None:
    """One that stumbles keeps nobody else from their work, and is tried again the next time."""
    try:
        await work
    except Refused as away:
        log.warning("No %s this time: %s", name, away.sentence)
    except Exception:
        log.exception("The %s stumbled; it goes on.", name)


async def _sweep(books: Books, clock: Clock) -> None:
    swept = await sweep(books, now=clock())
    if swept != Swept():
        log.info("Swept: %s.", ", ".join(f"{count} {what}" for what, count in asdict(swept).items()))


async def _close_months(books: Books, clock: Clock) -> None:
    closing = await close(books, now=clock())
    if closing.statements:
        log.info("Closed: %d statements.", closing.statements)
