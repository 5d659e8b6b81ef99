"""asyncio's own selector event loop, less the threads a guest does not have.

Name lookups run on the host while other tasks go on; `run_in_executor` (and `asyncio.to_thread`)
runs its function at once, in place. Import this only after `_socket`, `_ssl` and `select` are
installed.
"""

from __future__ import annotations

import asyncio
import socket
from asyncio import unix_events
from collections.abc import Callable
from typing import Any

from . import descriptors, names
from .lookups import Lookup

_genuine_getaddrinfo = socket.getaddrinfo


class EventLoop(asyncio.SelectorEventLoop):
    """The event loop of a guest: one thread, waiting in the host's `poll`.

    Waiting raises OSError(EDEADLK) when no task could ever go on, instead of hanging.
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
        """Resolve a name without holding up other tasks."""
        if socket.getaddrinfo is not _genuine_getaddrinfo:
            # A program that put its own resolver there means it.
            return socket.getaddrinfo(host, port, family, type, proto, flags)
        query = names.Query(host, port, family, type, proto, flags)
        addresses = query.known()
        if addresses is None:
            addresses = await self._resolve(query)
        return [
            (socket.AddressFamily(family), socket.SocketKind(kind), proto, canonical, address)
            for family, kind, proto, canonical, address in query.answers(addresses)
        ]

    async def _resolve(self, query: names.Query) -> list[str]:
        try:
            lookup = Lookup(query.start())
            fd = descriptors.opened(lookup)
            try:
                while True:
                    await readable(self, fd)
                    try:
                        return lookup.take()
                    except BlockingIOError:
                        continue
            finally:
                # A cancelled task cancels its lookup.
                descriptors.close(fd)
        except PermissionError:
            addresses = query.fallback()
            if addresses:
                return addresses
            raise

    async def getnameinfo(self, sockaddr: Any, flags: int = 0) -> tuple[str, str]:
        """Host and service of an address: known at once."""
        return socket.getnameinfo(sockaddr, flags)

    def run_in_executor(  # type: ignore[override]
        self, executor: Any, func: Callable[..., Any], *args: Any
    ) -> asyncio.Future[Any]:
        """Run a function now, in this thread; the future is done when this returns.

        A function that waits for another task of this loop therefore waits in vain.
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
            # A future cannot carry one (PEP 479).
            stopped = RuntimeError("function raised StopIteration")
            stopped.__cause__ = error
            future.set_exception(stopped)
        except BaseException as error:
            future.set_exception(error)
        return future

    async def shutdown_default_executor(self, timeout: float | None = None) -> None:
        """Let no more functions run by default. None runs now: there is nothing to wait for."""
        self._executor_shutdown_called = True
        if self._default_executor is not None:  # type: ignore[attr-defined]
            self._default_executor.shutdown(wait=False)  # type: ignore[attr-defined]


async def readable(loop: asyncio.AbstractEventLoop, fd: int) -> None:
    """Wait until a descriptor can be read."""
    await _ready(loop.add_reader, loop.remove_reader, loop, fd)


async def writable(loop: asyncio.AbstractEventLoop, fd: int) -> None:
    """Wait until a descriptor can be written, or a connect on it has come to its end."""
    await _ready(loop.add_writer, loop.remove_writer, loop, fd)


async def _ready(
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
    """Make this the loop that `asyncio.run`, `Runner` and `new_event_loop` create."""
    for module in (asyncio, unix_events):
        for name in ("SelectorEventLoop", "EventLoop"):
            if hasattr(module, name):
                setattr(module, name, EventLoop)
    policy: Any = unix_events._UnixDefaultEventLoopPolicy
    policy._loop_factory = EventLoop
