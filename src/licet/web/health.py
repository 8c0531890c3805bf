"""Is it alive, is it ready, how is it doing: for whoever keeps it running."""

from collections.abc import Iterator

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from licet.postgres import health, reports
from licet.refusals import Refused
from licet.web.door import Door, door_of

router = APIRouter(tags=["health"])


@router.get("/healthz")
async def is_alive() -> dict[str, str]:
    """The process answers."""
    return {"status": "ok"}


@router.get("/readyz")
async def is_ready(request: Request) -> Response:
    """The books can be reached, and the devices' door is open."""
    door = door_of(request)
    try:
        books = await health.answers(door.books)
    except Refused:
        books = False
    found = {"books": books, "devices": door.ready()}
    return JSONResponse({"ready": all(found.values())} | found, 200 if all(found.values()) else 503)


@router.get("/metrics")
async def metrics(request: Request) -> Response:
    """For Prometheus."""
    registry: CollectorRegistry = request.app.state.registry
    gauges: Gauges = request.app.state.gauges
    await gauges.look()
    return Response(generate_latest(registry), media_type=CONTENT_TYPE_LATEST)


class Gauges:
    """What is counted elsewhere, read when it is asked for."""

    def __init__(self, door: Door) -> None:
        self._door = door
        self._quarantined: int | None = None

    async def look(self) -> None:
        """Read what only the books know; nothing is said of it while they are away."""
        try:
            self._quarantined = await reports.quarantine_size(self._door.books)
        except Refused:
            self._quarantined = None

    def collect(self) -> Iterator[Metric]:
        knocks = CounterMetricFamily("licet_knocks", "Knocks answered, by answer.", labels=["answer"])
        for answer, count in sorted(self._door.knocks().items()):
            knocks.add_metric([answer], count)
        yield knocks
        ready = GaugeMetricFamily("licet_devices_door_open", "Whether devices are answered (1) or not (0).")
        ready.add_metric([], int(self._door.ready()))
        yield ready
        messages = GaugeMetricFamily("licet_lag_messages", "Messages that are not counted yet.", labels=["stream"])
        seconds = GaugeMetricFamily("licet_lag_seconds", "Age of the oldest of these.", labels=["stream"])
        for stream, lag in sorted(self._door.lag().items()):
            messages.add_metric([stream], lag[0])
            seconds.add_metric([stream], lag[1])
        yield messages
        yield seconds
        if self._quarantined is not None:
            quarantine = GaugeMetricFamily("licet_quarantine", "Use that could not be counted, kept to be looked at.")
            quarantine.add_metric([], self._quarantined)
            yield quarantine
        pool = GaugeMetricFamily("licet_books_pool", "Connections to the books, as the pool counts.", labels=["what"])
        for what, count in sorted(self._door.books.pool_stats().items()):
            pool.add_metric([what], count)
        yield pool
