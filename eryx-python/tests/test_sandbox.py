"""Sandboxes: results, errors, limits, callbacks and cancellation."""

from __future__ import annotations

import builtins
import copy
import inspect
import pathlib
import pickle
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

import eryx


def test_result_has_output_and_usage():
    result = eryx.Sandbox().execute(
        "import sys\nprint('größe')\nprint('oh', file=sys.stderr)\nsys.stdout.buffer.write(b'\\xff')"
    )
    assert result.stdout == "größe\n\ufffd"
    assert result.stdout_bytes == "größe\n".encode() + b"\xff"
    assert (result.stderr, result.stderr_bytes) == ("oh\n", b"oh\n")
    assert 0 < result.duration_ms < 30_000
    assert 10 << 20 < result.peak_memory_bytes < 128 << 20
    assert 16 << 20 < result.peak_host_memory_bytes < 17 << 20
    assert result.network.connections == []
    assert repr(result).startswith("<eryx.ExecuteResult: 9 bytes on stdout, 3 on stderr, ")


def test_source_may_be_bytes_with_a_declared_encoding():
    sandbox = eryx.Sandbox()
    assert sandbox.execute("# coding: latin-1\nprint('é')".encode("latin-1")).stdout == "é\n"
    assert sandbox.execute("print('é')".encode()).stdout == "é\n"


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        (None, "not None"),
        (3, "not of type int"),
        (pathlib.Path("x.py"), "give path.read_bytes()"),
    ],
)
def test_source_of_the_wrong_type_is_rejected_with_what_to_give(code, expected):
    with pytest.raises(TypeError, match="a str or bytes") as caught:
        eryx.Sandbox().execute(code)
    assert expected in str(caught.value)


@pytest.mark.parametrize(
    ("make", "name"),
    [
        (lambda text: eryx.Sandbox().execute(text), "code"),
        (lambda text: eryx.Sandbox().session().execute(text), "code"),
        (lambda text: eryx.Sandbox().aexecute(text), "code"),
        (lambda text: eryx.Sandbox().execute("1", stdin=text), "stdin"),
        (lambda text: eryx.Sandbox().execute("1", argv=["a", text]), "argv[1]"),
        (lambda text: eryx.Sandbox().execute("1", env={text: "a"}), "a name in env"),
        (lambda text: eryx.Sandbox().execute("1", env={"A": text}), 'env["A"]'),
        (lambda text: eryx.Sandbox().execute("1", inputs={text: 1}), "a name in inputs"),
        (lambda text: eryx.Sandbox().execute("1", **{text: 1}), "a keyword"),
        (lambda text: eryx.Sandbox(**{text: 1}), "a keyword"),
        (lambda text: eryx.Sandbox(files={text: b""}), "a path in files"),
        (lambda text: eryx.Sandbox(files={"/a": text}), 'files["/a"]'),
        (lambda text: eryx.Sandbox(env={"A": text}), 'env["A"]'),
        (lambda text: eryx.Sandbox(functions={text: print}), "a name in functions"),
        (lambda text: eryx.Sandbox(functions_module=text), "functions_module"),
        (lambda text: eryx.Files().add(text, b""), "path"),
        (lambda text: eryx.Files().add("/a", text), "content"),
        (lambda text: eryx.Files().add_directory(text), "path"),
        (lambda text: eryx.Files().provide(text, bytes), "path"),
        (lambda text: eryx.Files().mount(text, "/"), "path"),
        (lambda text: eryx.Files().mount("/a", text), "directory"),
        (lambda text: eryx.Sandbox().session().files[text], "path"),
        (lambda text: eryx.Sandbox().session().files.write(text, b""), "path"),
        (lambda text: eryx.Sandbox().execute("1").files[text], "path"),
        (lambda text: eryx.Sandbox().execute("1").files.get(text), "path"),
        (lambda text: eryx.Sandbox().execute("1").save_files(text), "folder"),
        (lambda text: eryx.SandboxFactory(packages=[text]), "packages"),
        (lambda text: eryx.SandboxFactory(requirements=text), "requirements"),
        (lambda text: eryx.SandboxFactory(requirements=[text]), "requirements"),
        (lambda text: eryx.SandboxFactory(imports=[text]), "imports[0]"),
        (lambda text: eryx.SandboxFactory(setup_code=text), "setup_code"),
        (lambda text: eryx.SandboxFactory.load(text), "path"),
        (lambda text: eryx.NetConfig(allowed_hosts=[text]), "allowed_hosts[0]"),
        (lambda text: eryx.NetConfig(hosts={text: []}), "a name in hosts"),
        (lambda text: eryx.NetConfig(root_certs=[text]), "root_certs"),
        (lambda text: eryx.NetConfig(http_rules=[text]), "http_rules[0]"),
        (lambda text: eryx.NetConfig().allow_host(text), "pattern"),
        (lambda text: eryx.NetConfig().check(text), "host"),
        (lambda text: eryx.NetConfig.from_file(text), "path"),
        (lambda text: eryx.Secret(text, hosts=["a.example"]), "value"),
    ],
)
def test_text_with_surrogates_is_rejected_with_the_name_of_its_argument(make, name):
    with pytest.raises(ValueError, match="surrogates") as caught:
        make("hush\ud800")
    message = str(caught.value)
    assert message.startswith(
        f"{name} has surrogates, which UTF-8 cannot encode (the first one at index 4): leave them out"
    )
    assert "hush" not in message


def test_surrogates_in_what_describes_a_function_are_readable():
    def described(text="\ud800"):
        """Says \ud800."""

    sandbox = eryx.Sandbox(functions={"described": described})
    # Source code: the backslash is escaped.
    assert r"Says \\ud800." in sandbox.describe_functions()
    assert "\\ud800" in sandbox.execute("import tools; help(tools.described)").stdout


def test_executions_do_not_share_state():
    sandbox = eryx.Sandbox()
    sandbox.execute("import builtins\nbuiltins.mark = 1")
    assert sandbox.execute("import builtins\nprint(hasattr(builtins, 'mark'))").stdout == "False\n"


def test_execution_error_has_type_message_traceback_and_output():
    with pytest.raises(eryx.ExecutionError) as caught:
        eryx.Sandbox().execute(
            "import sys\nprint('begun')\nprint('x', file=sys.stderr)\nimport json\njson.loads('{')"
        )
    error = caught.value
    assert error.exception_type == "json.decoder.JSONDecodeError"
    assert error.message.startswith("Expecting property name")
    assert str(error) == f"{error.exception_type}: {error.message}"
    assert "line 5" in error.traceback
    assert (error.stdout, error.stderr, error.exit_status) == ("begun\n", "x\n", None)
    assert isinstance(error, eryx.EryxError)
    if hasattr(error, "add_note"):
        assert error.__notes__ == [error.traceback.rstrip("\n")]


def test_execution_error_has_the_exit_status_and_zero_is_success():
    assert eryx.Sandbox().execute("print(1)\nraise SystemExit").stdout == "1\n"
    with pytest.raises(eryx.ExecutionError) as caught:
        eryx.Sandbox().execute("raise SystemExit(3)")
    assert (caught.value.exception_type, caught.value.exit_status) == ("SystemExit", 3)


def test_interpreter_crash_is_an_execution_error_without_a_type():
    with pytest.raises(eryx.ExecutionError, match="ended abnormally") as caught:
        eryx.Sandbox().execute("import os\nprint('begun', flush=True)\nos.abort()")
    assert caught.value.exception_type is None
    assert caught.value.stdout == "begun\n"


def test_time_limit_raises_an_error_that_is_both_timeout_errors():
    limits = eryx.ResourceLimits(execution_timeout_ms=1000)
    start = time.monotonic()
    with pytest.raises(eryx.TimeoutError, match=r"1000 ms.*execution_timeout_ms") as caught:
        eryx.Sandbox(resource_limits=limits).execute("print('begun', flush=True)\nwhile True: pass")
    assert time.monotonic() - start < 5
    assert isinstance(caught.value, builtins.TimeoutError)
    assert caught.value.stdout == "begun\n"


@pytest.mark.parametrize(
    ("limits", "program", "limit"),
    [
        ({"max_memory_bytes": 64 << 20}, "x = bytearray(60 << 20)", "max_memory_bytes"),
        ({"max_output_bytes": 1000}, "print('x' * 2000)", "max_output_bytes"),
    ],
)
def test_exceeded_limit_ends_the_program_and_is_named(limits, program, limit):
    with pytest.raises(eryx.ResourceLimitError, match=f"ResourceLimits: {limit}") as caught:
        eryx.Sandbox(resource_limits=eryx.ResourceLimits(**limits)).execute(program)
    assert caught.value.limit == limit
    assert len(caught.value.stdout) == (1000 if limit == "max_output_bytes" else 0)
    assert eryx.Sandbox().execute(program).stderr == ""


def test_resource_limits_are_immutable_values():
    limits = eryx.ResourceLimits(
        execution_timeout_ms=1,
        max_memory_bytes=64 << 20,
        max_output_bytes=0,
        max_host_memory_bytes=16 << 20,
        max_file_bytes=0,
        max_files=1,
    )
    assert (limits.max_file_bytes, limits.max_files) == (0, 1)
    assert limits.max_host_memory_bytes == 16 << 20
    assert (
        eval(repr(limits)) == limits == pickle.loads(pickle.dumps(limits)) == copy.deepcopy(limits)
    )
    assert hash(eval(repr(limits))) == hash(limits)
    assert limits != eryx.ResourceLimits()
    with pytest.raises(AttributeError):
        limits.max_output_bytes = 1


@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        ({"execution_timeout_ms": 0}, eryx.ConfigError, "execution_timeout_ms=0.*at least 1"),
        ({"max_host_memory_bytes": 17 << 20}, eryx.ConfigError, "lower max_output_bytes"),
        ({"max_output_bytes": 64 << 20}, eryx.ConfigError, "give at least 83886080"),
        ({"max_file_bytes": 2**33}, eryx.ConfigError, "max_file_bytes=8589934592: give at most"),
        ({"max_files": 0}, eryx.ConfigError, "max_files=0: give a number from 1 to 65536"),
        ({"max_files": 65537}, eryx.ConfigError, "from 1 to 65536"),
        ({"execution_timeout_ms": -1}, eryx.ConfigError, "cannot be negative"),
        ({"execution_timeout_ms": 2**64}, eryx.ConfigError, "at most"),
        (
            {"execution_timeout_ms": 0.5},
            TypeError,
            "whole number of milliseconds, not of type float",
        ),
        ({"execution_timeout_ms": True}, TypeError, "not of type bool"),
        ({"execution_timeout_ms": None}, TypeError, "not None"),
        ({"max_memory_bytes": 1000}, eryx.ConfigError, "max_memory_bytes=1000.*at least that"),
        ({"max_memory_bytes": 2**33}, eryx.ConfigError, "at most"),
        ({"max_memory": 1}, TypeError, "no argument max_memory: did you mean max_memory_bytes?"),
        ({"colour": 1}, TypeError, "it takes execution_timeout_ms, max_memory_bytes"),
    ],
)
def test_invalid_limit_is_rejected_with_what_to_write(settings, error, message):
    with pytest.raises(error, match=message):
        eryx.ResourceLimits(**settings)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"network": True}, r"an eryx.NetConfig, such as .*allowed_hosts=.*, not of type bool"),
        ({"network": ["a.example"]}, r"eryx.NetConfig\(allowed_hosts=\[.*\]\), not of type list"),
        ({"resource_limits": {}}, r"an eryx.ResourceLimits, such as .*, not of type dict"),
        ({"on_stdout": "print"}, "on_stdout has to be a function"),
        ({"on_stderr": 1}, "on_stderr has to be a function"),
        ({"instance_reuse": None}, "instance_reuse has to be True or False"),
        (
            {"timeout": 1},
            r"no argument timeout: write .*ResourceLimits\(execution_timeout_ms=5000\)",
        ),
        ({"memory_limit": 1}, r"write resource_limits=eryx.ResourceLimits\(max_memory_bytes="),
        ({"max_files": 1}, r"write resource_limits=eryx.ResourceLimits\(max_files=...\)"),
        ({"allowed_hosts": []}, r"write network=eryx.NetConfig\(allowed_hosts=...\)"),
        ({"packages": []}, r"write eryx.SandboxFactory\(requirements="),
        ({"callbacks": []}, "write functions="),
        ({"value": True}, r"write execute\(code, value=True\)"),
        ({"net_work": None}, "did you mean network?"),
    ],
)
def test_wrong_sandbox_argument_is_named_in_the_error(settings, message):
    with pytest.raises(TypeError, match=message):
        eryx.Sandbox(**settings)


def test_sandbox_takes_no_positional_arguments():
    with pytest.raises(TypeError, match="positional"):
        eryx.Sandbox(eryx.NetConfig())


def test_signature_defaults_match_the_real_defaults():
    defaults = eryx.NetConfig().to_dict()
    limits = eryx.ResourceLimits()
    defaults.update({name: getattr(limits, name) for name in dir(limits) if name[0] != "_"})
    for cls in (eryx.ResourceLimits, eryx.NetConfig):
        for name, parameter in inspect.signature(cls).parameters.items():
            stated = parameter.default
            if stated is not ...:
                default = defaults.get(name, stated)
                assert (list(stated) if stated == () else stated) == default or stated == default, (
                    name
                )


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="instances are reused on Linux")
def test_programs_run_in_new_instances_without_reuse(python):
    program = """
import eryx, resource

def faults(**settings):
    sandboxes = eryx.Sandbox(**settings), eryx.SandboxFactory().create_sandbox(**settings)
    counts = []
    for sandbox in sandboxes:
        for _ in range(20):
            sandbox.execute("print(1)")
        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
        for _ in range(20):
            assert sandbox.execute("print(1)").stdout == "1\\n"
        counts.append((resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before) // 20)
    return counts

print(*faults(), *faults(instance_reuse=True), *faults(instance_reuse=False))
"""
    counts = [int(number) for number in python(program).stdout.split()]
    # A new instance faults in each page that its program touches.
    assert max(counts[:4]) < 16, counts
    assert min(counts[4:]) >= 32, counts


def test_callbacks_get_output_as_text_while_the_program_runs():
    pieces: list[tuple[str, str]] = []
    seen_early = threading.Event()

    def on_stdout(text: str) -> None:
        pieces.append(("out", text))
        seen_early.set()

    sandbox = eryx.Sandbox(on_stdout=on_stdout, on_stderr=lambda text: pieces.append(("err", text)))
    with ThreadPoolExecutor() as pool:
        running = pool.submit(
            sandbox.execute,
            "import sys\nprint('first', flush=True)\nsys.stderr.write('second')\nsys.stderr.flush()\nwhile True: pass",
        )
        assert seen_early.wait(10)
        while len(pieces) < 2:
            time.sleep(0.01)
        sandbox.cancel()
        with pytest.raises(eryx.CancelledError):
            running.result(10)
    assert ("".join(t for s, t in pieces if s == "out"), pieces[-1]) == (
        "first\n",
        ("err", "second"),
    )


def test_split_character_is_delivered_whole_and_a_truncated_one_at_the_end():
    pieces: list[str] = []
    eryx.Sandbox(on_stdout=pieces.append).execute(
        "import sys\nout = sys.stdout.buffer\n"
        "for piece in (b'a\\xe2', b'\\x82', b'\\xac', b'b\\xff', b'c\\xe2\\x82'):\n    out.write(piece); out.flush()"
    )
    assert pieces == ["a", "€", "b\ufffd", "c", "\ufffd"]


def test_callback_exception_ends_the_program_and_is_raised():
    def refuse(text: str) -> None:
        raise LookupError(text)

    sandbox = eryx.Sandbox(on_stdout=refuse)
    start = time.monotonic()
    with pytest.raises(LookupError, match="now"):
        sandbox.execute("print('now', flush=True)\nwhile True: pass")
    assert time.monotonic() - start < 5
    with pytest.raises(LookupError):
        sandbox.session().execute("print('now')")


def test_callback_that_runs_another_program_gets_an_error():
    sandbox = eryx.Sandbox(on_stdout=lambda _: eryx.Sandbox().execute("pass"))
    with pytest.raises(eryx.EryxError, match="on_stdout, on_stderr and on_network_event"):
        sandbox.execute("print(1)")


def test_cancel_ends_running_executions_and_no_later_ones():
    sandbox, other = eryx.Sandbox(), eryx.Sandbox()
    with ThreadPoolExecutor() as pool:
        running = [
            pool.submit(sandbox.execute, "print('x', flush=True)\nwhile True: pass")
            for _ in range(2)
        ]
        unharmed = pool.submit(other.execute, "import time\ntime.sleep(1)\nprint('done')")
        time.sleep(0.3)
        sandbox.cancel()
        for execution in running:
            with pytest.raises(eryx.CancelledError) as caught:
                execution.result(10)
            assert caught.value.stdout == "x\n"
        assert unharmed.result(10).stdout == "done\n"
    assert sandbox.execute("print(1)").stdout == "1\n"


def test_end_of_a_with_block_closes_the_sandbox():
    with eryx.Sandbox() as sandbox:
        assert sandbox.execute("print(1)").stdout == "1\n"
    for use in (lambda: sandbox.execute("pass"), sandbox.session, sandbox.__enter__):
        with pytest.raises(eryx.EryxError, match="closed"):
            use()


def test_errors_and_results_survive_pickling():
    result = eryx.Sandbox(network=eryx.NetConfig()).execute(
        "import socket\nprint('x')\n"
        "try: socket.create_connection(('10.0.0.1', 80))\nexcept OSError as error: print(error)"
    )
    assert len(result.network.connections) == 1
    assert pickle.loads(pickle.dumps(result)) == result
    for program, names in [
        (
            "1/0",
            ["exception_type", "message", "traceback", "exit_status", "stdout", "stderr", "args"],
        ),
        ("while True: print('x' * 50_000)", ["limit", "stdout", "args"]),
    ]:
        with pytest.raises(eryx.EryxError) as caught:
            eryx.Sandbox().execute(program)
        again = pickle.loads(pickle.dumps(caught.value))
        assert type(again) is type(caught.value)
        for name in [*names, "network", "execution", "duration_ms", "peak_memory_bytes"]:
            assert getattr(again, name) == getattr(caught.value, name)


def test_every_error_carries_report_and_usage(port):
    network = eryx.NetConfig().allow_localhost()

    def sandbox_with(timeout: int) -> eryx.Sandbox:
        limits = eryx.ResourceLimits(
            execution_timeout_ms=timeout, max_memory_bytes=64 << 20, max_output_bytes=100_000
        )
        return eryx.Sandbox(network=network, resource_limits=limits)

    sandbox, brief = sandbox_with(60_000), sandbox_with(2000)
    cancelled = eryx.Sandbox(network=network, on_stdout=lambda _: cancelled.cancel())
    executions = set()
    for kind, end in [
        (eryx.ExecutionError, "1 / 0"),
        (eryx.ExecutionError, "raise SystemExit(1)"),
        (eryx.ExecutionError, "os.abort()"),
        (eryx.TimeoutError, "while True: pass"),
        (eryx.ResourceLimitError, "x = 'x'\nwhile True: x += x"),
        (eryx.ResourceLimitError, "while True: print('x' * 1000)"),
        (eryx.CancelledError, "print('begun', flush=True); time.sleep(9)"),
    ]:
        program = (
            "import os, socket, time\n"
            f"s = socket.create_connection(('127.0.0.1', {port}))\ns.send(b'stolen')\n{end}"
        )
        used = {eryx.CancelledError: cancelled, eryx.TimeoutError: brief}.get(kind, sandbox)
        with pytest.raises(kind) as caught:
            used.execute(program)
        error = caught.value
        [connection] = error.network.connections
        assert (connection.port, connection.sent_bytes, error.network.sent_bytes) == (port, 6, 6)
        assert error.duration_ms > 0
        assert error.peak_memory_bytes > 1 << 20
        again = pickle.loads(pickle.dumps(error))
        assert (again.network, again.execution) == (error.network, error.execution)
        executions.add(error.execution)
    result = sandbox.execute("pass")
    executions.add(result.execution)
    assert len(executions) == 8


def test_error_constructed_by_hand_has_an_empty_report():
    error = eryx.ExecutionError("text", stdout="x")
    assert (error.network.connections, error.execution, error.stdout) == ([], 0, "x")


def test_exception_text_cannot_forge_log_lines():
    with pytest.raises(eryx.ExecutionError) as caught:
        eryx.Sandbox().execute("raise ValueError('a\\nINFO admin\\x1b[31m\\u202e')")
    error = caught.value
    assert str(error) == "ValueError: a\\nINFO admin\\u{1b}[31m\\u{202e}"
    assert error.message == "a\nINFO admin\x1b[31m\u202e"
    if hasattr(error, "add_note"):
        [note] = error.__notes__
        assert all(char.isprintable() or char == "\n" for char in note)
        assert "INFO admin\\x1b[31m\\u202e" in note


def test_sandbox_exposes_its_settings():
    limits = eryx.ResourceLimits(execution_timeout_ms=5)
    config = eryx.NetConfig(max_connections=3)
    sandbox = eryx.Sandbox(network=config, resource_limits=limits)
    assert sandbox.network is config
    assert sandbox.resource_limits is limits
    assert eryx.Sandbox().network is None
    assert eryx.Sandbox().resource_limits == eryx.ResourceLimits()
    copied = eval(repr(sandbox))
    assert (copied.network, copied.resource_limits) == (config, limits)
