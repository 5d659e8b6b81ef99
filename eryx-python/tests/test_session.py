"""Sessions: the state they keep, and how they end."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

import eryx


def test_session_keeps_names_and_survives_an_exception():
    with eryx.Sandbox().session() as session:
        session.execute("x = 20")
        with pytest.raises(eryx.ExecutionError):
            session.execute("x = 21\n1/0")
        assert session.execute("print(x * 2)").stdout == "42\n"


def test_connection_stays_open_between_executions(port):
    with eryx.Sandbox(network=eryx.NetConfig().allow_localhost()).session() as session:
        opened = session.execute(
            f"import http.client\nsite = http.client.HTTPConnection('127.0.0.1', {port})\nsite.connect()"
        )
        assert opened.network.connections[0].close_reason is None
        asked = session.execute(
            "site.request('GET', '/again')\nprint(site.getresponse().read().decode())"
        )
        assert asked.stdout == "you asked for /again\n"


def test_exceeded_limit_ends_the_session():
    limits = eryx.ResourceLimits(execution_timeout_ms=100)
    session = eryx.Sandbox(resource_limits=limits).session()
    with pytest.raises(eryx.TimeoutError):
        session.execute("while True: pass")
    with pytest.raises(eryx.SessionClosedError, match=r"took longer.*start a new one"):
        session.execute("pass")


def test_cancel_ends_the_running_program_and_waiting_ones():
    session = eryx.Sandbox().session()
    with ThreadPoolExecutor() as pool:
        first = pool.submit(session.execute, "while True: pass")
        time.sleep(0.2)
        second = pool.submit(session.execute, "print(2)")
        time.sleep(0.2)
        session.cancel()
        with pytest.raises(eryx.CancelledError):
            first.result(10)
        with pytest.raises((eryx.CancelledError, eryx.SessionClosedError)):
            second.result(10)


def test_cancelling_a_call_that_waits_for_another_one_keeps_the_session():
    async def main():
        session = eryx.Sandbox().session()
        running = asyncio.create_task(session.aexecute("import time\ntime.sleep(0.5)\nx = 1"))
        await asyncio.sleep(0.1)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(session.aexecute("x = 2"), 0.1)
        await running
        return await session.aexecute("print(x)")

    assert asyncio.run(main()).stdout == "1\n"


def test_programs_of_several_threads_run_one_at_a_time():
    session = eryx.Sandbox().session()
    session.execute("seen = []")
    program = "import time\nseen.append('in')\ntime.sleep(0.05)\nseen.append('out')"
    with ThreadPoolExecutor(4) as pool:
        for execution in [pool.submit(session.execute, program) for _ in range(4)]:
            execution.result(30)
    assert session.execute("print(seen == ['in', 'out'] * 4)").stdout == "True\n"


def test_close_ends_the_running_program_and_rejects_later_ones():
    session = eryx.Sandbox().session()
    with ThreadPoolExecutor() as pool:
        running = pool.submit(session.execute, "while True: pass")
        time.sleep(0.2)
        session.close()
        with pytest.raises(eryx.CancelledError):
            running.result(10)
    session.close()
    assert repr(session) == "<eryx.Session, closed>"
    for use in (lambda: session.execute("pass"), session.__enter__):
        with pytest.raises(eryx.SessionClosedError, match="closed"):
            use()


@pytest.mark.parametrize("end", ["", "while True: pass"])
@pytest.mark.parametrize("run", ["execute", "aexecute"])
def test_a_session_that_its_callback_closes_ends_with_the_execution(run, end):
    listener = socket.create_server(("127.0.0.1", 0))
    pieces: list[str] = []
    events: list[str] = []

    def close(text: str) -> None:
        session.close()
        pieces.append(text)

    session = eryx.Session(
        network=eryx.NetConfig().allow_localhost(),
        on_stdout=close,
        on_network_event=lambda event: events.append(event.event),
    )
    program = f"import socket\ns = socket.create_connection({listener.getsockname()!r})\nprint(1)\n"
    # Without an endless loop, the program may end before it is cancelled.
    with contextlib.suppress(eryx.CancelledError):
        if run == "execute":
            session.execute(program + end)
        else:
            asyncio.run(session.aexecute(program + end))
    assert pieces
    assert events == ["connected", "closed"]
    peer, _ = listener.accept()
    peer.settimeout(10)
    assert peer.recv(1) == b""
    session.close()
    with pytest.raises(eryx.SessionClosedError):
        session.execute("pass")


def test_a_callback_closes_another_session():
    sessions = [eryx.Sandbox().session()]
    sandbox = eryx.Sandbox(on_stdout=lambda _: sessions[0].close())
    assert sandbox.execute("print(1)").stdout == "1\n"
    with pytest.raises(eryx.SessionClosedError):
        sessions[0].execute("pass")


def test_session_output_goes_to_the_callbacks_of_its_sandbox():
    pieces: list[str] = []
    with eryx.Sandbox(on_stdout=pieces.append).session() as session:
        session.execute("print(1)")
        assert "".join(pieces) == "1\n"
        session.execute("print(2)")
    assert "".join(pieces) == "1\n2\n"


def test_unreferenced_session_closes_its_connections(port):
    listener = socket.create_server(("127.0.0.1", 0))
    session = eryx.Sandbox(network=eryx.NetConfig().allow_localhost()).session()
    session.execute(f"import socket\ns = socket.create_connection({listener.getsockname()!r})")
    peer, _ = listener.accept()
    peer.settimeout(10)
    del session
    gc.collect()
    assert peer.recv(1) == b""


def test_sessions_of_many_threads_do_not_mix():
    sandbox = eryx.Sandbox()
    failures: list[object] = []

    def use(number: int) -> None:
        with sandbox.session() as session:
            session.execute(f"x = {number}")
            for _ in range(5):
                if session.execute("print(x)").stdout != f"{number}\n":
                    failures.append(number)

    threads = [threading.Thread(target=use, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert failures == []


def test_a_session_is_constructed_with_the_arguments_of_a_sandbox():
    with eryx.Session(env={"NAME": "value"}) as session:
        session.execute("x = 1")
        result = session.execute("import os; x, os.environ['NAME']", value=True)
        assert result.value == [1, "value"]
    with pytest.raises(TypeError, match=r"Session\(\) has no argument net"):
        eryx.Session(net=None)
    with pytest.raises(TypeError, match=r"Session\(\) takes no positional arguments"):
        eryx.Session(eryx.Sandbox())
