"""asyncio's selector event loop, adapted to a guest whose threads take turns.

Lookups run on the host while other tasks run, and need no thread. Import this only after `_socket`,
`_ssl` and `select` are installed.
"""

from __future__ import annotations

import asyncio
import errno
import gc
import selectors
import socket
import sys
from asyncio import unix_events
from collections.abc import Callable
from typing import Any

from . import descriptors, epoll
from .dns.lookup_descriptor import Lookup
from .dns.name_functions import Query
from .select import SelectorPoll

# The iterations of the loop in which the transport of a collected stream closes its socket, with
# one to spare.
_ITERATIONS_TO_CLOSE = 3

_stock_getaddrinfo = socket.getaddrinfo


class EventLoop(asyncio.SelectorEventLoop):
    """The event loop of a guest program, which waits in the host's `poll`.

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
        sys.audit("socket.getaddrinfo", host, port, family, type, proto)
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

    async def sock_connect(self, sock: socket.socket, address: Any) -> None:
        """Connects a socket.

        At the limit of connections, those are closed first that only garbage and the tracebacks of
        cancelled tasks hold. Their transports close in the next iterations of the loop.
        """
        try:
            return await super().sock_connect(sock, address)
        except OSError as error:
            if error.errno != errno.EMFILE:
                raise
        _drop_tracebacks_of_cancelled_tasks()
        gc.collect()
        for _ in range(_ITERATIONS_TO_CLOSE):
            await asyncio.sleep(0)
        return await super().sock_connect(sock, address)

    async def getnameinfo(self, sockaddr: Any, flags: int = 0) -> tuple[str, str]:
        """Returns host and service of an address. Never waits."""
        return socket.getnameinfo(sockaddr, flags)


def _drop_tracebacks_of_cancelled_tasks() -> None:
    """Frees what the frames of cancelled tasks hold, where the program still holds the tasks."""
    for task in gc.get_objects():
        if type(task) is asyncio.Task and task.cancelled():
            # It returns the stored exception once, and a new one without a traceback from then on.
            cancelled: Any = task
            cancelled._make_cancelled_error()


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
    # A status of each ready connection would cost event loops a call of the host.
    selectors.PollSelector._selector_cls = SelectorPoll  # type: ignore[attr-defined]
    # `selectors` has been imported without it.
    epoll.install()
    policy: Any = unix_events._UnixDefaultEventLoopPolicy
    policy._loop_factory = EventLoop
