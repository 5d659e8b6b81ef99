"""The scheduler of threads: which one runs, and what each other one waits for.

A thread runs until it waits: for a lock, another thread, a time, or a peer. It is then set aside,
and the next one that need not wait continues. Nothing interrupts a thread that computes.

A thread that waits below C code, such as `sorted` with a key, cannot be set aside. It is *held*: it
runs the other threads on top of its own stack, and continues when the one it runs is set aside. The
main thread is always held.
"""

from __future__ import annotations

import errno
import sys
import time
from collections.abc import Callable, Iterable
from contextvars import Context
from typing import Any

import _eryx_threads

MAX_THREADS = 256
"""The most threads at a time, without the main thread. Each has a stack of at least 16 KiB."""

MAX_HELD = 24
"""The most held threads, each on top of the one before: a held thread takes native stack."""

_ROUNDS_WITHOUT_POLL = 16

# What a wait for the network is interested in: a descriptor or a resource, flags of
# `eryx_net.sockets.readiness`, and the resource unless it is a descriptor.
Interest = tuple[Any, int, Any]


class DeadlockError(RuntimeError):
    """No thread can continue."""


# Programs see the exception of CPython's closest case.
DeadlockError.__name__ = DeadlockError.__qualname__ = "RuntimeError"
DeadlockError.__module__ = "builtins"


class Wait:
    """What a thread waits for."""

    __slots__ = ("deadline", "fired", "interests", "purpose", "ready")

    def __init__(
        self,
        purpose: str,
        ready: Callable[[], bool] | None,
        deadline: int | None,
        interests: Iterable[Interest],
    ) -> None:
        self.purpose = purpose
        self.ready = ready
        self.deadline = deadline
        self.interests = interests
        self.fired = False

    def outcome(self, now: int) -> bool | None:
        """Returns True if it has happened, False after the deadline, else None."""
        if self.fired or (self.ready is not None and self.ready()):
            return True
        return False if self.deadline is not None and now >= self.deadline else None

    def ends_by_itself(self) -> bool:
        """Returns whether time or a peer can end it, and not only another thread."""
        return self.deadline is not None or bool(self.interests)


class GuestThread:
    """A thread: its stack, and its state while it does not run."""

    __slots__ = (
        "daemon",
        "function",
        "held",
        "ident",
        "name",
        "result",
        "started",
        "tracing",
        "wait",
    )

    def __init__(self, ident: int, function: Any, daemon: bool, name: Callable[[], str]) -> None:
        self.ident = ident
        self.function = function
        self.daemon = daemon
        self.name = name
        self.started = False
        self.held = False
        self.wait: Wait | None = None
        self.result: bool | None = None
        # The trace and profile functions.
        self.tracing: tuple[Any, Any] = (None, None)


main = GuestThread(0, None, False, lambda: "MainThread")
current = main
threads: dict[int, GuestThread] = {}
"""The threads that have not ended, by their number, in the order in which they were started."""

due_in_main: list[Callable[[], None]] = []
"""Handlers of signals that another thread has sent: the main thread calls them in its wait."""

active = False
"""Whether the program has started a thread."""

_held = 0
_rounds = 0
_on_activation: list[Callable[[], None]] = []
_readiness: Any = None
_timers: Any = None


def on_activation(function: Callable[[], None]) -> None:
    """Registers a function that is called before the first thread starts.

    It replaces the functions that wait by versions that let other threads run. Until then, no
    program pays for them.
    """
    _on_activation.append(function)


def _activate() -> None:
    global active, _readiness, _timers
    from eryx_net import interval_timers
    from eryx_net.sockets import readiness

    _readiness, _timers = readiness, interval_timers
    active = True
    for function in _on_activation:
        function()


def start(
    function: Callable[[], None], context: Context, daemon: bool, name: Callable[[], str]
) -> GuestThread:
    """Adds a thread. It starts to run when another thread waits.

    `function` is a Python function that raises nothing. Raises RuntimeError if there are too many.
    """
    if len(threads) >= MAX_THREADS:
        raise RuntimeError(
            f"can't start new thread: {MAX_THREADS} threads of this program have not ended, the "
            "most that a sandbox has at a time"
        )
    if not active:
        _activate()
    thread = GuestThread(_eryx_threads.new(context), function, daemon, name)
    threads[thread.ident] = thread
    return thread


def wait(
    purpose: str,
    ready: Callable[[], bool] | None = None,
    timeout: int | None = None,
    interests: Iterable[Interest] = (),
) -> bool:
    """Lets other threads run until `ready` returns True, or an interest is ready.

    Returns False after `timeout` nanoseconds. Raises RuntimeError if no thread can ever continue.
    """
    thread = current
    deadline = None if timeout is None else time.monotonic_ns() + timeout
    thread.wait = pending = Wait(purpose, ready, deadline, interests)
    if thread is not main and _suspend(thread.ident):
        thread.wait = None
        # Set by the thread that continued this one.
        return bool(thread.result)
    return _run_others(thread, pending)


def give_way() -> None:
    """Gives each thread that can run a turn."""
    if threads and (len(threads) > 1 or current is main):
        wait("its turn", timeout=0)


def give_way_to_held() -> None:
    """Lets the held thread below the calling one continue, if it need not wait any more.

    Between two functions of an executor: its threads would not let it continue before all are done.
    """
    if _held > 1 and current is not main:
        wait("its turn", timeout=0)


def _run_others(thread: GuestThread, pending: Wait) -> bool:
    global _held
    thread.held = True
    _held += 1
    try:
        while True:
            ran = _run_round()
            if due_in_main and thread is main:
                _call_handlers(thread)
            if ran and pending.interests:
                _poll(pending, wait=False)
            outcome = pending.outcome(time.monotonic_ns())
            if outcome is not None:
                return outcome
            if not ran and not _poll(pending):
                raise DeadlockError(_describe_deadlock(thread))
            if _timers.deadline is not None:
                _call_handlers(thread)
    finally:
        _held -= 1
        thread.held = False
        thread.wait = None


def _call_handlers(thread: GuestThread) -> None:
    """Calls the handlers of signals that are due for the waiting `thread`. They may wait, too."""
    state = thread.held, thread.wait
    try:
        _timers.expire_if_due()
        if thread is main:
            call_due_in_main()
    finally:
        thread.held, thread.wait = state


def call_due_in_main() -> None:
    """Calls the handlers that are due in the main thread, which is the calling one."""
    while due_in_main:
        due_in_main.pop(0)()


def _run_round() -> bool:
    """Gives each thread that need not wait a turn. Returns whether there was one."""
    global _rounds
    if _held > MAX_HELD:
        return False
    _rounds += 1
    if _rounds % _ROUNDS_WITHOUT_POLL == 0:
        # Threads that wake each other do not keep others from their peers.
        _poll(None, wait=False)
    ran = False
    for thread in list(threads.values()):
        # The ident of an ended thread may have been reused.
        if thread.held or threads.get(thread.ident) is not thread:
            continue
        if thread.started:
            pending = thread.wait
            assert pending is not None  # It is set aside.
            thread.result = pending.outcome(time.monotonic_ns())
            if thread.result is None:
                continue
        ran = True
        _switch_to(thread)
    return ran


def _poll(own: Wait | None, wait: bool = True) -> bool:
    """Waits for the first deadline, or a peer. Returns False if there is nothing to wait for.

    `own` is the wait of the calling thread.
    """
    waits = []
    if _held <= MAX_HELD:
        waits = [thread.wait for thread in threads.values() if thread.wait and not thread.held]
    if own is not None:
        waits.append(own)
    interested = [each for each in waits if each.interests]
    deadlines = [each.deadline for each in waits if each.deadline is not None]
    timeout = None
    if not wait:
        timeout = 0
    elif deadlines:
        timeout = max(0, min(deadlines) - time.monotonic_ns())
    if wait:
        timeout = _timers.bounded(timeout)
    if not interested and (not wait or timeout is None):
        return False
    poll_set = _readiness.PollSet()
    for each in interested:
        for key, interest, resource in each.interests:
            poll_set.add(key, interest, resource)
    try:
        ready = poll_set.run(timeout)
    except OSError as error:
        # All the sockets are connected to sockets of this program.
        if error.errno != errno.EDEADLK:
            raise
        return False
    for each in interested:
        each.fired = any(
            ready.get(key, 0) & (interest | _readiness.ALWAYS)
            for key, interest, _ in each.interests
        )
    return True


def _switch_to(thread: GuestThread) -> None:
    global current
    previous = current
    previous.tracing = _exchange_tracing(thread.tracing)
    current = thread
    try:
        suspended = _run(thread)
    finally:
        current = previous
        thread.tracing = _exchange_tracing(previous.tracing)
    if not suspended:
        del threads[thread.ident]
        thread.function = None
        _eryx_threads.free(thread.ident)


def _exchange_tracing(state: tuple[Any, Any]) -> tuple[Any, Any]:
    trace, profile = sys.gettrace(), sys.getprofile()
    if trace is not state[0]:
        sys.settrace(state[0])
    if profile is not state[1]:
        sys.setprofile(state[1])
    return (trace, profile)


# The three functions below change which function they return to: see `threads.wat`. Each has to be
# a function of its own, called from Python code.


def _run(thread: GuestThread) -> Any:
    """Runs a thread until it ends or is set aside. Returns True if it is set aside."""
    stack = thread.ident
    _eryx_threads.enter(stack)
    try:
        if thread.started:
            return _resume(stack)
        thread.started = True
        return thread.function()
    finally:
        _eryx_threads.leave(stack)


def _suspend(stack: int) -> bool:
    """Sets the calling thread aside: `_run` returns True. Returns True when it continues.

    Returns False at once if it cannot be set aside.
    """
    suspended: bool = _eryx_threads.suspend(stack)
    return suspended


def _resume(stack: int) -> bool:
    """Continues a thread where it called `_suspend`. Returns what the function of it returns."""
    _eryx_threads.resume(stack)
    return True


def run_to_end() -> None:
    """Runs the threads that are not daemons to their end, and the others meanwhile.

    Threads that wait for what only another thread can do stay set aside.
    """
    while True:
        ran = _run_round()
        call_due_in_main()
        now = time.monotonic_ns()
        waits = [thread.wait for thread in threads.values() if thread.wait and not thread.daemon]
        ending = [each for each in waits if each.ends_by_itself() or each.outcome(now)]
        if not ending or not (ran or _poll(ending[0])):
            return


def restart_clock() -> None:
    """Prepares the threads for a clock that starts at 0, as that of a sandbox of a factory does."""
    now = time.monotonic_ns()
    for thread in threads.values():
        if thread.wait is not None and thread.wait.deadline is not None:
            thread.wait.deadline -= now


def _describe_deadlock(thread: GuestThread) -> str:
    assert thread.wait is not None
    lines = [f"deadlock: {thread.name()} waits for {thread.wait.purpose}"]
    if not threads:
        return lines[0] + ", and there is no other thread"
    below = [main, *threads.values()]
    for other in below:
        if other is not thread and other.wait is not None:
            line = f"{other.name()} waits for {other.wait.purpose}"
            if other.held:
                line += " and cannot continue before the threads that run on top of it"
            lines.append(line)
    return ", ".join(lines[:20]) + ("" if len(lines) <= 20 else f", and {len(lines) - 20} more")
