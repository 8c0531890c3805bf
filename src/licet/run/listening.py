"""The one socket that all licet processes of an `up` take their requests from.

The supervisor holds it open, so the port is never lost and nobody is turned away while a process is started again.
"""

import socket


def listen(host: str, port: int) -> socket.socket:
    """Listen on a port. Raises OSError when somebody else does."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    return socket.create_server((host, port), family=family, backlog=2048)


def http_url(host: str, port: int) -> str:
    """How one reaches it from here: nobody can connect to `every address`."""
    reached = {"0.0.0.0": "127.0.0.1", "": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104
    return f"http://[{reached}]:{port}" if ":" in reached else f"http://{reached}:{port}"
