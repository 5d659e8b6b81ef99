"""Servers on real loopback sockets, each in its own thread."""

from __future__ import annotations

import contextlib
import socket
import ssl
import struct
import threading
from collections.abc import Callable, Iterator

Handler = Callable[[socket.socket], None]


@contextlib.contextmanager
def serve(handler: Handler, tls: ssl.SSLContext | None = None) -> Iterator[int]:
    """Runs `handler` for each connection; yields the port."""
    listener = socket.create_server(("127.0.0.1", 0), backlog=256)

    def handle(peer: socket.socket) -> None:
        with contextlib.suppress(OSError), peer:
            peer.settimeout(20)
            if tls is not None:
                with tls.wrap_socket(peer, server_side=True) as wrapped:
                    handler(wrapped)
            else:
                handler(peer)

    def accept() -> None:
        with contextlib.suppress(OSError):
            while True:
                peer, _ = listener.accept()
                threading.Thread(target=handle, args=(peer,), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    try:
        yield listener.getsockname()[1]
    finally:
        # Closing does not wake a thread that waits in `accept`.
        with contextlib.suppress(OSError):
            listener.shutdown(socket.SHUT_RDWR)
        listener.close()


def echo(peer: socket.socket) -> None:
    """Sends all data back until the end of the stream."""
    while data := peer.recv(65536):
        peer.sendall(data)


def silent(peer: socket.socket) -> None:
    """Reads until the end of the stream, and sends nothing."""
    while peer.recv(65536):
        pass


def reset(peer: socket.socket) -> None:
    """Reads a byte, then resets the connection."""
    peer.recv(1)
    peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def closed_port() -> int:
    """Returns a port without a listener."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
