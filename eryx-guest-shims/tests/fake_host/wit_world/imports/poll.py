"""A fake `eryx:net/poll`."""

import time
from dataclasses import dataclass

import real_modules

from .tcp import calls as counted


@dataclass
class Ready:
    readable: list
    writable: list
    receivable: list
    sendable: list
    lookups: list
    calls: list


def poll(readable, writable, receivable, sendable, lookups, calls, timeout):
    counted["poll"] += 1
    ready = Ready([], [], [], [], [], [])
    deadline = None if timeout is None else time.monotonic() + timeout / 1e9
    while True:
        now = time.monotonic()
        ready.calls = [at for at, call in enumerate(calls) if call.ready_at <= now]
        ready.lookups = [at for at, lookup in enumerate(lookups) if lookup.ready_at <= now]
        ready.readable = [at for at, each in enumerate(readable) if each.pending() or each.error]
        ready.writable = [at for at, each in enumerate(writable) if each.error]
        poller = real_modules.select.poll()
        events = {}
        reading, writing = real_modules.select.POLLIN, real_modules.select.POLLOUT
        for given, event in (
            (readable, reading),
            (writable, writing),
            (receivable, reading),
            (sendable, writing),
        ):
            for each in given:
                if each.sock is not None:
                    fd = each.sock.fileno()
                    events[fd] = events.get(fd, 0) | event
        for fd, event in events.items():
            poller.register(fd, event)
        already_ready = ready.lookups or ready.calls or ready.readable or ready.writable
        wait = 0.0 if already_ready else 60.0
        if deadline is not None:
            wait = min(wait, max(0, deadline - now))
        for each in (*lookups, *calls):
            wait = min(wait, max(0, each.ready_at - now))
        found = dict(poller.poll(wait * 1000 + (0.5 if wait else 0)))
        bad = real_modules.select.POLLERR | real_modules.select.POLLHUP
        for given, event, into in (
            (readable, reading, ready.readable),
            (writable, writing, ready.writable),
            (receivable, reading, ready.receivable),
            (sendable, writing, ready.sendable),
        ):
            for at, each in enumerate(given):
                if each.sock is not None and found.get(each.sock.fileno(), 0) & (event | bad):
                    into.append(at)
        if any(vars(ready).values()):
            return ready
        if deadline is not None and time.monotonic() >= deadline:
            return ready
