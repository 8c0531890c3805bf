"""A taken port is no reason not to start: the next free one will do, as long as we say so."""

import errno
import socket
from collections.abc import Collection


def free_port(host: str, wanted: int, *, besides: Collection[int] = ()) -> int:
    """The wanted port if nobody has it, else the next one that is free. 0 leaves the choice to the kernel."""
    if wanted == 0:
        with _socket(host) as chosen:
            chosen.bind((host, 0))
            port: int = chosen.getsockname()[1]
        return port if port not in besides else free_port(host, 0, besides=besides)
    for port in range(wanted, 65536):
        if port not in besides and _is_free(host, port):
            return port
    raise OSError(f"no free port on {host} from {wanted} upward")


def _is_free(host: str, port: int) -> bool:
    with _socket(host) as tried:
        # What an engine that has just been stopped leaves in TIME_WAIT is no obstacle; a listener is.
        tried.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            tried.bind((host, port))
            tried.listen(1)
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                return False
            raise OSError(f"port {port} of {host} cannot be listened on: {error.strerror}") from error
    return True


def _socket(host: str) -> socket.socket:
    return socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM)
