"""Operations of the network that let other threads run while they wait.

They replace those of `eryx_net`, which wait in the host, when the first thread starts.
"""

from __future__ import annotations

import functools
import select
import time
from collections.abc import Callable, Iterable
from typing import Any

from eryx_guest import tool_calls
from eryx_guest.threads import scheduler
from eryx_net import interval_timers
from eryx_net.call_descriptor import Call
from eryx_net.dns import name_functions
from eryx_net.dns.lookup_descriptor import Lookup
from eryx_net.host import NON_BLOCKING, HostLookup
from eryx_net.loopback.stream import Listener, Stream
from eryx_net.pipes import ReadEnd, WriteEnd
from eryx_net.select import SelectorPoll
from eryx_net.sockets import readiness
from eryx_net.sockets.connection import Connection
from eryx_net.sockets.readiness import READ, WRITE
from eryx_net.sockets.udp_socket import UdpSocket


class _Deadline:
    """The rest of a timeout in nanoseconds."""

    __slots__ = ("_end",)

    def __init__(self, timeout: int | None) -> None:
        self._end = None if timeout is None else time.monotonic_ns() + timeout

    def remaining(self) -> int | None:
        return None if self._end is None else max(0, self._end - time.monotonic_ns())


def _on_host(operation: Callable[..., Any], interest: int, purpose: str) -> Callable[..., Any]:
    """Returns a version of a method that waits for the host. Its last argument is a timeout."""

    @functools.wraps(operation)
    def waiting(self: Any, *arguments: Any) -> Any:
        *others, timeout = arguments
        if timeout == NON_BLOCKING or not scheduler.threads:
            return operation(self, *arguments)
        deadline = _Deadline(timeout)
        while True:
            try:
                return operation(self, *others, NON_BLOCKING)
            except BlockingIOError:
                pass
            connecting = isinstance(self, Connection) and not self.established
            flags = WRITE if connecting else interest
            if not scheduler.wait(purpose, None, deadline.remaining(), ((self, flags, self),)):
                raise TimeoutError("timed out")

    return waiting


def _in_guest(
    operation: Callable[..., Any], ready: Callable[[Any], bool | None], purpose: str
) -> Callable[..., Any]:
    """Returns a version of a method that waits for a socket of the same program."""

    @functools.wraps(operation)
    def waiting(self: Any, *arguments: Any) -> Any:
        *others, timeout = arguments
        if timeout == NON_BLOCKING or ready(self) or not scheduler.threads:
            return operation(self, *arguments)
        try:
            if scheduler.wait(purpose, lambda: bool(ready(self)), timeout):
                return operation(self, *others, NON_BLOCKING)
        except scheduler.DeadlockError:
            # Raises the error that names the operation.
            return operation(self, *others, None)
        raise TimeoutError("timed out")

    return waiting


def _pipe_write(operation: Callable[..., Any]) -> Callable[..., Any]:
    """Returns a version of `WriteEnd.write` that waits until all bytes are written."""

    @functools.wraps(operation)
    def waiting(self: Any, data: bytes, timeout: int | None) -> int:
        if timeout == NON_BLOCKING or not scheduler.threads:
            return int(operation(self, data, timeout))
        done = 0
        while done < len(data):
            rest = data[done:]
            try:
                done += operation(self, rest, NON_BLOCKING)
            except BlockingIOError:
                try:
                    scheduler.wait("a pipe to take data", self.writable_now)
                except scheduler.DeadlockError:
                    # Raises the error that names the operation.
                    done += operation(self, rest, None)
        return done

    return waiting


def _udp_next(operation: Callable[..., Any]) -> Callable[..., Any]:
    """Returns a version of `UdpSocket._next`, which receives from both."""

    @functools.wraps(operation)
    def waiting(self: Any, size: int, timeout: int | None) -> Any:
        if timeout == NON_BLOCKING or not scheduler.threads:
            return operation(self, size, timeout)
        deadline = _Deadline(timeout)
        while True:
            try:
                return operation(self, size, NON_BLOCKING)
            except BlockingIOError:
                pass
            try:
                arrived = scheduler.wait(
                    "a datagram", None, deadline.remaining(), ((self, READ, self),)
                )
            except scheduler.DeadlockError:
                return operation(self, size, None)
            if not arrived:
                raise TimeoutError("timed out")

    return waiting


_stock_wait = readiness.wait


def _wait_ready(interests: Iterable[tuple[int, int]], timeout: int | None) -> dict[int, int]:
    """Returns what `readiness.wait` does."""
    if not scheduler.threads:
        return _stock_wait(interests, timeout)
    wanted = list(interests)
    deadline = _Deadline(timeout)
    # An event loop that always has something to do calls nothing else that waits.
    scheduler.give_way()
    if timeout == NON_BLOCKING:
        return _stock_wait(wanted, timeout)
    while True:
        ready = _stock_wait(wanted, NON_BLOCKING)
        if ready:
            return ready
        keys = [(fd, interest, None) for fd, interest in wanted]
        left = deadline.remaining()
        try:
            wait = interval_timers.bounded(left)
            if not scheduler.wait("descriptors", None, wait, keys) and left == 0:
                return {}
            interval_timers.expire_if_due()
        except scheduler.DeadlockError:
            return _stock_wait(wanted, None)


_finish_lookup = name_functions.finish_lookup


def _finish_lookup_waiting(lookup: HostLookup, timeout: int | None) -> list[str]:
    if timeout == NON_BLOCKING or not scheduler.threads:
        return _finish_lookup(lookup, timeout)
    deadline = _Deadline(timeout)
    description = Lookup(lookup)
    while True:
        try:
            return _finish_lookup(lookup, NON_BLOCKING)
        except BlockingIOError:
            pass
        if not scheduler.wait(
            "a name server", None, deadline.remaining(), ((description, READ, description),)
        ):
            raise TimeoutError("timed out")


_look_up = name_functions.look_up


def _look_up_waiting(query: name_functions.Query) -> list[str]:
    if not scheduler.threads:
        return _look_up(query)
    return _finish_lookup_waiting(query.start(), None)


_invoke = tool_calls.invoke


def _invoke_waiting(name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    if not scheduler.threads:
        return _invoke(name, args, kwargs)
    call = tool_calls.begin(name, args, kwargs)
    description = Call(call)
    while True:
        try:
            return tool_calls._take(call)
        except tool_calls._Pending:
            pass
        scheduler.wait(
            "a function of the embedder", None, None, ((description, READ, description),)
        )


def _replace() -> None:
    connection: Any = Connection
    for name, interest, purpose in (
        ("finish_connect", WRITE, "a connection"),
        ("start_tls", READ, "a TLS handshake"),
        ("end_tls", READ, "the end of TLS"),
        ("read", READ, "data of a connection"),
        ("peek", READ, "data of a connection"),
        ("write", WRITE, "a connection to take data"),
    ):
        setattr(connection, name, _on_host(getattr(connection, name), interest, purpose))
    read_end: Any = ReadEnd
    write_end: Any = WriteEnd
    read_end.read = _in_guest(read_end.read, ReadEnd.readable_now, "data of a pipe")
    write_end.write = _pipe_write(write_end.write)
    udp: Any = UdpSocket
    udp._next = _udp_next(udp._next)
    for name in ("send", "send_to"):
        setattr(udp, name, _on_host(getattr(udp, name), WRITE, "a socket to take a datagram"))
    stream: Any = Stream
    stream.peek = _in_guest(stream.peek, Stream.readable_now, "data of a connection")
    stream.write = _in_guest(stream.write, Stream.writable_now, "a connection to take data")
    listener: Any = Listener
    listener.accept = _in_guest(
        listener.accept, lambda each: bool(each.queue), "a connection to accept"
    )
    readiness.wait = _wait_ready
    SelectorPoll._wait = staticmethod(_wait_ready)
    # A call of a `staticmethod` is C code.
    selection: Any = select
    selection.select = selection._select
    name_functions.finish_lookup = _finish_lookup_waiting
    name_functions.look_up = _look_up_waiting
    tool_calls.invoke = _invoke_waiting


def install() -> None:
    """Replaces the operations when the first thread starts."""
    scheduler.on_activation(_replace)
