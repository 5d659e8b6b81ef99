"""A small asynchronous interface to the network: connections as integer handles.

    tcp = await await_tcp_connect("example.com", 443)
    tls = await await_tls_upgrade(tcp, "example.com")
    await await_tls_write(tls, b"...")
    data = await await_tls_read(tls, 1024)
    tls_close(tls)

Awaits overlap: while one waits, other tasks run. Handles are never reused; one that is unknown,
closed or was upgraded raises OSError(EBADF). Errors are those of sockets: PermissionError when the
policy says no, ConnectionRefusedError, `socket.gaierror`, `ssl.SSLCertVerificationError`, ...
"""

from __future__ import annotations

import asyncio
import itertools
from typing import Any

from . import descriptors, host, names
from .buffers import octets
from .connection import Connection
from .descriptors import Channel
from .event_loop import readable, writable
from .failures import failure
from .host import AT_ONCE, LARGEST_READ, LARGEST_WRITE
from .socket_constants import AF_INET
from .stream_socket import StreamSocket
from .tls_errors import refusal

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
    """What a handle stands for: a descriptor, and whose turn it is to read and to write."""

    __slots__ = ("encrypted", "fd", "reading", "writing")

    def __init__(self, fd: int, encrypted: bool) -> None:
        self.fd = fd
        self.encrypted = encrypted
        self.reading = asyncio.Lock()
        self.writing = asyncio.Lock()

    def channel(self) -> Channel:
        """The connection. Raises OSError(EBADF) once closed."""
        found = descriptors.find(self.fd)
        if not isinstance(found, StreamSocket):
            raise failure("EBADF")
        return found.connected()


_handles: dict[int, _Handle] = {}
_numbers = itertools.count(1)


def _opened(fd: int, encrypted: bool) -> int:
    number = next(_numbers)
    _handles[number] = _Handle(fd, encrypted)
    return number


def _find(number: int, encrypted: bool) -> _Handle:
    found = _handles.get(number)
    if found is None or found.encrypted is not encrypted:
        raise failure("EBADF")
    return found


async def await_tcp_connect(host: str, port: int) -> int:
    """Connect to a name or an address; returns a handle."""
    if not 0 <= port <= 0xFFFF:
        raise OverflowError("connect(): port must be 0-65535.")
    name = names.encoded(host)
    opened = StreamSocket(names.literal_family(name) or AF_INET)
    fd = descriptors.opened(opened)
    try:
        try:
            opened.connect(name, port, AT_ONCE)
        except BlockingIOError:
            await _established(opened, fd)
    except BaseException:
        # A task that is cancelled gives its connection back at once.
        descriptors.close(fd)
        raise
    return _opened(fd, encrypted=False)


async def _established(opened: StreamSocket, fd: int) -> None:
    channel = opened.connected()
    assert isinstance(channel, Connection)  # in-guest ones connect at once
    while True:
        await writable(asyncio.get_running_loop(), fd)
        try:
            channel.finish(AT_ONCE)
        except BlockingIOError:
            continue
        return


async def await_tcp_read(handle: int, n: int) -> bytes:
    """Up to `n` bytes as soon as any are there, at most 1 MiB; none at the end of the stream."""
    return await _read(_find(handle, encrypted=False), n)


async def await_tcp_write(handle: int, data: Any) -> int:
    """Send all of `data`; returns how many bytes that were."""
    return await _write(_find(handle, encrypted=False), data)


def tcp_close(handle: int) -> None:
    """Close a connection."""
    _close(handle, encrypted=False)


async def await_tls_upgrade(tcp_handle: int, server_name: str) -> int:
    """Turn a connection into TLS with the server of this name; returns a new handle for it.

    The handle given is spent, whether this succeeds or not.
    """
    found = _find(tcp_handle, encrypted=False)
    channel = found.channel()
    if not isinstance(channel, Connection):
        raise refusal(
            "TLS is the host's to do, and this connection stays inside the sandbox: only a "
            "connection to the outside can be upgraded"
        )
    config = host.interfaces().tls.ClientConfig(
        server_name=names.encoded(server_name),
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
                channel.start_tls(config, AT_ONCE)
                break
            except BlockingIOError:
                await readable(asyncio.get_running_loop(), found.fd)
    except BaseException:
        descriptors.close(found.fd)
        raise
    return _opened(found.fd, encrypted=True)


async def await_tls_read(handle: int, n: int) -> bytes:
    """Up to `n` bytes of plaintext, at most 1 MiB; none after the peer's close_notify."""
    return await _read(_find(handle, encrypted=True), n)


async def await_tls_write(handle: int, data: Any) -> int:
    """Encrypt and send all of `data`; returns how many bytes that were."""
    return await _write(_find(handle, encrypted=True), data)


def tls_close(handle: int) -> None:
    """Close a connection, saying goodbye to the peer."""
    _close(handle, encrypted=True)


async def _read(handle: _Handle, size: int) -> bytes:
    if size < 0:
        raise ValueError("negative size")
    async with handle.reading:
        while True:
            channel = handle.channel()
            if size == 0:
                return b""
            try:
                return channel.read(min(size, LARGEST_READ), AT_ONCE)
            except BlockingIOError:
                await readable(asyncio.get_running_loop(), handle.fd)


async def _write(handle: _Handle, data: Any) -> int:
    left = memoryview(octets(data))
    total = len(left)
    async with handle.writing:
        while left:
            try:
                sent = handle.channel().write(bytes(left[:LARGEST_WRITE]), AT_ONCE)
            except BlockingIOError:
                await writable(asyncio.get_running_loop(), handle.fd)
            else:
                left = left[sent:]
    return total


def _close(number: int, encrypted: bool) -> None:
    found = _find(number, encrypted)
    del _handles[number]
    descriptors.close(found.fd)
