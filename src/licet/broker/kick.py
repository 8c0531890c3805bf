"""Putting out who is no longer permitted: a device that was deleted or reset, every device of a deleted product.

Expiry needs none of this, the session ends by itself. A kick is no ban either: the device knocks again at once, and it
is the books that refuse it; so a kick follows what was written, never the other way round.
"""

import logging
from collections.abc import Collection

from licet.broker.knock import device_of
from licet.broker.servers import Connection, Servers

# Up to so many devices are looked for by name; for more, everybody's list is read once.
BY_NAME = 20

log = logging.getLogger(__name__)


async def put_out(servers: Servers, devices: Collection[tuple[str, str]], product_keys: Collection[str] = ()) -> int:
    """Hang up on these devices and on all devices of these products, wherever they are. Says how many that were."""
    unwanted, products = set(devices), set(product_keys)
    if not unwanted and not products:
        return 0
    server_ids = await servers.ids()
    found: list[Connection] = []
    if not products and len(unwanted) <= BY_NAME:
        for product_key, device_key in unwanted:
            found += await servers.named(server_ids, f"{product_key}-{device_key}")
    else:
        for server_id in server_ids:
            async for page in servers.connections(server_id):
                for connection in page:
                    device = device_of(connection.client_id)
                    if device is not None and (device in unwanted or device[0] in products):
                        found.append(connection)
    for connection in found:
        await servers.hang_up(connection)
    if found:
        log.info("Hung up on %d connections that are no longer permitted.", len(found))
    return len(found)
