"""``eryx mcp``, used by the client of the official Python SDK."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import pty
import re
import signal
import subprocess

import anyio
import mcp
import pytest

from server import ERYX, HANG, fail, http, run, stdio, texts

pytestmark = pytest.mark.anyio

# Each transport, with the versions of the protocol before and from 2026-07-28.
CONNECTIONS = pytest.mark.parametrize(
    ("connect", "mode"),
    [(stdio, "legacy"), (stdio, "auto"), (http, "legacy"), (http, "auto")],
    ids=["stdio-legacy", "stdio", "http-legacy", "http"],
)

FOREVER = "print('begun')\nwhile True: pass"


@CONNECTIONS
async def test_tools_are_listed_and_a_session_keeps_its_variables(connect, mode):
    async with connect(mode=mode) as client:
        tools = {tool.name: tool for tool in (await client.list_tools()).tools}
        assert {"run_python", "read_output", "list_sessions", "reset_session", "read_file"} <= set(
            tools
        )
        for tool in tools.values():
            assert tool.description
            assert tool.input_schema["additionalProperties"] is False
        assert "Programs have no network." in (client.instructions or "")
        assert await run(client, "import math; x = 20") == ["The program ended without output."]
        assert await run(client, "print(x + math.floor(22.5))") == ["42\n"]
        assert "NameError: name 'x'" in (await fail(client, code="x", session="other"))[-1]
        lines = texts(await client.call_tool("list_sessions", {}))
        assert lines == ["main: idle, 2 programs\nother: idle, 1 programs"]


async def test_an_exception_is_an_error_with_output_and_traceback():
    async with stdio() as client:
        code = "import sys\nprint('out')\nprint('err', file=sys.stderr)\n1 / 0"
        out, err, traceback = await fail(client, code=code)
        assert (out, err) == ("out\n", "Standard error:\nerr\n")
        assert traceback.startswith("Traceback (most recent call last):\n")
        assert traceback.endswith("ZeroDivisionError: division by zero\n")
        assert await fail(client, code="raise SystemExit(3)") == [
            "The program exited with status 3."
        ]
        # Neither ends the session.
        assert await run(client, "print(sys.platform)") == ["wasi\n"]


@pytest.mark.parametrize(
    ("options", "code", "parts"),
    [
        (["--timeout", "1s"], FOREVER, ["time limit of 1s", "--timeout"]),
        (
            ["--max-memory", "64M"],
            "x = [bytes(2**20) for _ in range(99)]",
            ["64 MiB", "--max-memory"],
        ),
        (["--max-output", "100"], "print('x' * 1000)", ["100 bytes", "--max-output"]),
        ([], "import os; os.abort()", ["ended abnormally"]),
    ],
)
async def test_a_limit_is_explained_and_the_session_starts_anew(options, code, parts):
    async with stdio(*options) as client:
        await run(client, "x = 1")
        message = (await fail(client, code=code))[-1]
        for part in [*parts, "Session `main` is lost"]:
            assert part in message
        result = await run(client, "print('x' in globals())")
        assert result[0] == "False\n"
        assert result[1].startswith("Note: before this program, session `main` was started anew")
        # Only once.
        assert await run(client, "print(2)") == ["2\n"]


async def test_a_program_that_exits_its_process_loses_its_session():
    async with stdio() as client:
        await run(client, "x = 1\nimport os; os._exit(0)")
        result = await run(client, "print('x' in globals())")
        assert result[0] == "False\n"
        assert "was started anew" in result[1]


async def test_a_long_output_is_shortened_and_can_be_read_to_its_end():
    text = "".join(f"line {number} é\n" for number in range(2000))
    async with stdio("--max-result", "4K") as client:
        (shown,) = await run(client, f"print({text!r}, end='')")
        assert len(shown.encode()) < 5000
        assert shown.startswith("line 0 é\n")
        assert shown.endswith("line 1999 é\n")
        assert re.search(
            'read_output with session "main", stream "stdout" and offset 204[78]', shown
        )
        whole, offset = "", 0
        while offset is not None:
            part = await client.call_tool("read_output", {"offset": offset})
            piece, position = texts(part)
            whole += piece
            following = re.search("continue with offset ([0-9]+)", position)
            offset = int(following[1]) if following else None
        assert whole == text
        error = await fail(client, "read_output", offset=10**6)
        assert f"the text has {len(text.encode())} bytes" in error[0]


async def test_wrong_arguments_are_explained_and_change_nothing():
    table = [
        ("run_python", {}, "missing field `code`"),
        ("run_python", {"code": 1}, "expected a string"),
        ("run_python", {"code": "1", "timeout": 5}, "unknown field `timeout`"),
        ("run_python", {"code": "1", "session": "../x"}, '"../x" is not the name of a session'),
        ("run_python", {"code": "1", "session": "x" * 10_000}, "is not the name of a session"),
        ("run_python", {"code": " " * 2**20 + "1"}, "1048577 bytes; at most 1048576"),
        ("read_output", {"stream": "stdin"}, "unknown variant `stdin`"),
        ("read_output", {"offset": -1}, "invalid value: integer `-1`"),
        ("read_output", {}, "no program of session `main` has ended"),
        ("reset_session", {"session": "missing"}, "there is no session `missing`"),
        ("list_sessions", {"all": True}, "unknown field `all`"),
    ]
    async with stdio() as client:
        for tool, arguments, part in table:
            (message,) = await fail(client, tool, **arguments)
            assert part in message
            assert len(message) < 1000
        with pytest.raises(mcp.MCPError, match="no such tool"):
            await client.call_tool("run_shell", {})
        lines = texts(await client.call_tool("list_sessions", {}))
        assert lines == ["There are no sessions. run_python starts one."]


async def started(client, code: str, **arguments: object) -> asyncio.Task:
    """Start a program, and return once the server reports progress of it."""
    progress = asyncio.Event()

    async def report(_progress: float, _total: float | None, message: str | None) -> None:
        assert re.fullmatch("running for [0-9]+ s", message or "")
        progress.set()

    call = client.call_tool("run_python", {"code": code, **arguments}, progress_callback=report)
    task = asyncio.create_task(call)
    await progress.wait()
    return task


@CONNECTIONS
async def test_cancelling_a_call_ends_its_program(connect, mode):
    # The program would run for an hour, and the next one would wait for it.
    with anyio.fail_after(HANG):
        async with connect("--timeout", "1h", mode=mode) as client:
            task = await started(client, FOREVER)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            result = await run(client, "print(1)")
            assert result[0] == "1\n"
            assert "was cancelled" in result[1]


async def test_a_reset_ends_the_program_of_the_session_and_those_that_wait_for_it():
    with anyio.fail_after(HANG):
        async with stdio("--timeout", "1h") as client:
            running = await started(client, FOREVER)
            waiting = await started(client, "print('never')")
            await client.call_tool("reset_session", {"session": "main"})
            result = await running
            assert texts(result)[0] == "begun\n"
            assert "ended by reset_session" in texts(result)[1]
            assert "the program did not run" in texts(await waiting)[0]
            assert await run(client, "print(1)") == ["1\n"]


async def test_calls_of_one_session_at_the_same_time_run_one_after_another():
    async with stdio() as client:
        # The first one creates the session, and the others wait for it.
        paths = [f"{number}.txt" for number in range(10)]
        writes = [client.call_tool("write_file", {"path": path, "content": path}) for path in paths]
        for result in await asyncio.gather(*writes):
            assert not result.is_error, result
        await run(client, "x = 1")
        calls = [("fork_session", {"copy": copy}) for copy in ("a", "b")]
        calls += [("read_file", {"path": path}) for path in paths]
        calls += [("list_files", {}), ("list_sessions", {})]
        for result in await asyncio.gather(*(client.call_tool(*call) for call in calls)):
            assert not result.is_error, result


async def test_a_flood_of_calls_is_refused_beyond_the_limit():
    with anyio.fail_after(HANG):
        async with stdio("--max-calls", "3", "--timeout", "1h") as client:
            running = [await started(client, FOREVER, session=name) for name in "abc"]
            calls = [client.call_tool("run_python", {"code": "1"}) for _ in range(200)]
            for result in await asyncio.gather(*calls):
                assert result.is_error
                assert "3 calls are in progress" in texts(result)[0]
            for task in running:
                task.cancel()
            await asyncio.gather(*running, return_exceptions=True)
            # A cancelled call counts until its program has ended.
            while (result := await client.call_tool("run_python", {"code": "print(1)"})).is_error:
                await asyncio.sleep(0.05)
            assert texts(result) == ["1\n"]


async def test_a_program_that_takes_all_calls_can_be_seen_and_ended(tmp_path):
    options = ["--max-calls", "1", "--timeout", "1h", "--session-dir", str(tmp_path)]
    with anyio.fail_after(HANG):
        async with stdio(*options) as client:
            await run(client, "print('before')")
            running = await started(client, FOREVER)
            (message,) = await fail(client, code="1", session="other")
            assert "1 calls are in progress" in message
            lists = [client.call_tool("list_sessions", {}) for _ in range(20)]
            for result in await asyncio.gather(*lists):
                assert texts(result) == ["main: running, 2 programs"]
            assert texts(await client.call_tool("read_output", {}))[0] == "before\n"
            await client.call_tool("reset_session", {})
            assert "ended by reset_session" in texts(await running)[1]
            assert await run(client, "print(1)") == ["1\n"]


async def test_sessions_beyond_the_limit_are_refused_until_one_is_reset():
    async with stdio("--max-sessions", "2") as client:
        await run(client, "1", session="a")
        await run(client, "1", session="b")
        (message,) = await fail(client, code="1", session="c")
        assert "there are 2 sessions, the most that are allowed: a, b." in message
        await client.call_tool("reset_session", {"session": "a"})
        await run(client, "1", session="c")


async def test_programs_have_the_options_of_the_command(tmp_path):
    package = tmp_path / "greeting"
    package.mkdir()
    (package / "__init__.py").write_text("def hello(): return 'hello'\n")
    options = ["--package", str(package), "--import", "greeting", "--env", "NAME=world"]
    options += ["--allow-host", "example.com"]
    async with stdio(*options, env={"ERYX_CACHE_DIR": str(tmp_path / "cache")}) as client:
        code = "import os; print(greeting.hello() if 'greeting' in globals() else '', end='')\n"
        code += "import greeting; print(greeting.hello(), os.environ['NAME'])"
        assert (await run(client, code))[0].endswith("hello world\n")
        assert "modules are loaded: greeting." in (client.instructions or "")
        code = "import socket; socket.create_connection(('example.org', 80))"
        message = (await fail(client, code=code))[-1]
        assert "--allow-host example.org" in message


async def test_the_value_of_the_last_expression_is_in_the_result():
    async with stdio("--max-result", "1K") as client:
        assert await run(client, "print(1)\n[2, 'a']") == ["1\n", 'Value:\n[2,"a"]']
        assert (await run(client, "object()"))[0].startswith("Value:\n<object object")
        assert await run(client, "None") == ["The program ended without output."]
        exited = "The program exited with status 0."
        assert await run(client, "quit()") == [exited]
        assert await run(client, "print(1)\nimport sys; sys.exit()") == ["1\n", exited]
        (shown,) = await run(client, "'x' * 5000")
        assert 'stream "value" and offset 512' in shown
        code = "class P:\n  def _repr_png_(self): return b'\\x89PNG'\n"
        code += "  def __repr__(self): return 'P'\nP()"
        result = await client.call_tool("run_python", {"code": code})
        assert result.content[0].text == "Value:\nP"
        assert result.content[1].mime_type == "image/png"
        assert base64.b64decode(result.content[1].data) == b"\x89PNG"


async def test_files_are_written_listed_and_read():
    async with stdio() as client:
        data = base64.b64encode(bytes(range(256))).decode()
        arguments = {"path": "in/data.bin", "content": data, "encoding": "base64"}
        (message,) = texts(await client.call_tool("write_file", arguments))
        assert message == '256 bytes were written to "/home/user/in/data.bin".'
        code = "open('a é.txt', 'w').write(str(len(open('in/data.bin', 'rb').read())) + ' ü')"
        changed = (await run(client, code))[-1]
        assert changed == 'Files:\ncreated "/home/user/a é.txt", 6 bytes'
        (listed,) = texts(await client.call_tool("list_files", {}))
        assert listed == '"/home/user/a é.txt" 6 bytes\n"/home/user/in/data.bin" 256 bytes\n'
        (listed,) = texts(await client.call_tool("list_files", {"path": "in"}))
        assert listed == '"/home/user/in/data.bin" 256 bytes\n'
        read = texts(await client.call_tool("read_file", {"path": "a é.txt"}))
        assert read == ["256 ü", "Bytes 0 to 6 of 6."]
        binary = await client.call_tool("read_file", {"path": "/home/user/in/data.bin"})
        assert binary.content[0].resource.blob == data
        await run(client, "open('p.png', 'wb').write(b'\\x89PNG\\r\\n\\x1a\\n\\0')")
        image = await client.call_tool("read_file", {"path": "p.png"})
        assert image.content[0].mime_type == "image/png"
        # As resources.
        resources = {each.uri: each for each in (await client.list_resources()).resources}
        uri = "eryx://files/main/home/user/a%20%C3%A9.txt"
        assert resources[uri].size == 6
        assert (await client.read_resource(uri)).contents[0].text == "256 ü"
        assert len((await client.list_resource_templates()).resource_templates) == 1


async def test_files_that_cannot_be_read_or_written_are_explained():
    async with stdio("--max-file-bytes", "2M", "--timeout", "1h") as client:
        await run(
            client,
            "import os; os.symlink('/a', 'link'); open('big', 'wb').write(b'\\xff' * 2**20 + b'x')",
        )
        table = [
            ("read_file", {"path": "none"}, 'there is no file "/home/user/none"'),
            ("read_file", {"path": "link"}, 'is a link to "/a"'),
            ("read_file", {"path": "/tmp"}, "is a directory"),
            ("read_file", {"path": "/etc/passwd"}, "there is no file"),
            ("read_file", {"path": "../../../etc/passwd"}, 'no file "/etc/passwd"'),
            ("read_file", {"path": "big"}, "not text, and has 1048577 bytes"),
            ("read_file", {"path": "x", "session": "none"}, "there is no session `none`"),
            ("read_file", {"path": "x" * 10_000}, "at most 4096 bytes"),
            ("write_file", {"path": "a", "content": "!", "encoding": "base64"}, "not base64"),
            ("write_file", {"path": "/tmp", "content": ""}, "/tmp"),
            ("write_file", {"path": "full", "content": "x" * 2**21}, "raise the limit"),
            ("write_file", {"path": "a", "content": "x" * (2**22 + 1)}, "4194305 bytes; at most"),
        ]
        for tool, arguments, part in table:
            (message,) = await fail(client, tool, **arguments)
            assert part in message
            assert len(message) < 1000
        for uri in ["eryx://files/main/none", "eryx://files/none/a", "file:///etc/passwd"]:
            with pytest.raises(mcp.MCPError):
                await client.read_resource(uri)
        running = await started(client, FOREVER)
        (message,) = await fail(client, "list_files")
        assert "a program runs in session `main`" in message
        await client.call_tool("reset_session", {})
        await running


async def test_mounted_directories_are_listed_and_read_and_written_as_granted(tmp_path):
    (tmp_path / "in.txt").write_text("from the machine")
    (tmp_path / "sub").mkdir()
    with (tmp_path / "big").open("wb") as big:
        big.truncate(5 << 20)
    for access, error in [("ro", True), ("rw", False)]:
        async with stdio("--mount", f"{tmp_path}:/data:{access}") as client:
            await run(client, "1")
            (listed,) = texts(await client.call_tool("list_files", {"path": "/data"}))
            assert listed.splitlines()[:3] == ['"big"', '"in.txt"', '"sub" directory']
            text, _ = texts(await client.call_tool("read_file", {"path": "/data/in.txt"}))
            assert text == "from the machine"
            (message,) = await fail(client, "read_file", path="/data/big")
            assert "5242880 bytes" in message
            arguments = {"path": "/data/out.txt", "content": "from the model"}
            result = await client.call_tool("write_file", arguments)
            assert result.is_error is error
            assert (tmp_path / "out.txt").exists() is not error


async def test_many_files_are_listed_in_pages_and_shortened_in_results():
    async with stdio("--max-result", "2K") as client:
        code = "for n in range(250): open(f'{n:03}', 'w').close()"
        changed = (await run(client, code))[-1]
        assert changed.endswith('"/home/user/019", 0 bytes\n230 more; list_files shows all files')
        (listed,) = texts(await client.call_tool("list_files", {}))
        assert len(listed) < 2200
        assert "more are left out; give the `path`" in listed
        uris, cursor = [], None
        while True:
            page = await client.list_resources(cursor=cursor)
            uris += [resource.uri for resource in page.resources]
            cursor = page.next_cursor
            if cursor is None:
                break
        assert uris == [f"eryx://files/main/home/user/{n:03}" for n in range(250)]
        with pytest.raises(mcp.MCPError, match="cursor"):
            await client.list_resources(cursor="x")


async def test_a_copy_of_a_session_continues_independently():
    async with stdio("--max-sessions", "3") as client:
        await run(client, "x = [1]; open('a.txt', 'w').write('text')")
        for copy in ("first", "second"):
            (text,) = texts(await client.call_tool("fork_session", {"copy": copy}))
            assert text == f"Session `{copy}` is a copy of `main`."
        await run(client, "x.append(2)", session="first")
        assert await run(client, "x", session="first") == ["Value:\n[1,2]"]
        assert await run(client, "x, open('a.txt').read()") == ['Value:\n[[1],"text"]']
        assert await run(client, "x", session="second") == ["Value:\n[1]"]
        for arguments, part in [
            ({"copy": "first"}, "there is a session `first` already"),
            ({"session": "missing", "copy": "new"}, "there is no session `missing`"),
            ({"copy": "new"}, "there are 3 sessions, the most that are allowed"),
            ({}, "missing field `copy`"),
            ({"copy": "../x"}, "is not the name of a session"),
        ]:
            assert part in (await fail(client, "fork_session", **arguments))[0]
        # The copy of a session that ended leaves no entry behind.
        await fail(client, code="import os; os.abort()", session="second")
        await client.call_tool("reset_session", {"session": "first"})
        arguments = {"session": "second", "copy": "new"}
        assert "has no variables" in (await fail(client, "fork_session", **arguments))[0]
        lines = texts(await client.call_tool("list_sessions", {}))[0].splitlines()
        assert [line.split(":")[0] for line in lines] == ["main", "second"]


async def test_a_session_is_saved_and_continues_in_another_server(tmp_path):
    options = ["--session-dir", str(tmp_path), "--max-saved-sessions", "1"]
    async with stdio(*options) as client:
        await run(client, "x = 41; open('a.txt', 'w').write('text')")
        (text,) = texts(await client.call_tool("save_session", {"name": "night"}))
        assert text.startswith("Session `main` was saved as `night`, in ")
        await run(client, "x = 0")
        error = await fail(client, "save_session", name="more")
        assert "there are 1 saved sessions, the most that are allowed: night" in error[0]
    (path,) = tmp_path.iterdir()
    assert (path.name, path.stat().st_mode & 0o777) == ("night.eryx-session", 0o600)
    async with stdio(*options) as client:
        lines = texts(await client.call_tool("list_sessions", {}))[0].splitlines()
        assert lines == ["There are no sessions. run_python starts one.", "saved: night"]
        arguments = {"session": "day", "name": "night"}
        (text,) = texts(await client.call_tool("restore_session", arguments))
        assert text == "Session `day` continues from the saved session `night`."
        code = "x + 1, open('a.txt').read()"
        assert await run(client, code, session="day") == ['Value:\n[42,"text"]']
        assert "already" in (await fail(client, "restore_session", **arguments))[0]
        error = await fail(client, "restore_session", name="absent")
        assert "there is no saved session `absent`" in error[0]
        # A damaged file is an error of the tool.
        path.write_bytes(path.read_bytes()[:-100])
        error = await fail(client, "restore_session", name="night")
        assert "snapshot" in error[0]
        assert await run(client, "print(1)") == ["1\n"]


async def test_sessions_are_saved_only_with_the_option(tmp_path):
    async with stdio() as client:
        names = {tool.name for tool in (await client.list_tools()).tools}
        assert "fork_session" in names
        assert not {"save_session", "restore_session"} & names
        with pytest.raises(mcp.MCPError, match="no such tool"):
            await client.call_tool("save_session", {"name": "a"})
    command = [ERYX, "mcp", "--session-dir", str(tmp_path / "missing")]
    completed = subprocess.run(command, input="", capture_output=True, text=True, timeout=HANG)
    assert completed.returncode
    assert "is not a directory; create it first" in completed.stderr


def test_ctrl_c_ends_the_server_while_its_packages_are_imported(tmp_path):
    package = tmp_path / "endless"
    package.mkdir()
    (package / "__init__.py").write_text("while True: pass\n")
    options = ["--package", str(package), "--import", "endless"]
    # On a terminal, it says what it does.
    terminal, stderr = pty.openpty()
    server = subprocess.Popen(
        [ERYX, "mcp", *options],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=stderr,
        env={**os.environ, "ERYX_CACHE_DIR": str(tmp_path / "cache")},
    )
    os.close(stderr)
    with server:
        said = b""
        while b"importing" not in said:
            said += os.read(terminal, 1000)
        server.send_signal(signal.SIGINT)
        # By the signal, as `eryx run`.
        assert server.wait(HANG) == -signal.SIGINT
    os.close(terminal)


def test_malformed_messages_do_not_end_the_server():
    call = {"jsonrpc": "2.0", "id": 7, "method": "ping"}

    def write(id: int, content: str) -> str:
        arguments = {"path": "a", "content": content}
        params = {"name": "write_file", "arguments": arguments}
        message = {"jsonrpc": "2.0", "method": "tools/call", "params": params, "id": id}
        return json.dumps(message)

    initialize = {
        "jsonrpc": "2.0",
        "id": 1,
        "method": "initialize",
        "params": {
            "protocolVersion": "2025-11-25",
            "capabilities": {},
            "clientInfo": {"name": "test", "version": "0"},
        },
    }
    initialized = {"jsonrpc": "2.0", "method": "notifications/initialized"}
    lines = [
        json.dumps(initialize),
        json.dumps(initialized),
        "not JSON",
        "[" * 100_000,
        '{"jsonrpc": "2.0", "id": {"a": 1}, "method": 5}',
        '"' + "x" * (25 << 20) + '"',
        # As large as content may be, with every character escaped.
        write(4, "語" * ((4 << 20) // 3)),
        write(5, "x" * (9 << 20)),
        write(6, "x" * (25 << 20)),
        json.dumps(call),
    ]
    completed = subprocess.run(
        [ERYX, "mcp"], input="\n".join(lines) + "\n", capture_output=True, text=True, timeout=HANG
    )
    assert completed.returncode == 0, completed.stderr
    lines = completed.stdout.splitlines()
    answers = {answer.get("id"): answer for answer in map(json.loads, lines)}
    assert "serverInfo" in answers[1]["result"]
    assert answers[7] == {"jsonrpc": "2.0", "id": 7, "result": {}}
    assert "4194303 bytes were written" in answers[4]["result"]["content"][0]["text"]
    assert "9437184 bytes; at most 4194304" in answers[5]["result"]["content"][0]["text"]
    too_long = {
        "code": -32600,
        "message": "the message has more than 25231360 bytes: send less in one call",
    }
    assert answers[6]["error"] == answers[None]["error"] == too_long
