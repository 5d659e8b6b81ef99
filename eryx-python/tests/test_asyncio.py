"""Executions on an event loop."""

from __future__ import annotations

import asyncio
import threading
import time
import types
from collections.abc import Iterator
from typing import Any

import pytest

import eryx


def test_executions_of_many_tasks_overlap(port):
    sandbox = eryx.Sandbox(network=eryx.NetConfig().allow_localhost())

    async def main() -> list[str]:
        tasks = [
            asyncio.create_task(sandbox.aexecute(f"import time\ntime.sleep(0.5)\nprint({n})"))
            for n in range(10)
        ]
        return [result.stdout for result in await asyncio.gather(*tasks)]

    start = time.monotonic()
    assert asyncio.run(main()) == [f"{n}\n" for n in range(10)]
    assert time.monotonic() - start < 4


def test_the_event_loop_keeps_running_while_a_program_computes():
    async def main() -> int:
        task = asyncio.create_task(
            eryx.Sandbox().aexecute(
                "import time\nend = time.monotonic() + 0.5\nwhile time.monotonic() < end: pass"
            )
        )
        iterations = 0
        while not task.done():
            iterations += 1
            await asyncio.sleep(0.005)
        await task
        return iterations

    assert asyncio.run(main()) > 10


def test_awaiting_raises_the_error_of_the_program():
    async def main() -> None:
        await eryx.Sandbox().aexecute("1/0")

    with pytest.raises(eryx.ExecutionError, match="ZeroDivisionError"):
        asyncio.run(main())
    with pytest.raises(TypeError, match="a str or bytes"):
        eryx.Sandbox().aexecute(3)


def test_cancelling_the_task_ends_the_program():
    listening = __import__("socket").create_server(("127.0.0.1", 0))
    listening.settimeout(10)
    host, port = listening.getsockname()
    sandbox = eryx.Sandbox(network=eryx.NetConfig().allow_localhost())

    async def main() -> None:
        code = f"import socket\ns = socket.create_connection(({host!r}, {port}))\ns.recv(1)"
        task = asyncio.create_task(sandbox.aexecute(code))
        peer, _ = await asyncio.to_thread(listening.accept)
        peer.settimeout(10)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        # The peer sees the connection closed: the program has ended, not only its task.
        assert await asyncio.to_thread(peer.recv, 1) == b""

    asyncio.run(main())


def test_wait_for_timeout_ends_the_program():
    async def main() -> None:
        await asyncio.wait_for(eryx.Sandbox().aexecute("while True: pass"), 0.2)

    with pytest.raises(asyncio.TimeoutError):
        asyncio.run(main())


def test_sandbox_cancel_ends_an_awaited_execution():
    sandbox = eryx.Sandbox()

    async def main() -> None:
        asyncio.get_running_loop().call_later(0.2, sandbox.cancel)
        await sandbox.aexecute("print('begun', flush=True)\nwhile True: pass")

    with pytest.raises(eryx.CancelledError) as caught:
        asyncio.run(main())
    assert caught.value.stdout == "begun\n"


def test_callbacks_run_on_the_loop_thread_before_the_result_is_set():
    seen: list[tuple[str, int]] = []
    sandbox = eryx.Sandbox(on_stdout=lambda text: seen.append((text, threading.get_ident())))

    async def main() -> None:
        await sandbox.aexecute("for n in range(5): print(n, flush=True)")
        assert "".join(text for text, _ in seen) == "0\n1\n2\n3\n4\n"

    asyncio.run(main())
    assert {thread for _, thread in seen} == {threading.get_ident()}


def test_callback_exception_ends_the_awaited_program():
    def refuse(text: str) -> None:
        raise LookupError(text)

    async def main() -> None:
        await eryx.Sandbox(on_stdout=refuse).aexecute("print('now', flush=True)\nwhile True: pass")

    with pytest.raises(LookupError, match="now"):
        asyncio.run(main())


# The limit on queued text, and what one write may add to a full queue; see `call_queue.rs`.
MAX_TEXT = (64 << 10) + (4 << 10)


def interpreters(**settings: Any) -> Iterator[Any]:
    """Yield an object of each kind that has `aexecute`."""
    yield eryx.Sandbox(**settings)
    yield eryx.Sandbox(**settings).session()
    yield eryx.SandboxFactory().create_sandbox(**settings)


def test_single_byte_writes_are_delivered_in_few_calls():
    pieces: list[str] = []

    def slow(text: str) -> None:
        pieces.append(text)
        time.sleep(0.001)

    for interpreter in interpreters(on_stdout=slow):
        pieces.clear()
        result = asyncio.run(
            interpreter.aexecute(
                "import os\nfor n in range(100_000): os.write(1, b'%d' % (n % 10))"
            )
        )
        assert "".join(pieces) == result.stdout == "0123456789" * 10_000
        assert len(pieces) < 10_000
        assert max(map(len, pieces)) <= MAX_TEXT


def test_program_waits_for_a_slow_loop_but_its_time_limit_does_not():
    limits = eryx.ResourceLimits(execution_timeout_ms=2000)
    seen: list[str] = []

    def stuck(text: str) -> None:
        seen.append(text)
        if len(seen) == 1:
            time.sleep(2.5)

    for interpreter in interpreters(on_stdout=stuck, resource_limits=limits):
        seen.clear()
        with pytest.raises(eryx.TimeoutError) as caught:
            asyncio.run(interpreter.aexecute("import os\nwhile True: os.write(1, b'x' * 100)"))
        printed = caught.value.stdout
        assert 64 << 10 <= len(printed) <= len(seen[0]) + MAX_TEXT
        # The rest arrives in one call before the error.
        assert len(seen) == 2
        assert "".join(seen) == printed


def test_output_of_both_streams_keeps_its_order():
    seen: list[str] = []
    sandbox = eryx.Sandbox(
        on_stdout=lambda text: seen.append("o" * len(text)),
        on_stderr=lambda text: seen.append("e" * len(text)),
    )
    asyncio.run(
        sandbox.aexecute(
            "import os\nfor n in range(1000): os.write(1 + n % 2, b'x'), n % 5 or os.write(2, b'y')"
        )
    )
    expected = "".join("oe"[n % 2] + ("" if n % 5 else "e") for n in range(1000))
    assert "".join(seen) == expected


def test_remaining_output_of_an_ended_program_is_one_call_per_stream():
    seen: list[tuple[str, str]] = []

    def stuck(text: str) -> None:
        if not seen:
            time.sleep(2.5)
        seen.append(("out", text))

    sandbox = eryx.Sandbox(
        on_stdout=stuck,
        on_stderr=lambda text: seen.append(("err", text)),
        resource_limits=eryx.ResourceLimits(execution_timeout_ms=2000),
    )
    with pytest.raises(eryx.TimeoutError) as caught:
        asyncio.run(sandbox.aexecute("import os\nwhile True: os.write(1, b'o'), os.write(2, b'e')"))
    assert len(seen) == 3
    assert "".join(text for kind, text in seen if kind == "out") == caught.value.stdout
    assert "".join(text for kind, text in seen if kind == "err") == caught.value.stderr


@pytest.mark.parametrize(
    ("raised", "expected"),
    [
        (StopIteration("enough"), RuntimeError),
        (StopAsyncIteration("enough"), StopAsyncIteration),
        (GeneratorExit("enough"), GeneratorExit),
        (KeyboardInterrupt("enough"), KeyboardInterrupt),
        (SystemExit("enough"), SystemExit),
        (ValueError("enough"), ValueError),
    ],
)
def test_any_callback_exception_ends_the_awaited_program_and_is_raised(raised, expected):
    printed: list[str] = []

    def refuse(text: str) -> None:
        printed.append(text)
        raise raised

    async def main() -> None:
        code = "import time\nfor n in range(600): print(n, flush=True), time.sleep(0.1)"
        await eryx.Sandbox(on_stdout=refuse).aexecute(code)

    with pytest.raises(expected, match="enough") as caught:
        asyncio.run(main())
    assert caught.value is raised or caught.value.__cause__ is raised
    assert printed == ["0\n"]


@pytest.mark.parametrize("code", ["while True: print(1), time.sleep(0.01)", "time.sleep(30)"])
def test_closing_the_loop_during_an_execution_ends_the_program(code: str):
    listening = __import__("socket").create_server(("127.0.0.1", 0))
    listening.settimeout(10)
    host, port = listening.getsockname()
    sandbox = eryx.Sandbox(network=eryx.NetConfig().allow_localhost(), on_stdout=lambda text: None)
    code = f"import socket, time\ns = socket.create_connection(({host!r}, {port}))\n{code}"
    loop = asyncio.new_event_loop()
    task = loop.create_task(sandbox.aexecute(code))
    accepted = loop.create_task(asyncio.to_thread(listening.accept))
    peer, _ = loop.run_until_complete(accepted)
    loop.close()
    peer.settimeout(10)
    # The connection is closed: the program has ended.
    assert peer.recv(1) == b""
    # Suppresses asyncio's warning about a pending task that is deleted.
    task._log_destroy_pending = False  # type: ignore[attr-defined]


def test_queued_programs_of_a_session_keep_their_output_separate():
    seen: list[str] = []
    session = eryx.Sandbox(on_stdout=seen.append).session()

    async def main() -> list[str]:
        programs = (session.aexecute(f"print({n} * 'x', end='')") for n in range(1, 30))
        return [result.stdout for result in await asyncio.gather(*programs)]

    assert asyncio.run(main()) == ["x" * n for n in range(1, 30)]
    # The order is not defined.
    assert sorted(seen) == ["x" * n for n in range(1, 30)]


def test_sandboxes_and_sessions_are_async_context_managers():
    async def main() -> str:
        async with eryx.Sandbox() as sandbox:
            async with sandbox.session() as session:
                await session.aexecute("x = 1")
                printed = (await session.aexecute("print(x)")).stdout
            with pytest.raises(eryx.SessionClosedError):
                await session.aexecute("pass")
        with pytest.raises(eryx.EryxError):
            await sandbox.aexecute("pass")
        return printed

    assert asyncio.run(main()) == "1\n"


def test_session_is_closed_without_blocking_the_loop():
    async def main() -> None:
        loop = asyncio.get_running_loop()
        started = asyncio.Event()

        async def take(text: str) -> None:
            started.set()

        def write(text: str) -> None:
            asyncio.run_coroutine_threadsafe(take(text), loop).result(60)

        async with eryx.Sandbox(on_stdout=write).session() as session:
            program = "while True: print('x')"
            task = loop.run_in_executor(None, session.execute, program)
            await started.wait()
        with pytest.raises(eryx.CancelledError):
            await task

    asyncio.run(main())


def test_session_is_closed_in_a_coroutine_without_a_loop():
    @types.coroutine
    def suspend():
        yield

    async def use() -> None:
        async with session:
            await suspend()

    session = eryx.Sandbox().session()
    coroutine = use()
    coroutine.send(None)
    with pytest.raises(ValueError, match="of the body"):
        coroutine.throw(ValueError("of the body"))
    with pytest.raises(eryx.SessionClosedError):
        session.execute("pass")


def test_closing_a_session_delivers_its_events_on_the_loop(port):
    events, threads = [], set()

    def observe(event: eryx.NetworkEvent) -> None:
        events.append(event.event)
        threads.add(threading.get_ident())

    async def main() -> None:
        network = eryx.NetConfig.permissive()
        sandbox = eryx.Sandbox(network=network, on_network_event=observe)
        async with sandbox.session() as session:
            connect = f"import socket; s = socket.create_connection(('127.0.0.1', {port}))"
            await session.aexecute(connect)
            before = len(events)
            # The statement has the only reference.
            del session
        assert events[before:] == ["closed"]

    asyncio.run(main())
    assert threads == {threading.get_ident()}


def test_awaited_programs_of_a_session_run_one_at_a_time():
    async def main() -> str:
        async with eryx.Sandbox().session() as session:
            await session.aexecute("seen = []")
            program = "import time\nseen.append('in')\ntime.sleep(0.05)\nseen.append('out')"
            await asyncio.gather(*(session.aexecute(program) for _ in range(4)))
            return (await session.aexecute("print(seen == ['in', 'out'] * 4)")).stdout

    assert asyncio.run(main()) == "True\n"
