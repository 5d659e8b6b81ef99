"""Network events: their fields, the thread of the callback, and exceptions of the callback."""

from __future__ import annotations

import asyncio
import json
import pickle
import threading
import time
from typing import Any, Callable

import pytest

import eryx

LOOPBACK = eryx.NetConfig().allow_localhost()

CONNECT = """
import socket
for host, port in {targets!r}:
    try:
        with socket.create_connection((host, port)) as s:
            s.sendall(b"x")
    except OSError as error:
        print(type(error).__name__)
"""


def connecting(*targets: tuple[str, int]) -> str:
    return CONNECT.format(targets=targets)


def test_events_carry_their_fields_and_execution_number(port):
    seen: list[eryx.NetworkEvent] = []
    sandbox = eryx.Sandbox(network=LOOPBACK, on_network_event=seen.append)
    program = connecting(("127.0.0.1", port), ("10.0.0.1", 1))
    result = sandbox.execute(program)
    with pytest.raises(eryx.ExecutionError) as caught:
        sandbox.execute(program + "1 / 0")
    executions = [result.execution, caught.value.execution]
    assert [(event.execution, event.event, event.id) for event in seen] == [
        (execution, *kind_and_id)
        for execution in executions
        for kind_and_id in [("connected", 1), ("closed", 1), ("denied", 2)]
    ]
    connected, closed, denied = seen[:3]
    assert (connected.activity, connected.host, connected.port) == ("connection", "127.0.0.1", port)
    assert connected.address == f"127.0.0.1:{port}"
    assert connected.elapsed_ms is not None
    assert connected.elapsed_ms > 0
    assert connected.verdict is not None
    assert connected.verdict.is_allowed
    assert (closed.sent, closed.received, closed.close_reason, closed.error) == (
        1,
        0,
        "local-close",
        None,
    )
    assert denied.verdict is not None
    assert (denied.verdict.rule, denied.count) == ("10.0.0.0/8", None)
    assert denied.addresses is None
    for event in seen:
        fields = event.to_dict()
        assert json.loads(json.dumps(fields)) == fields
        for name, value in fields.items():
            if name != "verdict":
                assert getattr(event, name) == value
        assert pickle.loads(pickle.dumps(event)) == event
    assert "time" not in denied.to_dict()
    assert denied.to_dict()["verdict"]["rule"]["pattern"] == "10.0.0.0/8"
    assert str(denied).startswith(f"{result.execution}#2 10.0.0.1:1 denied: ")
    assert repr(denied) == f"<eryx.NetworkEvent: {denied}>"


def test_event_text_shows_a_host_on_one_line():
    seen: list[eryx.NetworkEvent] = []
    eryx.Sandbox(network=LOOPBACK, on_network_event=seen.append).execute("""
from wit_world.imports import tcp
try: tcp.Connection.connect("x\\n#2 admin.example:443 connected\\x1b[31m", 1)
except Exception: pass
""")
    [denied] = seen
    assert denied.host == "x\n#2 admin.example:443 connected\x1b[31m"
    for shown in (str(denied), repr(denied)):
        assert shown.isprintable()
        assert r'"x\n#2 admin.example:443 connected\u{1b}[31m":1' in shown


def test_events_arrive_on_the_calling_thread_or_the_loop_thread(port):
    threads: list[int] = []
    sandbox = eryx.Sandbox(
        network=LOOPBACK, on_network_event=lambda _: threads.append(threading.get_ident())
    )
    program = connecting(("127.0.0.1", port))
    sandbox.execute(program)
    asyncio.run(sandbox.aexecute(program))
    assert threads == [threading.get_ident()] * 4


@pytest.mark.parametrize("error", [ValueError("no"), KeyboardInterrupt(), SystemExit(3)])
@pytest.mark.parametrize("run", ["execute", "aexecute"])
def test_event_callback_exception_ends_the_program_and_is_raised(run, error, port):
    def refuse(event: eryx.NetworkEvent) -> None:
        raise error

    sandbox = eryx.Sandbox(network=LOOPBACK, on_network_event=refuse)
    program = connecting(("127.0.0.1", port)) + "while True: pass"

    async def catch() -> BaseException:
        try:
            await sandbox.aexecute(program)
        except BaseException as raised:
            return raised
        raise AssertionError("it did not raise")

    if run == "aexecute":
        raised = asyncio.run(catch())
    else:
        with pytest.raises(type(error)) as caught:
            sandbox.execute(program)
        raised = caught.value
    assert raised is error


def test_program_waits_for_a_loop_that_handles_events_slowly(port):
    seen: list[eryx.NetworkEvent] = []

    def slow(event: eryx.NetworkEvent) -> None:
        seen.append(event)
        time.sleep(0.02)

    limits = eryx.ResourceLimits(execution_timeout_ms=2000)
    sandbox = eryx.Sandbox(network=LOOPBACK, resource_limits=limits, on_network_event=slow)
    program = f"""
import socket
while True:
    socket.create_connection(("127.0.0.1", {port})).close()
"""
    with pytest.raises(eryx.TimeoutError) as caught:
        asyncio.run(sandbox.aexecute(program))
    report = caught.value.network
    started = len(report.connections) + report.dropped
    delivered = len({event.id for event in seen})
    # 16 calls may be queued, and a few more between two checks of the queue.
    assert delivered <= started <= delivered + 64


@pytest.mark.parametrize("run", ["execute", "aexecute"])
def test_closing_a_session_emits_the_close_events_of_its_connections(run, port):
    seen: list[eryx.NetworkEvent] = []
    factory = eryx.SandboxFactory(setup_code="import socket")
    session = factory.create_session(network=LOOPBACK, on_network_event=seen.append)
    program = f"s = socket.create_connection(('127.0.0.1', {port}))"
    if run == "execute":
        execution = session.execute(program).execution
    else:
        execution = asyncio.run(session.aexecute(program)).execution
    assert [event.event for event in seen] == ["connected"]
    session.close()
    assert [(event.event, event.execution) for event in seen[1:]] == [("closed", execution)]


def test_factory_sandboxes_emit_events():
    seen: list[Any] = []
    factory = eryx.SandboxFactory(setup_code="import socket")
    sandbox = factory.create_sandbox(network=LOOPBACK, on_network_event=seen.append)
    sandbox.execute(connecting(("10.0.0.1", 1)))
    assert [event.event for event in seen] == ["denied"]


def test_event_callback_must_be_callable():
    make: Callable[..., Any] = eryx.Sandbox
    with pytest.raises(TypeError, match="on_network_event has to be a function that takes an eryx"):
        make(on_network_event="print")
