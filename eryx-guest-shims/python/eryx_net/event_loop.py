"""asyncio's selector event loop, adapted to a guest without threads.

Lookups run on the host while other tasks run; `run_in_executor` (and `asyncio.to_thread`) runs its
function immediately in the only thread. Import this only after `_socket`, `_ssl` and `select` are
installed.
"""

from __future__ import annotations

import asyncio
import socket
from asyncio import unix_events
from collections.abc import Callable
from typing import Any

from . import descriptors
from .dns.getaddrinfo import Query
from .dns.lookup_descriptor import Lookup

_stock_getaddrinfo = socket.getaddrinfo


class EventLoop(asyncio.SelectorEventLoop):
    """The event loop of a guest program: one thread, which waits in the host's `poll`.

    Raises OSError(EDEADLK) instead of waiting for ever where no task could ever continue.
    """

    async def getaddrinfo(
        self,
        host: Any,
        port: Any,
        *,
        family: int = 0,
        type: int = 0,
        proto: int = 0,
        flags: int = 0,
    ) -> list[Any]:
        """Resolves a name without blocking other tasks."""
        if socket.getaddrinfo is not _stock_getaddrinfo:
            # The program installed its own resolver.
            return socket.getaddrinfo(host, port, family, type, proto, flags)
        query = Query(host, port, family, type, proto, flags)
        addresses = query.without_lookup()
        if addresses is None:
            addresses = await self._resolve(query)
        return [
            (socket.AddressFamily(family), socket.SocketKind(kind), proto, canonical, address)
            for family, kind, proto, canonical, address in query.results(addresses)
        ]

    async def _resolve(self, query: Query) -> list[str]:
        try:
            lookup = Lookup(query.start())
            fd = descriptors.allocate(lookup)
            try:
                while True:
                    await wait_readable(self, fd)
                    try:
                        return lookup.take()
                    except BlockingIOError:
                        continue
            finally:
                # Cancelling the task cancels its lookup.
                descriptors.close(fd)
        except PermissionError:
            addresses = query.fallback()
            if addresses:
                return addresses
            raise

    async def getnameinfo(self, sockaddr: Any, flags: int = 0) -> tuple[str, str]:
        """Returns host and service of an address. Never waits."""
        return socket.getnameinfo(sockaddr, flags)

    def run_in_executor(  # type: ignore[override]
        self, executor: Any, func: Callable[..., Any], *args: Any
    ) -> asyncio.Future[Any]:
        """Runs a function in this thread; the future is done when this method returns.

        A function that waits for another task of this loop therefore never returns.
        """
        self._check_closed()  # type: ignore[attr-defined]
        if executor is None:
            self._check_default_executor()  # type: ignore[attr-defined]
        future = self.create_future()
        try:
            future.set_result(func(*args))
        except (SystemExit, KeyboardInterrupt):
            raise
        except StopIteration as error:
            # A future cannot hold a StopIteration (PEP 479).
            stopped = RuntimeError("function raised StopIteration")
            stopped.__cause__ = error
            future.set_exception(stopped)
        except BaseException as error:
            future.set_exception(error)
        return future

    async def shutdown_default_executor(self, timeout: float | None = None) -> None:
        """Disables the default executor. Never waits, as no function is running."""
        self._executor_shutdown_called = True
        if self._default_executor is not None:  # type: ignore[attr-defined]
            self._default_executor.shutdown(wait=False)  # type: ignore[attr-defined]


async def wait_readable(loop: asyncio.AbstractEventLoop, fd: int) -> None:
    """Waits until a descriptor is readable."""
    await _wait_ready(loop.add_reader, loop.remove_reader, loop, fd)


async def wait_writable(loop: asyncio.AbstractEventLoop, fd: int) -> None:
    """Waits until a descriptor is writable, or the connect on it has completed or failed."""
    await _wait_ready(loop.add_writer, loop.remove_writer, loop, fd)


async def _wait_ready(
    add: Callable[..., Any],
    remove: Callable[[int], Any],
    loop: asyncio.AbstractEventLoop,
    fd: int,
) -> None:
    future: asyncio.Future[None] = loop.create_future()

    def wake() -> None:
        if not future.done():
            future.set_result(None)

    add(fd, wake)
    try:
        await future
    finally:
        remove(fd)


def install() -> None:
    """Makes `asyncio.run`, `Runner` and `new_event_loop` create this event loop."""
    for module in (asyncio, unix_events):
        for name in ("SelectorEventLoop", "EventLoop"):
            if hasattr(module, name):
                setattr(module, name, EventLoop)
    policy: Any = unix_events._UnixDefaultEventLoopPolicy
    policy._loop_factory = EventLoop
