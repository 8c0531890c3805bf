"""The nats-server that stands at the gate: what it must be told so that nobody comes in unless licet says so.

Two accounts. DEVICES is where devices, their messages and licet's own streams live; SYS is where the server tells who
has come and gone, and where licet asks it to hang up. Two users, ``licet`` and ``licet-sys``, are known to the server
itself; everybody else is asked about at licet, and is refused when licet does not answer within ``patience_seconds``.

An operator who runs a server of their own puts this text into its configuration, once per server of a cluster.
"""

import json
from functools import partial
from pathlib import Path

DEVICES = "DEVICES"
SYSTEM = "SYS"
LICET = "licet"
LICET_SYS = "licet-sys"

# How long the server holds a knock open for licet's answer. Long enough for a whole fleet that comes back at once,
# short enough that a device whose knock was lost soon knocks again.
PATIENCE_SECONDS = 5.0

# The largest message of a device, and the largest CONNECT that is read from somebody who has not been let in yet.
PAYLOAD_BYTES = 64 * 1024

SUBSCRIPTIONS = 100


def server_config(
    *,
    host: str,
    nats_port: int,
    mqtt_port: int,
    store_dir: Path | str,
    issuer: str,
    password: str,
    sync_interval: str = "2m",
    server_name: str = "licet",
    patience_seconds: float = PATIENCE_SECONDS,
    payload_bytes: int = PAYLOAD_BYTES,
    connections: int = 100_000,
) -> str:
    """The configuration, as text. It holds ``password`` in the clear: keep the file at mode 0600."""
    quoted = partial(json.dumps, ensure_ascii=False)
    return f"""\
# Written by licet. It holds a password: keep it at mode 0600.
server_name: {quoted(server_name)}
listen: {quoted(f"{host}:{nats_port}")}
max_payload: {payload_bytes}
max_connections: {connections}
# Of one connection. Each of a device's at QoS 1 costs the server some 50 KB.
max_subscriptions: {SUBSCRIPTIONS}

accounts {{
  {DEVICES} {{
    jetstream: enabled
    users: [ {{ user: {LICET}, password: {quoted(password)}, allowed_connection_types: ["STANDARD"] }} ]
  }}
  {SYSTEM} {{
    users: [ {{ user: {LICET_SYS}, password: {quoted(password)}, allowed_connection_types: ["STANDARD"] }} ]
  }}
}}
system_account: {SYSTEM}

# Everybody but the two users above is asked about at licet. No answer in time: refused.
authorization {{
  timeout: {patience_seconds}
  auth_callout {{
    issuer: {quoted(issuer)}
    account: {DEVICES}
    auth_users: [ {LICET}, {LICET_SYS} ]
  }}
}}

jetstream {{
  store_dir: {quoted(str(store_dir))}
  # Acknowledged messages survive the death of every process at once; a loss of power may cost up to this much time.
  sync_interval: {quoted(sync_interval)}
  # A burst of messages above this is dropped without a word.
  max_buffered_msgs: 1000000
  max_buffered_size: 1GB
  limits {{
    # Each subscription of a device at QoS 1 is one consumer.
    default_max_consumers: -1
  }}
}}

mqtt {{
  listen: {quoted(f"{host}:{mqtt_port}")}
  ack_wait: "30s"
  max_ack_pending: 100
  # Where a subscription stands in its queue is kept on disk and for good. Kept in memory, or dropped when nobody asked
  # for a while, it is not made again: the device returns to its session and is never sent another message at QoS 1.
  consumer_memory_storage: false
}}
"""
