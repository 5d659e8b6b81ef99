"""`select` and `poll` over host connections and in-guest sockets."""

from __future__ import annotations

import subprocess
import sys

import pytest

from conftest import Guest
from servers import echo, serve, silent


def test_host_and_in_guest_sockets_are_polled_in_one_host_call(guest: Guest) -> None:
    with serve(echo) as port:
        guest(f"""
            import select, socket
            from wit_world.imports import tcp
            near, far = socket.socketpair()
            s = socket.create_connection(("server.test", {port}))
            before = tcp.calls["poll"]
            assert select.select([near, s], [], [], 0.01) == ([], [], [])
            assert tcp.calls["poll"] == before + 1
            far.send(b"x")
            assert select.select([near, s], [near, s], [], 5) == ([near], [near, s], [])
            s.sendall(b"y")
            assert select.select([s], [], [], 5) == ([s], [], [])
            poller = select.poll()
            poller.register(near, select.POLLIN)
            poller.register(s, select.POLLIN | select.POLLOUT)
            import time; time.sleep(0.05)
            assert dict(poller.poll(1000)) == {{
                near.fileno(): select.POLLIN, s.fileno(): select.POLLIN | select.POLLOUT}}
            poller.modify(s, select.POLLIN)
            poller.unregister(near)
            assert s.recv(1) == b"y"
            assert poller.poll(1) == []
            for each in (near, far, s): each.close()
        """)


def test_two_hundred_descriptors_are_polled_in_one_host_call(guest: Guest) -> None:
    with serve(silent) as port:
        guest(f"""
            import selectors, socket
            from wit_world.imports import network, tcp
            network.MAX_CONNECTIONS = 300
            held = [socket.create_connection(("127.0.0.1", {port})) for _ in range(200)]
            selector = selectors.DefaultSelector()
            assert type(selector).__name__ == "PollSelector"
            for s in held:
                selector.register(s, selectors.EVENT_READ)
            before = tcp.calls.total()
            assert selector.select(0.01) == []
            assert tcp.calls.total() == before + 1
            selector.close()
            for s in held: s.close()
        """)


def test_every_selector_of_the_standard_library_reports_events(guest: Guest) -> None:
    guest("""
        import selectors, socket
        for kind in (selectors.SelectSelector, selectors.PollSelector, selectors.DefaultSelector):
            near, far = socket.socketpair()
            with kind() as selector:
                selector.register(near, selectors.EVENT_READ | selectors.EVENT_WRITE, "data")
                [(key, events)] = selector.select(0)
                assert key.data == "data" and events == selectors.EVENT_WRITE
                selector.modify(near, selectors.EVENT_READ)
                assert selector.select(0.01) == []
                far.send(b"x")
                assert selector.select()[0][1] == selectors.EVENT_READ
            near.close(); far.close()
    """)


def test_closed_and_invalid_descriptors_raise_the_same_errors_as_cpython(guest: Guest) -> None:
    guest("""
        import errno, select, socket, sys
        s = socket.socket(); fd = s.fileno()
        assert select.select([s], [s], [], 0) == ([s], [s], [])
        s.close()
        try:
            select.select([fd], [], [], 0)
        except OSError as error:
            assert error.errno == errno.EBADF
        else:
            raise AssertionError("EBADF")
        poller = select.poll()
        poller.register(fd, select.POLLIN)
        assert poller.poll(0) == [(fd, select.POLLNVAL)]
        for bad, kind in ((-1, ValueError), ("x", TypeError), (object(), TypeError)):
            try:
                select.select([bad], [], [], 0)
            except kind:
                pass
            else:
                raise AssertionError(bad)
        try:
            poller.unregister(5)
        except KeyError:
            pass
        try:
            poller.modify(5, 0)
        except FileNotFoundError:
            pass
        try:
            select.select([], [], [], -1)
        except ValueError:
            pass
        assert select.select([], [1], [], 0) == ([], [1], [])
        assert not hasattr(select, "kqueue")
    """)


EPOLL = """
import errno, os, select, socket

def outcome(call, *arguments, **keywords):
    try:
        return call(*arguments, **keywords)
    except OSError as error:
        return type(error).__name__, errno.errorcode.get(error.errno)
    except TypeError:
        return "TypeError"
    except ValueError as error:
        return type(error).__name__, str(error)

def shown(events):
    return sorted((names.get(fd, "?"), event) for fd, event in events)

def show(*values):
    print(*values)

names = {}
poll = select.epoll()
reader, writer = os.pipe()
near, far = socket.socketpair()
for name, fd in (("r", reader), ("w", writer), ("near", near.fileno()), ("far", far.fileno())):
    names[fd] = name
show(poll.fileno() >= 0, poll.closed, shown(poll.poll(0)))
show(outcome(poll.register, reader, select.EPOLLIN), outcome(poll.register, reader))
show(outcome(poll.register, near), outcome(poll.modify, far, 0), outcome(poll.unregister, far))
show(shown(poll.poll(0)), shown(poll.poll(0.01)), shown(poll.poll(-1)))
os.write(writer, b"x")
show(shown(poll.poll()), shown(poll.poll(timeout=1)), len(poll.poll(1, 1)))
show(sorted(names[poll.poll(0, 1)[0][0]] for _ in range(2)))
show(outcome(poll.poll, 0, 0), outcome(poll.poll, 0, -2), outcome(poll.poll, "x"))
poll.modify(near, select.EPOLLIN | select.EPOLLONESHOT)
far.send(b"y")
show(shown(poll.poll(0)), shown(poll.poll(0)))
poll.modify(near, select.EPOLLIN | select.EPOLLRDHUP)
show(shown(poll.poll(0)))
far.close()
show(shown(poll.poll(0)))
poll.modify(near, 0)
show(shown(poll.poll(0)))
near.close()
show(shown(poll.poll(0)))
os.close(writer)
os.read(reader, 10)
show(shown(poll.poll(0)))
os.close(reader)
show(shown(poll.poll(0)))
show(outcome(poll.register, reader), outcome(poll.register, -1), outcome(poll.register, "x"))
with open(FILE) as file:
    show(outcome(poll.register, file))
with select.epoll(5) as other:
    show(outcome(poll.register, other) is None or True)
show(other.closed, outcome(other.poll), outcome(other.fileno), outcome(other.close))
show(outcome(select.epoll, 0), outcome(select.epoll, -2), outcome(select.epoll, 1, 12345))
same = select.epoll.fromfd(os.dup(poll.fileno()))
show(same.poll(0), type(same).__name__)
same.close()
os.close(poll.fileno())
show(outcome(poll.poll, 0))
show(select.epoll.__module__, select.EPOLL_CLOEXEC, select.EPOLLET, select.EPOLLONESHOT)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="compares with Linux")
def test_epoll_has_the_level_triggered_events_and_errors_of_linux(guest: Guest) -> None:
    program = f"FILE = {__file__!r}\n{EPOLL}"
    native = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert guest(program).splitlines() == native.stdout.splitlines()


def test_epoll_refuses_edge_triggered_events_and_is_not_that_of_selectors(guest: Guest) -> None:
    guest("""
        import errno, select, selectors, socket
        assert selectors.DefaultSelector is selectors.PollSelector
        near, far = socket.socketpair()
        poll = select.epoll()
        try:
            poll.register(near, select.EPOLLIN | select.EPOLLET)
        except OSError as error:
            assert error.errno == errno.EINVAL and "EPOLLET" in str(error)
        else:
            raise AssertionError("edges")
        near.close(); far.close()
    """)


def test_an_empty_poll_makes_no_host_call(guest: Guest) -> None:
    guest("""
        import select, time
        from eryx_net import host
        host.poll = None
        assert select.poll().poll(0) == []
        assert select.select([], [], [], 0) == ([], [], [])
    """)


def test_a_select_that_can_never_succeed_raises_edeadlk_or_sleeps_for_its_timeout(
    guest: Guest,
) -> None:
    guest("""
        import errno, select, socket, time
        near, far = socket.socketpair()
        try:
            select.select([near], [], [])
        except OSError as error:
            assert error.errno == errno.EDEADLK
        else:
            raise AssertionError("deadlock")
        started = time.monotonic()
        assert select.select([near], [], [], 0.05) == ([], [], [])
        assert time.monotonic() - started > 0.04
        near.close(); far.close()
    """)
