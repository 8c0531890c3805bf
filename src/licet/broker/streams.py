"""The streams that licet keeps at the broker. They are made before the first device comes, and never made twice."""

import logging

from nats.js.api import RetentionPolicy, StorageType, StreamConfig
from nats.js.client import JetStreamContext
from nats.js.errors import NotFoundError

EVENTS = "EVENTS"
EVENT_SUBJECTS = "licet.events"

DAY_SECONDS = 24 * 60 * 60.0

log = logging.getLogger(__name__)


def wanted_streams(*, replicas: int) -> list[StreamConfig]:
    """What licet tells the outside, and what devices say at QoS 1 and above."""
    return [
        StreamConfig(
            name=EVENTS,
            description="What licet says has happened.",
            subjects=[f"{EVENT_SUBJECTS}.>"],
            retention=RetentionPolicy.LIMITS,
            storage=StorageType.FILE,
            max_age=30 * DAY_SECONDS,
            num_replicas=replicas,
        ),
        # The server would make this one itself, but keep a message only while somebody waits for it. A device's message
        # is acknowledged when it lies here, so here is where it is safe until it has been counted.
        StreamConfig(
            name="$MQTT_msgs",
            subjects=["$MQTT.msgs.>"],
            retention=RetentionPolicy.LIMITS,
            storage=StorageType.FILE,
            max_age=DAY_SECONDS,
            num_replicas=replicas,
        ),
    ]


async def make_streams(jetstream: JetStreamContext, *, replicas: int = 1) -> None:
    """Make what is not there yet. What an operator has changed since stays as it is."""
    for wanted in wanted_streams(replicas=replicas):
        try:
            found = (await jetstream.stream_info(str(wanted.name))).config
        except NotFoundError:
            await jetstream.add_stream(wanted)
            continue
        if found.retention != wanted.retention:
            log.warning(
                "The stream %s keeps messages by %s; licet needs %s.", found.name, found.retention, wanted.retention
            )
