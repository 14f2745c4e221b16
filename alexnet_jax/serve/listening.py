"""The socket that a server listens on."""

import errno
import socket

from alexnet_jax.errors import MachineError, UserError


def open_socket(host: str, port: int) -> socket.socket:
    """Return a socket that listens on an address, before the network is loaded.

    Raises:
        UserError: the address is not one of this machine, or may not be used.
        MachineError: the port is taken.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
    except OSError as error:
        raise UserError(f"--host={host}: {error.strerror}") from error
    listening = socket.socket(family, kind, protocol)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind(address)
        listening.listen()  # Who connects before the server answers waits, and is not refused.
    except OSError as error:
        listening.close()
        if error.errno == errno.EADDRINUSE:
            raise MachineError(
                f"port {port} is in use: another server is running; give another --port, or 0 for "
                "any free one"
            ) from error
        raise UserError(
            f"cannot listen on --host={host} --port={port}: {error.strerror}"
        ) from error
    return listening
