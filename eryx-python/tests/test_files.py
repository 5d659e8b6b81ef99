"""Files that go into a sandbox and come out of it."""

from __future__ import annotations

import asyncio
import contextvars
import copy
import errno
import gc
import os
import pathlib
import pickle
import socket
import sys
import threading
import time
import weakref

import pytest

import eryx

WRITE = """
import os, pathlib
pathlib.Path("out.txt").write_text("hello")
os.mkdir("/d")
os.symlink("/etc/passwd", "/d/link")
"""


def test_content_of_every_kind_is_found_by_programs(tmp_path):
    host = tmp_path / "host.txt"
    host.write_text("of the machine")
    files = {
        "/data/bytes": b"bytes",
        "/data/array": bytearray(b"array"),
        "/data/view": memoryview(b"a view")[2:],
        "/data/str": str(host),
        "/data/path": host,
    }
    program = "import os\nprint([open('/data/' + n).read() for n in sorted(os.listdir('/data'))])"
    printed = "['array', 'bytes', 'of the machine', 'of the machine', 'view']\n"
    added = eryx.Files()
    for path, content in files.items():
        added.add(path, content)
    assert len(added) == 5
    factory = eryx.SandboxFactory(cache=False)
    for given in (files, added, eryx.Files(files)):
        sandbox = eryx.Sandbox(files=given)
        assert sandbox.execute(program).stdout == printed
        assert factory.create_sandbox(files=given).execute(program).stdout == printed
        with factory.create_session(files=given) as session:
            assert session.execute(program).stdout == printed
    # Later changes do not reach the sandbox.
    added.add("/data/zzz", b"later")
    assert sandbox.execute(program).stdout == printed


def test_changed_files_are_a_mapping_that_survives_pickling(tmp_path):
    sandbox = eryx.Sandbox(files={"/data/a": b"1", "/data/b": b"2", "/data/c": b"3"})
    result = sandbox.execute(
        WRITE + "pathlib.Path('/data/a').write_text('new')\nos.remove('/data/b')"
    )
    for changed in (
        result.files,
        copy.deepcopy(result).files,
        pickle.loads(pickle.dumps(result)).files,
    ):
        assert dict(changed) == {"/data/a": b"new", "/home/user/out.txt": b"hello"}
        assert list(changed) == ["/data/a", "/home/user/out.txt"]
        assert next(iter(changed.items())) == ("/data/a", b"new")
        assert (len(changed), "/data/a" in changed, "/data/c" in changed) == (2, True, False)
        assert changed.get("/data/b") is None
        assert changed.get("/data/b", 7) == 7
        assert 1 not in changed
        assert changed.created == ("/d", "/d/link", "/home/user/out.txt")
        assert changed.modified == ("/data/a",)
        assert changed.removed == ("/data/b",)
        assert changed.links == {"/d/link": "/etc/passwd"}
        assert repr(changed) == "<eryx.ChangedFiles: 3 created, 1 modified, 1 removed>"
        with pytest.raises(KeyError):
            changed["/data/c"]
        folder = tmp_path / str(id(changed))
        folder.mkdir()
        assert changed.save(folder) == [folder / "data/a", folder / "home/user/out.txt"]
        assert (folder / "home/user/out.txt").read_text() == "hello"
        assert (folder / "d").is_dir()
        assert not (folder / "d/link").is_symlink()
    assert pickle.loads(pickle.dumps(result)) == result
    assert result.save_files(str(tmp_path))[0] == tmp_path / "data/a"
    with pytest.raises(OSError, match="name one that exists"):
        result.save_files(tmp_path / "missing")
    other = sandbox.execute("pass")
    assert len(other.files) == 0
    assert other.files != result.files


def test_names_of_one_file_share_their_content(tmp_path):
    result = eryx.Sandbox().execute(
        "import os\n"
        "with open('a', 'wb') as file: file.truncate(1 << 20)\n"
        "with open('other', 'wb') as file: file.truncate(1000)\n"
        "for n in range(200): os.link('a', f'b{n}')"
    )
    pickled = pickle.dumps(result.files)
    assert len(pickled) < (1 << 20) + 100_000
    for changed in (result.files, pickle.loads(pickled)):
        contents = dict(changed)
        assert len(contents) == 202
        assert len({id(content) for content in contents.values()}) == 2
        assert contents["/home/user/b7"] == bytes(1 << 20)
        folder = tmp_path / str(id(changed))
        folder.mkdir()
        assert len(changed.save(folder)) == 202
        assert (folder / "home/user/b7").stat().st_nlink == 201
        assert (folder / "home/user/other").stat().st_nlink == 1
    assert pickle.loads(pickled) == result.files
    with pytest.raises(ValueError, match="not the state"):
        eryx.ChangedFiles._restore([("/b", "created", "name", b"/a")])


def test_unpickled_files_cannot_be_saved_elsewhere(tmp_path):
    inner = tmp_path / "inner"
    inner.mkdir()
    changed = eryx.ChangedFiles._restore([("/../up", "created", "file", b"x")])
    with pytest.raises(OSError, match="cannot be saved"):
        changed.save(inner)
    assert list(tmp_path.iterdir()) == [inner]


def test_every_error_of_an_execution_has_the_files():
    for end, kind in (
        ("1 / 0", eryx.ExecutionError),
        ("while True: pass", eryx.TimeoutError),
        ("x = bytearray(2**30)", eryx.ResourceLimitError),
    ):
        timeout = 2000 if kind is eryx.TimeoutError else 60_000
        limits = eryx.ResourceLimits(execution_timeout_ms=timeout)
        with pytest.raises(kind) as caught:
            eryx.Sandbox(resource_limits=limits).execute(f"{WRITE}\n{end}")
        assert dict(caught.value.files) == {"/home/user/out.txt": b"hello"}
        assert dict(pickle.loads(pickle.dumps(caught.value.files))) == dict(caught.value.files)
    assert len(eryx.ExecutionError("made by hand").files) == 0


def test_provided_content_is_made_once_on_another_thread():
    calls: list[threading.Thread] = []

    def provide() -> bytes:
        calls.append(threading.current_thread())
        return b"made"

    files = eryx.Files()
    files.provide("/data/x", provide)
    files.provide("/data/sized", lambda: bytearray(b"four"), size=4)
    program = "import os\nprint(os.stat('/data/sized').st_size, open('/data/x').read(), open('/data/sized').read())"
    sandbox = eryx.Sandbox(files=files, on_stdout=lambda text: None)
    assert sandbox.execute("pass").stdout == ""
    assert calls == []
    assert sandbox.execute(program).stdout == "4 made four\n"
    assert asyncio.run(sandbox.aexecute(program)).stdout == "4 made four\n"
    with sandbox.session() as session:
        assert session.files["/data/x"] == b"made"
    assert len(calls) == 1
    assert calls[0] is not threading.main_thread()


@pytest.mark.parametrize(
    "use", ["Files", "Sandbox", "used", "session", "fork", "restored", "SessionFiles"]
)
def test_an_object_that_provides_content_is_collected(use):
    class Tool:
        def __init__(self) -> None:
            self.files = eryx.Files()
            self.files.provide("/x", self.load)
            if use == "Files":
                return
            self.sandbox = eryx.Sandbox(files=self.files)
            if use == "Sandbox":
                return
            if use == "used":
                self.result = self.sandbox.execute("open('/x').read(); open('y', 'w')")
                return
            self.session = self.sandbox.session()
            if use == "fork":
                self.fork = self.session.fork()
            if use == "restored":
                self.restored = self.sandbox.restore(self.session.snapshot())
            if use == "SessionFiles":
                self.session_files = self.session.files

        def load(self) -> bytes:
            return b"made"

    tools = [weakref.ref(Tool()) for _ in range(5)]
    gc.collect()
    assert [tool() for tool in tools] == [None] * 5


def test_content_is_provided_as_long_as_something_may_read_it():
    def files() -> eryx.Files:
        files = eryx.Files()
        files.provide("/x", lambda: b"made")
        return files

    def sandbox() -> eryx.Sandbox:
        return eryx.Sandbox(files=files())

    def restored() -> eryx.Session:
        of = sandbox()
        return of.restore(of.session().snapshot())

    async def awaited() -> eryx.ExecuteResult:
        return await sandbox().aexecute(
            "import asyncio\nawait asyncio.sleep(0.2)\nopen('/x').read()", value=True
        )

    async def collecting() -> eryx.ExecuteResult:
        task = asyncio.ensure_future(awaited())
        while not task.done():
            gc.collect()
            await asyncio.sleep(0.02)
        return task.result()

    factory = eryx.SandboxFactory(setup_code="y = 1")
    for place in (
        sandbox(),
        sandbox().session(),
        sandbox().session().fork(),
        restored(),
        factory.create_sandbox(files=files()),
        factory.create_session(files=files()),
    ):
        gc.collect()
        assert place.execute("open('/x').read()", value=True).value == "made"
    assert asyncio.run(collecting()).value == "made"
    session_files = sandbox().session().files
    gc.collect()
    assert session_files["/x"] == b"made"
    other = eryx.Sandbox(files=files())
    for base in (eryx.Sandbox(), other):
        more = eryx.Files()
        more.provide("/more", lambda: b"more")
        result = base.execute("open('/more').read()", value=True, files=more)
        assert result.value == "more"
    result = sandbox().execute("import os; os.rename('/x', '/y')")
    gc.collect()
    assert result.files["/y"] == b"made"
    with pytest.raises(eryx.ExecutionError) as caught:
        sandbox().execute("import os; os.rename('/x', '/y'); 1 / 0")
    gc.collect()
    assert caught.value.files["/y"] == b"made"


@pytest.mark.parametrize(
    ("function", "size", "reported"),
    [
        (lambda: 1 / 0, None, ZeroDivisionError),
        (lambda: "text", None, TypeError),
        (lambda: b"four", 5, ValueError),
        (lambda argument: b"", None, TypeError),
    ],
)
def test_failure_of_a_function_is_reported_and_an_error_of_the_program(
    function, size, reported, monkeypatch
):
    unraisable = []
    monkeypatch.setattr(sys, "unraisablehook", unraisable.append)
    files = eryx.Files()
    files.provide("/data/x", function, size)
    with pytest.raises(eryx.ExecutionError) as caught:
        eryx.Sandbox(files=files).execute("open('/data/x').read()")
    assert caught.value.exception_type == "OSError"
    assert [each.exc_type for each in unraisable] == [reported]
    assert unraisable[0].object is function


@pytest.mark.parametrize(
    "use",
    [
        lambda session: session.execute("1"),
        lambda session: asyncio.run(session.aexecute("1")),
        lambda session: session.fork(),
        lambda session: session.snapshot(),
        # Through another session: whichever waits for it.
        lambda session: eryx.Session(functions={"f": lambda: session.execute("1").stdout}).execute(
            "import tools; tools.f()"
        ),
    ],
)
@pytest.mark.parametrize("calls_functions", [True, False])
def test_a_function_that_provides_a_file_to_a_session_cannot_run_a_program_in_it(
    use, calls_functions, monkeypatch
):
    unraisable = []
    monkeypatch.setattr(sys, "unraisablehook", unraisable.append)

    def provide():
        return use(session)

    files = eryx.Files()
    files.provide("/data/run", provide)
    files.provide("/data/read", provide)
    functions = {"unused": print} if calls_functions else None
    with eryx.Sandbox(files=files, functions=functions).session() as session:
        with pytest.raises(eryx.ExecutionError, match="OSError"):
            session.execute("open('/data/run').read()")
        with pytest.raises(OSError, match="cannot be read"):
            session.files["/data/read"]
        assert session.execute("print('fine')").stdout == "fine\n"
    assert len(unraisable) == 2
    for each in unraisable:
        assert "cannot run a program in that session" in str(each.exc_value)


def test_a_function_that_provides_a_file_can_use_others_and_close_its_session():
    def provide():
        session.close()
        return other.execute("open('/data/plain').read()", value=True).value.encode()

    files = eryx.Files({"/data/plain": b"plain"})
    files.provide("/data/run", provide)
    network = eryx.NetConfig().allow_localhost()
    sandbox = eryx.Sandbox(files=files, network=network)
    with sandbox.session() as other, socket.create_server(("127.0.0.1", 0)) as server:
        session = sandbox.session()
        address = server.getsockname()
        session.execute(f"import socket; s = socket.create_connection({address})")
        connection, _ = server.accept()
        with connection:
            assert session.files["/data/run"] == b"plain"
            # The interpreter is dropped at once, with its connections.
            connection.settimeout(60)
            assert connection.recv(1) == b""
        with pytest.raises(eryx.SessionClosedError):
            session.execute("1")


def test_a_program_on_an_event_loop_of_the_function_that_provides_its_file_does_not_wait():
    def provide():
        return asyncio.run(sandbox.aexecute(program)).stdout.encode()

    program = """
import errno
try:
    print(open('/data/run').read(), end='')
except OSError as error:
    print(errno.errorcode[error.errno])
"""
    files = eryx.Files()
    files.provide("/data/run", provide)
    sandbox = eryx.Sandbox(files=files)
    assert sandbox.execute(program).stdout == "EDEADLK\n"


def test_content_that_is_being_provided_does_not_hold_up_other_threads():
    begun, may_end = threading.Event(), threading.Event()

    def provide():
        begun.set()
        may_end.wait()
        return b"content"

    files = eryx.Files()
    files.provide("/data/image", provide)
    sandbox = eryx.Sandbox(files=files)
    rename = "import os; os.rename('/data/image', '/data/image.png')"
    one, other = sandbox.execute(rename), sandbox.execute(rename)

    def use():
        seen.append(repr(one.display))
        seen.append(one.files == other.files)

    seen = []
    reader = threading.Thread(target=sandbox.execute, args=("open('/data/image').read()",))
    reader.start()
    begun.wait()
    user = threading.Thread(target=use)
    user.start()
    # Regression: the thread waited for the content with the lock of the interpreter.
    time.sleep(0.1)
    may_end.set()
    user.join()
    reader.join()
    assert "7 bytes" in seen[0]
    assert seen[1]


def test_a_function_that_provides_a_file_runs_in_the_context_of_its_execution():
    variable = contextvars.ContextVar("variable", default="unset")
    files = eryx.Files()
    for number in range(3):
        files.provide(f"/data/{number}", lambda: variable.get().encode())
    sandbox = eryx.Sandbox(files=files)
    with sandbox.session() as session:
        variable.set("first")
        read = "print(open('/data/0').read())"
        assert sandbox.execute(read).stdout == "first\n"
        variable.set("second")
        read = "print(open('/data/1').read())"
        assert asyncio.run(session.aexecute(read)).stdout == "second\n"
        assert session.files["/data/2"] == b"second"


def test_mounts_are_read_only_unless_they_say_so(tmp_path):
    (tmp_path / "a").write_text("1")
    program = "open('/m/b', 'w').write('2'); print(open('/m/a').read())"
    for arguments in ({}, {"read_only": True}):
        files = eryx.Files()
        files.mount("/m", tmp_path, **arguments)
        with pytest.raises(eryx.ExecutionError, match="Read-only"):
            eryx.Sandbox(files=files).execute(program)
    files = eryx.Files()
    files.mount("/m", str(tmp_path), read_only=False, max_growth_bytes=10_000)
    # Sandboxes with callbacks, and all others with the same files, share the growth.
    for sandbox in (
        eryx.Sandbox(files=files),
        eryx.Sandbox(files=files, on_stdout=lambda text: None),
    ):
        result = sandbox.execute(program)
        assert result.stdout == "1\n"
        assert len(result.files) == 0
        (tmp_path / "b").unlink()
    for _ in range(2):
        with pytest.raises(eryx.ExecutionError, match="OSError"):
            sandbox.execute(program)


def test_files_of_a_session_are_used_between_executions():
    with eryx.Sandbox(files={"/data/given": b"given"}).session() as session:
        files = session.files
        assert (list(files), len(files), files["/data/given"]) == (["/data/given"], 1, b"given")
        files["/in/deep/x"] = b"x"
        files.mkdir("/in/dir")
        assert files.listdir("/in") == ["deep", "dir"]
        result = session.execute("print(open('/in/deep/x').read()); open('out', 'w').write('y')")
        assert (result.stdout, dict(result.files)) == ("x\n", {"/home/user/out": b"y"})
        assert files.read("/home/user/out") == files.get("/home/user/out") == b"y"
        assert dict(files.items())["/in/deep/x"] == b"x"
        assert "/home/user/out" in files
        assert "/home/user" not in files
        del files["/home/user/out"]
        files.remove("/in/dir")
        for missing in ("/home/user/out", "/x/y"):
            assert files.get(missing, b"-") == b"-"
            with pytest.raises(KeyError):
                files[missing]
            with pytest.raises(KeyError):
                del files[missing]
            with pytest.raises(FileNotFoundError) as caught:
                files.read(missing)
            assert caught.value.filename == missing
        with pytest.raises(IsADirectoryError):
            files["/in"]
        with pytest.raises(OSError, match="absolute") as caught:
            files.read("in")
        assert caught.value.errno == errno.EINVAL
        with pytest.raises(TypeError, match="content has to be bytes, not of type str"):
            files["/x"] = "text"
        with pytest.raises(OSError, match="raise the limit") as caught:
            files["/x"] = bytes((64 << 20) + 1)
        assert caught.value.errno == errno.ENOSPC
    with pytest.raises(eryx.SessionClosedError):
        files["/x"]
    with pytest.raises(eryx.SessionClosedError):
        _ = session.files


def test_links_of_a_program_to_devices_are_not_files():
    with eryx.Sandbox().session() as session:
        session.execute(
            "import os\n"
            "os.symlink('/dev/zero', 'zero')\n"
            "os.symlink('/dev/urandom', 'random')\n"
            "os.symlink('/dev', 'd')"
        )
        for name in ("zero", "random", "d/zero"):
            path = f"/home/user/{name}"
            for use in (
                lambda path=path: session.files[path],
                lambda path=path: session.files.get(path),
                lambda path=path: session.files.read(path),
                lambda path=path: session.files.write(path, b"x"),
            ):
                with pytest.raises(OSError, match="not a regular file") as caught:
                    use()
                assert (caught.value.errno, caught.value.filename) == (errno.EINVAL, path)


def test_files_of_a_session_are_refused_while_a_program_runs():
    seen: list[BaseException] = []

    def look(text: str) -> None:
        try:
            session.files["/x"]
        except eryx.EryxError as error:
            seen.append(error)

    session = eryx.Sandbox(on_stdout=look).session()
    session.execute("print('now')")
    assert len(seen) == 1
    assert "a program is running in the session" in str(seen[0])
    session.files["/x"] = b"now"
    session.close()


@pytest.mark.parametrize(
    ("files", "kind", "message"),
    [
        ([("/a", b"")], TypeError, "files has to be a dict from paths to content"),
        ({1: b""}, TypeError, "a path in files has to be a str"),
        ({"/a": 1}, TypeError, 'files["/a"] has to be bytes, or the path of a file'),
        ({"a": b""}, ValueError, 'files: "a" is not a path for a file: it does not start with'),
        ({"/packages/a": b""}, ValueError, 'files: "/packages/a" is in /packages'),
        ({"/a": "/does/not/exist"}, ValueError, 'files: "/a": the file "/does/not/exist"'),
        ({"/a": b"", "/a/b": b""}, ValueError, 'files: "/a" is given as a file, and cannot'),
    ],
)
def test_wrong_files_are_an_error_that_says_what_to_write(files, kind, message):
    with pytest.raises(kind) as caught:
        eryx.Sandbox(files=files)
    assert str(caught.value).startswith(message)
    assert isinstance(caught.value, eryx.ConfigError) == (kind is ValueError)


def test_wrong_arguments_of_files_are_errors(tmp_path):
    files = eryx.Files()
    for call, message in (
        (lambda: files.mount("/m", tmp_path, max_growth_bytes=1), "no effect on a read-only mount"),
        (lambda: files.mount("/m", tmp_path, read_only=1), "read_only has to be True or False"),
        (lambda: files.mount("/m", 1), "directory has to be a str or a path"),
        (lambda: files.provide("/p", b""), "function has to be a function"),
        (lambda: files.add(b"/p", b""), "path has to be a str"),
    ):
        with pytest.raises(TypeError, match=message):
            call()
    assert len(files) == 0


def test_home_directory_is_the_working_directory():
    program = "import os, pathlib\nprint(os.getcwd(), pathlib.Path.home(), os.path.expanduser('~'))"
    assert eryx.Sandbox().execute(program).stdout == "/home/user /home/user /home/user\n"
    factory = eryx.SandboxFactory(setup_code=program, cache=False)
    printed = "/home/user /tmp /tmp\n"
    assert factory.create_sandbox(env={"HOME": "/tmp"}).execute(program).stdout == printed


def test_names_of_a_program_do_not_lead_out_of_the_folder(tmp_path):
    inner = tmp_path / "inner"
    inner.mkdir()
    os.symlink(tmp_path, inner / "home")
    result = eryx.Sandbox().execute("open('..\\\\up', 'w').write('x')")
    with pytest.raises(OSError, match="cannot be saved"):
        result.save_files(inner)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["inner"]
    result = eryx.Sandbox().execute("open('/..\\\\up', 'w').write('x')")
    assert result.save_files(inner) == [pathlib.Path(inner, "..\\up")]
