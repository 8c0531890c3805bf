"""The streams that licet keeps at the broker. They are made before the first device comes, and never made twice."""

import logging

from nats.js.api import RetentionPolicy, StorageType, StreamConfig
from nats.js.client import JetStreamContext
from nats.js.errors import NotFoundError

EVENTS = "EVENTS"
EVENT_SUBJECTS = "licet.events"

#: The server's own stream, in which a message at QoS 1 or 2 lies when it is acknowledged.
MESSAGES = "$MQTT_msgs"
#: Whatever devices send. Only of messages at QoS 0 these copies are the first ones.
UPLINK = "UPLINK"
#: The streams that messages are counted from.
COUNTED = (MESSAGES, UPLINK)

DAY_SECONDS = 24 * 60 * 60.0

# A message at QoS 2 whose device asks about it again after the server has died is known for so long.
DUPLICATES_SECONDS = 60 * 60.0

log = logging.getLogger(__name__)


def wanted_streams(*, replicas: int) -> list[StreamConfig]:
    """What licet tells the outside, and what devices say and are told.

    Messages have no age at which they go: they go when they are counted and their product's storage days are over.
    """
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
            name=MESSAGES,
            subjects=["$MQTT.msgs.>"],
            retention=RetentionPolicy.LIMITS,
            storage=StorageType.FILE,
            duplicate_window=DUPLICATES_SECONDS,
            allow_direct=True,
            num_replicas=replicas,
        ),
        StreamConfig(
            name=UPLINK,
            description="What devices send; messages at QoS 0 are counted from here.",
            subjects=["up.>"],
            retention=RetentionPolicy.LIMITS,
            storage=StorageType.FILE,
            allow_direct=True,
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
        if found.name in COUNTED and not found.allow_direct:
            # A stream from before messages were read back; it takes nothing from anybody.
            found.allow_direct = True
            await jetstream.update_stream(found)
        if found.name in COUNTED and found.max_age:
            log.warning(
                "The stream %s drops messages after %.0f seconds, whether they are counted or not.",
                found.name,
                found.max_age,
            )
