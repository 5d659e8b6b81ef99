"""A small asynchronous interface to the network: connections as integer handles.

    tcp = await await_tcp_connect("example.com", 443)
    tls = await await_tls_upgrade(tcp, "example.com")
    await await_tls_write(tls, b"...")
    data = await await_tls_read(tls, 1024)
    tls_close(tls)

Other tasks run while a function waits. Handles are never reused; a handle that is unknown, closed
or upgraded raises OSError(EBADF). The exceptions are those of sockets: PermissionError if the
policy denies the host, ConnectionRefusedError, `socket.gaierror`, `ssl.SSLCertVerificationError`,
...
"""

from __future__ import annotations

import asyncio
import itertools
from typing import Any

from . import descriptors, host
from .buffers import to_bytes
from .destination import parse
from .dns.hostname import encode
from .errors import os_error
from .event_loop import wait_readable, wait_writable
from .host import LARGEST_READ, LARGEST_WRITE, NON_BLOCKING
from .socket_constants import AF_INET
from .sockets.connection import Connection
from .sockets.stream_socket import Channel, StreamSocket
from .tls.errors import sandbox_error

__all__ = [
    "await_tcp_connect",
    "await_tcp_read",
    "await_tcp_write",
    "await_tls_read",
    "await_tls_upgrade",
    "await_tls_write",
    "tcp_close",
    "tls_close",
]


class _Handle:
    """A handle: a descriptor, and the locks of its readers and of its writers."""

    __slots__ = ("encrypted", "fd", "read_lock", "write_lock")

    def __init__(self, fd: int, encrypted: bool) -> None:
        self.fd = fd
        self.encrypted = encrypted
        self.read_lock = asyncio.Lock()
        self.write_lock = asyncio.Lock()

    def channel(self) -> Channel:
        """Returns the connection. Raises OSError(EBADF) after it was closed."""
        description = descriptors.find(self.fd)
        if not isinstance(description, StreamSocket):
            raise os_error("EBADF")
        return description.connected()


_handles: dict[int, _Handle] = {}
_numbers = itertools.count(1)


def _allocate(fd: int, encrypted: bool) -> int:
    number = next(_numbers)
    _handles[number] = _Handle(fd, encrypted)
    return number


def _find(number: int, encrypted: bool) -> _Handle:
    handle = _handles.get(number)
    if handle is None or handle.encrypted is not encrypted:
        raise os_error("EBADF")
    return handle


async def await_tcp_connect(host: str, port: int) -> int:
    """Connects to a name or an address; returns a handle."""
    if not 0 <= port <= 0xFFFF:
        raise OverflowError("connect(): port must be 0-65535.")
    destination = parse(encode(host))
    socket = StreamSocket(destination.family or AF_INET)
    fd = descriptors.allocate(socket)
    try:
        try:
            socket.connect(destination, port, NON_BLOCKING)
        except BlockingIOError:
            await _finish_connect(socket, fd)
    except BaseException:
        # Cancelling the task closes its connection immediately.
        descriptors.close(fd)
        raise
    return _allocate(fd, encrypted=False)


async def _finish_connect(socket: StreamSocket, fd: int) -> None:
    channel = socket.connected()
    assert isinstance(channel, Connection)  # connects inside the sandbox never block
    while True:
        await wait_writable(asyncio.get_running_loop(), fd)
        try:
            channel.finish_connect(NON_BLOCKING)
        except BlockingIOError:
            continue
        return


async def await_tcp_read(handle: int, n: int) -> bytes:
    """Returns up to `n` bytes once any are available, at most 1 MiB; none at the end."""
    return await _read(_find(handle, encrypted=False), n)


async def await_tcp_write(handle: int, data: Any) -> int:
    """Sends all of `data`; returns its length in bytes."""
    return await _write(_find(handle, encrypted=False), data)


def tcp_close(handle: int) -> None:
    """Closes a connection."""
    _close(handle, encrypted=False)


async def await_tls_upgrade(tcp_handle: int, server_name: str) -> int:
    """Starts TLS on a connection, with a server of this name; returns a new handle for it.

    The handle passed is invalid afterwards, even if the handshake fails.
    """
    handle = _find(tcp_handle, encrypted=False)
    channel = handle.channel()
    if not isinstance(channel, Connection):
        raise sandbox_error(
            "Eryx does the TLS, and this connection stays inside the sandbox: only a "
            "connection to the outside can be upgraded"
        )
    config = host.interfaces().tls.ClientConfig(
        server_name=encode(server_name),
        alpn=[],
        verify_peer=True,
        check_hostname=True,
        roots=[],
        strict=False,
        revocation=None,
        revocation_lists=[],
        identity=None,
        min_version=None,
        max_version=None,
        ciphers=[],
        groups=[],
    )
    del _handles[tcp_handle]
    try:
        while True:
            try:
                channel.start_tls(config, NON_BLOCKING)
                break
            except BlockingIOError:
                await wait_readable(asyncio.get_running_loop(), handle.fd)
    except BaseException:
        descriptors.close(handle.fd)
        raise
    return _allocate(handle.fd, encrypted=True)


async def await_tls_read(handle: int, n: int) -> bytes:
    """Returns up to `n` bytes of plaintext, at most 1 MiB; none after the peer's close_notify."""
    return await _read(_find(handle, encrypted=True), n)


async def await_tls_write(handle: int, data: Any) -> int:
    """Encrypts and sends all of `data`; returns its length in bytes."""
    return await _write(_find(handle, encrypted=True), data)


def tls_close(handle: int) -> None:
    """Closes a connection, with close_notify to the peer."""
    _close(handle, encrypted=True)


async def _read(handle: _Handle, size: int) -> bytes:
    if size < 0:
        raise ValueError("negative size")
    async with handle.read_lock:
        while True:
            channel = handle.channel()
            if size == 0:
                return b""
            try:
                return channel.read(min(size, LARGEST_READ), NON_BLOCKING)
            except BlockingIOError:
                await wait_readable(asyncio.get_running_loop(), handle.fd)


async def _write(handle: _Handle, data: Any) -> int:
    rest = memoryview(to_bytes(data))
    total = len(rest)
    async with handle.write_lock:
        while rest:
            try:
                sent = handle.channel().write(bytes(rest[:LARGEST_WRITE]), NON_BLOCKING)
            except BlockingIOError:
                await wait_writable(asyncio.get_running_loop(), handle.fd)
            else:
                rest = rest[sent:]
    return total


def _close(number: int, encrypted: bool) -> None:
    handle = _find(number, encrypted)
    del _handles[number]
    descriptors.close(handle.fd)
