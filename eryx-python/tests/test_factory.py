"""Factories: packages, the cache, saving and loading."""

from __future__ import annotations

import os
import pathlib
import pickle
import pty
import stat
import subprocess
import sys
import zipfile
from collections.abc import Iterator

import pytest

import eryx


def wheel(
    folder: pathlib.Path, name: str, files: dict[str, str], requires: tuple[str, ...] = ()
) -> pathlib.Path:
    """Write a wheel with `files` and the metadata that every wheel has."""
    path = folder / f"{name}-1.0-py3-none-any.whl"
    metadata = f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n"
    metadata += "".join(f"Requires-Dist: {other}\n" for other in requires)
    with zipfile.ZipFile(path, "w") as archive:
        for file, text in files.items():
            archive.writestr(file, text)
        archive.writestr(f"{name}-1.0.dist-info/METADATA", metadata)
    return path


@pytest.fixture(scope="module")
def cache(tmp_path_factory) -> Iterator[pathlib.Path]:
    """The cache directory of the factories of this module and of its child processes."""
    folder = tmp_path_factory.mktemp("cache")
    folder.chmod(0o700)
    before = os.environ.get("ERYX_CACHE_DIR")
    os.environ["ERYX_CACHE_DIR"] = str(folder)
    yield folder
    if before is None:
        del os.environ["ERYX_CACHE_DIR"]
    else:
        os.environ["ERYX_CACHE_DIR"] = before


@pytest.fixture(scope="module")
def factory(cache, tmp_path_factory) -> eryx.SandboxFactory:
    """A factory with a wheel, a source directory and a directory of packages."""
    folder = tmp_path_factory.mktemp("packages")
    greeting = wheel(
        folder,
        "greeting",
        {
            "greeting/__init__.py": "import helper, number\ndef hello(): return helper.PREFIX + 'hello'",
            "greeting-1.0.data/purelib/number.py": "NUMBER = 7",
        },
    )
    source = folder / "source/polite"
    source.mkdir(parents=True)
    (source / "__init__.py").write_text("PLEASE = 'please'")
    site = folder / "site-packages"
    site.mkdir()
    (site / "helper.py").write_text("PREFIX = '> '")
    return eryx.SandboxFactory(
        packages=[greeting, str(source), site],
        imports=["greeting", "polite"],
        setup_code="counter = 41",
    )


SHOW = """
import sys
print(sorted({'greeting', 'polite', 'helper', 'number'} & set(sys.modules)), counter)
import greeting, polite
print(greeting.hello(), polite.PLEASE)
"""
SHOWN = "['greeting', 'helper', 'number', 'polite'] 41\n> hello please\n"


def test_wheels_source_directories_and_package_directories_can_be_imported(factory):
    assert factory.create_sandbox().execute(SHOW).stdout == SHOWN


def test_every_program_starts_from_the_same_snapshot(factory):
    sandbox = factory.create_sandbox()
    for _ in range(2):
        assert sandbox.execute("counter += 1\nprint(counter)").stdout == "42\n"


def test_factory_session_keeps_its_state(factory):
    with factory.create_session() as session:
        session.execute("counter += 1")
        assert session.execute("print(counter)").stdout == "42\n"


def test_create_sandbox_takes_the_arguments_of_sandbox(factory, port):
    pieces: list[str] = []
    sandbox = factory.create_sandbox(
        network=eryx.NetConfig().allow_localhost(),
        resource_limits=eryx.ResourceLimits(execution_timeout_ms=5000),
        on_stdout=pieces.append,
    )
    assert sandbox.resource_limits.execution_timeout_ms == 5000
    sandbox.execute(
        f"import urllib.request\nprint(urllib.request.urlopen('http://127.0.0.1:{port}/x').read())"
    )
    assert "".join(pieces) == "b'you asked for /x'\n"
    with pytest.raises(TypeError, match="did you mean network"):
        factory.create_sandbox(netwrok=None)
    with pytest.raises(eryx.ExecutionError, match="networking is off"):
        factory.create_sandbox().execute(
            f"import socket\nsocket.create_connection(('127.0.0.1', {port}))"
        )


def test_compiled_code_is_reused_from_a_private_cache(factory, cache, tmp_path, python):
    files = sorted(cache.iterdir())
    assert files
    assert stat.S_IMODE(cache.stat().st_mode) == 0o700
    path = tmp_path / "saved.eryx"
    factory.save(path)
    loaded = python(
        f"import eryx\n"
        f"factory = eryx.SandboxFactory.load({str(path)!r})\n"
        f"print(factory.create_sandbox().execute({SHOW!r}).stdout, end='')\n"
    )
    assert loaded.stdout == SHOWN
    assert sorted(cache.iterdir()) == files, "the factory must not be compiled again"
    # Files with changed bytes are not run.
    for file in files:
        changed = bytearray(file.read_bytes())
        changed[len(changed) // 2] ^= 1
        file.write_bytes(changed)
    loaded = python(
        f"import eryx\n"
        f"factory = eryx.SandboxFactory.load({str(path)!r})\n"
        f"print(factory.create_sandbox().execute({SHOW!r}).stdout, end='')\n"
    )
    assert loaded.stdout == SHOWN


def test_a_factory_from_a_pickle_is_built_with_the_same_settings(tmp_path, python):
    limits = eryx.ResourceLimits(max_memory_bytes=256 << 20)
    needs_memory = "x = len(bytearray(100 << 20))"
    settings = {"resource_limits": limits, "cache": False, "bytecode": "never"}
    factory = eryx.SandboxFactory(setup_code=needs_memory, **settings)
    _, arguments = factory.__reduce__()
    assert arguments[3:] == (limits, None, False, "never")
    pickled = tmp_path / "factory.pickle"
    pickled.write_bytes(pickle.dumps(factory))
    cache = tmp_path / "cache"
    loaded = python(
        "import eryx, os, pathlib, pickle\n"
        f"os.environ['ERYX_CACHE_DIR'] = {str(cache)!r}\n"
        f"factory = pickle.loads(pathlib.Path({str(pickled)!r}).read_bytes())\n"
        "limits = eryx.ResourceLimits(max_memory_bytes=256 << 20)\n"
        "sandbox = factory.create_sandbox(resource_limits=limits)\n"
        "print(sandbox.execute('print(x)').stdout, end='')\n"
        f"print([path.name for path in pathlib.Path({str(cache)!r}).rglob('factory*')])"
    )
    assert loaded.stdout == f"{100 << 20}\n[]\n"


def test_factory_equals_its_copies_and_no_other_factory(factory):
    copy = pickle.loads(pickle.dumps(factory))
    assert copy == factory
    assert hash(copy) == hash(factory)
    assert copy.to_bytes() == factory.to_bytes()
    assert copy.imports == ["greeting", "polite"]
    assert copy.create_sandbox().execute(SHOW).stdout == SHOWN
    other = eryx.SandboxFactory(setup_code="x = 1")
    assert other != factory
    assert eryx.SandboxFactory.from_bytes(other.to_bytes()) == other
    assert repr(factory) == "<eryx.SandboxFactory of 5 files, imports=['greeting', 'polite']>"


POOL = """
import concurrent.futures, multiprocessing, sys
import eryx

def run(factory, number):
    return factory.create_sandbox().execute(f"print({number} + counter)").stdout

if __name__ == "__main__":
    factory = eryx.SandboxFactory.load(sys.argv[1])
    context = multiprocessing.get_context(sys.argv[2])
    with concurrent.futures.ProcessPoolExecutor(2, context) as pool:
        print("".join(pool.map(run, [factory] * 20, range(20))), end="")
"""


@pytest.mark.parametrize("method", ["spawn", "forkserver"])
def test_factory_can_be_sent_to_pool_workers(factory, method, tmp_path):
    program = tmp_path / "pool.py"
    program.write_text(POOL)
    factory.save(tmp_path / "saved.eryx")
    completed = subprocess.run(
        [sys.executable, program, tmp_path / "saved.eryx", method],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert completed.stderr == ""
    assert completed.stdout == "".join(f"{number + 41}\n" for number in range(20))


def test_ellipsis_and_dependencies_true_add_the_dependencies_of_the_wheels(cache, tmp_path):
    top = wheel(
        tmp_path,
        "top",
        {"top.py": "import middle"},
        ("middle>=1", "extra_one; extra == 'x'", "not_needed; python_version < '3'"),
    )
    wheel(tmp_path, "middle", {"middle.py": "import Bot_tom as b\nNAME = b.NAME"}, ("Bot.Tom",))
    wheel(tmp_path, "bot_tom", {"Bot_tom.py": "NAME = 'found'"})
    wheel(tmp_path, "unrelated", {"unrelated.py": ""})
    program = "import middle\nprint(middle.NAME)\nimport unrelated"
    for settings in ({"packages": [top, ...]}, {"packages": [top], "dependencies": True}):
        factory = eryx.SandboxFactory(imports=["top"], **settings)
        with pytest.raises(eryx.ExecutionError, match="unrelated") as caught:
            factory.create_sandbox().execute(program)
        assert caught.value.stdout == "found\n"
    with pytest.raises(eryx.ExecutionError, match="middle"):
        eryx.SandboxFactory(packages=[top], dependencies=False, imports=["top"])
    with pytest.raises(TypeError, match="dependencies has to be True or False"):
        eryx.SandboxFactory(packages=[top], dependencies=1)

    lonely = wheel(tmp_path, "lonely", {"lonely.py": ""}, ("absent-project",))
    with pytest.raises(eryx.ConfigError, match="lonely needs absent-project, and no wheel"):
        eryx.SandboxFactory(packages=[lonely, ...])
    twice = wheel(tmp_path, "twice", {"twice.py": ""}, ("unrelated",))
    (tmp_path / "copy.whl").write_bytes((tmp_path / "unrelated-1.0-py3-none-any.whl").read_bytes())
    with pytest.raises(eryx.ConfigError, match=r"are both of unrelated; list the one"):
        eryx.SandboxFactory(packages=[twice, ...])


def test_unusable_inputs_are_rejected_with_a_remedy(cache, tmp_path):
    before = sorted(cache.iterdir())
    native = wheel(tmp_path, "native", {"native/_fast.cpython-314-x86_64-linux-gnu.so": ""})
    needy = wheel(tmp_path, "needy", {"needy.py": "import not_there"})
    text = tmp_path / "notes.txt"
    text.write_text("not a wheel")
    cases: list[tuple[dict[str, object], type[Exception], str]] = [
        ({"packages": [native]}, eryx.ConfigError, r"_fast.*pure Python release.*cargo xtask"),
        ({"packages": [text]}, eryx.ConfigError, r"notes\.txt is not a wheel .*give a \.whl file"),
        ({"packages": ["absent.whl"]}, eryx.ConfigError, r"absent\.whl cannot be read"),
        ({"packages": "a.whl"}, TypeError, r"write packages=\['a\.whl'\]"),
        ({"packages": [1]}, TypeError, "each entry a str or a path, not of type int"),
        ({"packages": 1}, TypeError, "a list of paths, not of type int"),
        ({"imports": "json"}, TypeError, r"write imports=\['json'\]"),
        ({"imports": ["no-name"]}, eryx.ConfigError, r'"no-name" is not a module name'),
        ({"imports": ["nowhere"]}, eryx.ExecutionError, r"nowhere.*while importing nowhere"),
        (
            {"packages": [needy], "imports": ["needy"]},
            eryx.ExecutionError,
            r"not_there.*while importing needy; give the factory the package that has it",
        ),
        ({"setup_code": "1 / 0"}, eryx.ExecutionError, "ZeroDivisionError"),
        ({"setup_code": 1}, TypeError, "setup_code has to be the program's text"),
        ({"package": []}, TypeError, "did you mean packages"),
        ({"cache_dir": 1}, TypeError, "cache_dir has to be a str or a path"),
        ({"cache_dir": ".", "cache": False}, eryx.ConfigError, "leave out one of the two"),
        ({"cache": None}, TypeError, "cache has to be True or False"),
        ({"max_package_bytes": "1"}, TypeError, "a whole number of bytes"),
        ({"max_package_files": 0}, eryx.ConfigError, "is 0, which allows no package"),
        (
            {"packages": [needy], "max_package_bytes": 10},
            eryx.ConfigError,
            r"needy.* is too large: .* may hold 10 bytes together; .*max_package_bytes",
        ),
        ({"packages": [needy], "max_package_files": 1}, eryx.ConfigError, "may hold 1 files"),
    ]
    for settings, kind, message in cases:
        with pytest.raises(kind, match=message):
            eryx.SandboxFactory(**settings)
    for kind in (eryx.SandboxFactory, eryx.Sandbox, eryx.NetConfig, eryx.ResourceLimits):
        with pytest.raises(TypeError, match=r"by its keyword, as in \w+\(\w+=\.\.\.\)"):
            kind(1)
    assert sorted(cache.iterdir()) == before, "inputs must be checked before anything is compiled"


def test_loading_a_file_that_is_not_a_factory_fails(cache, tmp_path):
    path = tmp_path / "x.eryx"
    with pytest.raises(eryx.ConfigError, match=r"x\.eryx cannot be read"):
        eryx.SandboxFactory.load(path)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("eryx-factory", "999\n")
    with pytest.raises(eryx.ConfigError, match="another version of Eryx"):
        eryx.SandboxFactory.load(path)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("eryx-factory", "1\n")
        archive.writestr("packages/../../outside.py", "")
    with pytest.raises(eryx.ConfigError, match=r"outside\.py"):
        eryx.SandboxFactory.load(path)
    with pytest.raises(eryx.ConfigError, match="cannot be saved"):
        eryx.SandboxFactory(setup_code="x = 1").save(tmp_path / "absent/x.eryx")


def test_loading_a_factory_enforces_the_package_limits(tmp_path):
    (tmp_path / "zeros.txt").write_bytes(bytes(2**20))
    factory = eryx.SandboxFactory(packages=[tmp_path], max_package_bytes=2**20)
    path = tmp_path / "zeros.eryx"
    factory.save(path)
    assert path.stat().st_size < 10_000
    for load, saved in (
        (eryx.SandboxFactory.load, path),
        (eryx.SandboxFactory.from_bytes, path.read_bytes()),
    ):
        assert load(saved, max_package_bytes=2**20, max_package_files=1) == factory
        with pytest.raises(eryx.ConfigError, match="may hold 1048575 bytes together"):
            load(saved, max_package_bytes=2**20 - 1)
    assert pickle.loads(pickle.dumps(factory)) == factory


def test_factory_without_a_cache_writes_nothing_to_disk(tmp_path, python):
    program = f"""
import os
folder = {str(tmp_path)!r}
os.environ.update(ERYX_CACHE_DIR=folder + "/cache", TMPDIR=folder + "/absent")
import eryx
factory = eryx.SandboxFactory(setup_code="secret = 'in memory'", cache=False)
print(factory.create_sandbox().execute("print(secret)").stdout, end="")
"""
    assert python(program).stdout == "in memory\n"
    assert list(tmp_path.iterdir()) == []


def test_setup_code_is_bounded_by_resource_limits(tmp_path):
    for code, kind in (
        ("while True: pass", eryx.TimeoutError),
        ("hoard = [bytes(2**20) for _ in range(100)]", eryx.ResourceLimitError),
        ("print('x' * 2**24)", eryx.ResourceLimitError),
    ):
        timeout = 500 if kind is eryx.TimeoutError else 60_000
        limits = eryx.ResourceLimits(execution_timeout_ms=timeout, max_memory_bytes=64 * 2**20)
        with pytest.raises(kind):
            eryx.SandboxFactory(setup_code=code, resource_limits=limits, cache_dir=tmp_path)
    with pytest.raises(TypeError, match=r"an eryx\.ResourceLimits, not of type int"):
        eryx.SandboxFactory(resource_limits=1)
    assert list(tmp_path.iterdir()) == []


def test_cache_directory_writable_by_others_is_not_used(tmp_path):
    folder = tmp_path / "open"
    folder.mkdir()
    folder.chmod(0o777)
    factory = eryx.SandboxFactory(setup_code="x = 'open'", cache_dir=folder)
    assert factory.create_sandbox().execute("print(x)").stdout == "open\n"
    assert list(folder.iterdir()) == []


BUILD = "import eryx, sys; eryx.SandboxFactory(setup_code='x = 2', cache_dir=sys.argv[1])"


def test_progress_is_shown_only_on_a_terminal(tmp_path):
    quiet = subprocess.run(
        [sys.executable, "-c", BUILD, str(tmp_path / "one")], capture_output=True, timeout=60
    )
    assert (quiet.returncode, quiet.stdout, quiet.stderr) == (0, b"", b"")
    terminal, child_end = pty.openpty()
    building = subprocess.Popen(
        [sys.executable, "-c", BUILD, str(tmp_path / "two")], stderr=child_end, stdout=child_end
    )
    os.close(child_end)
    output = b""
    try:
        while piece := os.read(terminal, 1000):
            output += piece
    except OSError:
        pass  # Reading from a terminal whose other end is closed fails with EIO.
    os.close(terminal)
    assert building.wait(60) == 0
    assert b"eryx: compiling the packages" in output
    assert output.endswith(b"\r\x1b[K"), "the line must be removed at the end"


def test_ctrl_c_ends_a_factory_build(tmp_path, python):
    program = f"""
import eryx, signal, threading, os
threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGINT)).start()
try:
    eryx.SandboxFactory(setup_code="while True: pass", cache_dir={str(tmp_path)!r})
except KeyboardInterrupt:
    print("interrupted")
"""
    assert python(program).stdout == "interrupted\n"
