"""Executions on an event loop."""

from __future__ import annotations

import asyncio
import threading
import time

import pytest

import eryx


def test_programs_of_many_tasks_overlap(port):
    sandbox = eryx.Sandbox(network=eryx.NetConfig().allow_localhost())

    async def main() -> list[str]:
        tasks = [
            asyncio.create_task(sandbox.aexecute(f"import time\ntime.sleep(0.5)\nprint({n})"))
            for n in range(10)
        ]
        return [result.stdout for result in await asyncio.gather(*tasks)]

    begun = time.monotonic()
    assert asyncio.run(main()) == [f"{n}\n" for n in range(10)]
    assert time.monotonic() - begun < 4


def test_the_loop_goes_on_while_a_program_computes():
    async def main() -> int:
        task = asyncio.create_task(
            eryx.Sandbox().aexecute(
                "import time\nend = time.monotonic() + 0.5\nwhile time.monotonic() < end: pass"
            )
        )
        turns = 0
        while not task.done():
            turns += 1
            await asyncio.sleep(0.005)
        await task
        return turns

    assert asyncio.run(main()) > 10


def test_errors_come_out_of_the_await():
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
        # The peer sees the connection closed: the program is gone, not only forgotten.
        assert await asyncio.to_thread(peer.recv, 1) == b""

    asyncio.run(main())


def test_a_timeout_of_asyncio_ends_the_program():
    async def main() -> None:
        await asyncio.wait_for(eryx.Sandbox().aexecute("while True: pass"), 0.2)

    with pytest.raises(asyncio.TimeoutError):
        asyncio.run(main())


def test_cancel_of_the_sandbox_ends_what_a_task_awaits():
    sandbox = eryx.Sandbox()

    async def main() -> None:
        asyncio.get_running_loop().call_later(0.2, sandbox.cancel)
        await sandbox.aexecute("print('begun', flush=True)\nwhile True: pass")

    with pytest.raises(eryx.CancelledError) as caught:
        asyncio.run(main())
    assert caught.value.stdout == "begun\n"


def test_output_is_handed_on_by_the_loops_own_thread_before_the_result():
    seen: list[tuple[str, int]] = []
    sandbox = eryx.Sandbox(on_stdout=lambda text: seen.append((text, threading.get_ident())))

    async def main() -> None:
        await sandbox.aexecute("for n in range(5): print(n, flush=True)")
        assert "".join(text for text, _ in seen) == "0\n1\n2\n3\n4\n"

    asyncio.run(main())
    assert {thread for _, thread in seen} == {threading.get_ident()}


def test_a_callback_that_raises_ends_the_awaited_program():
    def refuse(text: str) -> None:
        raise LookupError(text)

    async def main() -> None:
        await eryx.Sandbox(on_stdout=refuse).aexecute("print('now', flush=True)\nwhile True: pass")

    with pytest.raises(LookupError, match="now"):
        asyncio.run(main())


def test_sessions_and_sandboxes_are_asynchronous_contexts_too():
    async def main() -> str:
        async with eryx.Sandbox() as sandbox:
            async with sandbox.session() as session:
                await session.aexecute("x = 1")
                printed = (await session.aexecute("print(x)")).stdout
            with pytest.raises(eryx.SessionOverError):
                await session.aexecute("pass")
        with pytest.raises(eryx.EryxError):
            await sandbox.aexecute("pass")
        return printed

    assert asyncio.run(main()) == "1\n"


def test_programs_of_one_session_take_turns():
    async def main() -> str:
        async with eryx.Sandbox().session() as session:
            await session.aexecute("seen = []")
            program = "import time\nseen.append('in')\ntime.sleep(0.05)\nseen.append('out')"
            await asyncio.gather(*(session.aexecute(program) for _ in range(4)))
            return (await session.aexecute("print(seen == ['in', 'out'] * 4)")).stdout

    assert asyncio.run(main()) == "True\n"
