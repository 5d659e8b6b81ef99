"""The installed package: docstrings, stubs, metadata, and supported interpreters."""

from __future__ import annotations

import doctest
import email.parser
import os
import pathlib
import re
import shutil
import subprocess
import sys
import types
import zipfile

import pytest

import eryx
from eryx import _errors

DOCUMENTED = [eryx, *(getattr(eryx, name) for name in eryx.__all__ if name != "__version__")]


def test_docstring_examples_run():
    runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS | doctest.IGNORE_EXCEPTION_DETAIL)
    failures: list[str] = []
    for thing in DOCUMENTED:
        for name, text in docstrings(thing):
            test = doctest.DocTestParser().get_doctest(text, {}, name, None, 0)
            runner.run(test, out=failures.append)
    assert runner.summarize(verbose=False).failed == 0, "".join(failures)
    assert runner.tries > 60


def docstrings(thing: object):
    """Yield the docstrings of a class or module and of the attributes that it defines."""
    name = getattr(thing, "__name__", "?")
    if isinstance(thing, types.ModuleType):
        yield name, thing.__doc__ or ""
        return
    yield name, thing.__doc__ or ""
    for key in vars(thing):
        value = getattr(thing, key)
        if not key.startswith("_") and getattr(value, "__doc__", None):
            yield f"{name}.{key}", value.__doc__


def test_every_public_name_is_documented():
    for thing in DOCUMENTED:
        for name, text in docstrings(thing):
            assert text.strip(), name
    for cls in (eryx.NetConfig, eryx.Sandbox, eryx.Session, eryx.ResourceLimits):
        for key in vars(cls):
            value = getattr(cls, key)
            if not key.startswith("_"):
                assert value.__doc__, f"{cls.__name__}.{key}"
                if callable(value):
                    assert ">>>" in value.__doc__, f"{cls.__name__}.{key} has no example"


def test_stubs_match_the_package():
    checked = subprocess.run(
        [sys.executable, "-m", "mypy.stubtest", "eryx"], capture_output=True, text=True, timeout=100
    )
    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_type_checker_finds_mistakes_in_user_code(tmp_path):
    program = tmp_path / "program.py"
    program.write_text(
        "import eryx\n"
        "text: str = eryx.Sandbox(network=eryx.NetConfig(max_connections=3)).execute('x').stdout\n"
        "eryx.NetConfig(max_connections='3')\n"
        "eryx.Sandbox(net=None)\n"
        "async def f(s: eryx.Session) -> int:\n"
        "    return (await s.aexecute('x')).stdout\n"
    )
    checked = subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", "--no-incremental", str(program)],
        capture_output=True,
        text=True,
        timeout=100,
        cwd=tmp_path,
    )
    lines = [int(line) for line in re.findall(r"program\.py:(\d+): error", checked.stdout)]
    assert lines == [3, 4, 6], checked.stdout


def test_exceptions_have_the_documented_base_classes():
    assert issubclass(eryx.TimeoutError, TimeoutError)
    assert issubclass(eryx.ConfigError, ValueError)
    for name in _errors.__dict__:
        value = getattr(_errors, name)
        if isinstance(value, type) and not name.startswith("_"):
            assert issubclass(value, eryx.EryxError)
            assert getattr(eryx, name) is value
            assert value.__module__ == "eryx"


@pytest.fixture
def wheel() -> pathlib.Path:
    path = os.environ.get("ERYX_WHEEL")
    if not path:
        pytest.skip("ERYX_WHEEL does not say where the wheel is: `cargo xtask test` does")
    return pathlib.Path(path)


def test_wheel_name_matches_its_metadata(wheel):
    name, version, python, abi, platform = wheel.stem.split("-")
    assert (name, version) == ("eryx_sandbox", eryx.__version__)
    assert (python, abi) == ("cp39", "abi3")
    assert re.fullmatch(r"(many)?linux(_\d+_\d+)?_\w+", platform)
    with zipfile.ZipFile(wheel) as archive:
        parse = email.parser.Parser().parsestr
        info = f"eryx_sandbox-{version}.dist-info"
        metadata = parse(archive.read(f"{info}/METADATA").decode())
        tags = parse(archive.read(f"{info}/WHEEL").decode()).get_all("Tag")
        names = archive.namelist()
    assert metadata["Requires-Python"] == ">=3.9"
    assert metadata["Version"] == version
    assert "Requires-Dist" not in metadata
    assert tags == [f"cp39-abi3-{tag}" for tag in platform.split(".")]
    assert {"eryx/py.typed", "eryx/_eryx.pyi", "eryx/__init__.py"} <= set(names)


def test_the_wheel_has_the_licences_of_everything_in_it(wheel):
    with zipfile.ZipFile(wheel) as archive:
        licences = [name for name in archive.namelist() if ".dist-info/licenses/" in name]
    names = {pathlib.PurePosixPath(name).name for name in licences}
    texts = pathlib.Path(__file__).parents[2] / "eryx-image/licences"
    assert {"LICENSE-APACHE", "LICENSE-MIT", "CPython.txt", "README.md"} <= names
    assert {path.name for path in texts.iterdir()} <= names
    listed = re.findall(r"`([\w-]+\.txt)`", (texts / "README.md").read_text())
    assert {path.name for path in texts.glob("*.txt")} == set(listed)


def test_another_distribution_of_the_package_is_named_in_a_warning(wheel, tmp_path):
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path)
    command = [
        sys.executable,
        "-I",
        "-c",
        f"import sys; sys.path[0:0] = [{str(tmp_path)!r}]; import eryx",
    ]
    alone = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert (alone.returncode, alone.stderr) == (0, "")
    (tmp_path / "pyeryx-0.5.8.dist-info").mkdir()
    beside = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert beside.returncode == 0
    assert "RuntimeWarning: the distributions `eryx-sandbox` and `pyeryx`" in beside.stderr


FIRST_USE = """
import asyncio, pickle, sys
import eryx
assert eryx.Sandbox().execute("print(1)").stdout == "1\\n"
assert asyncio.run(eryx.Sandbox().aexecute("print(2)")).stdout == "2\\n"
try:
    eryx.Sandbox().execute("1/0")
except eryx.ExecutionError as error:
    assert pickle.loads(pickle.dumps(error)).traceback == error.traceback
try:
    eryx.NetConfig(allow_host=[])
except TypeError as error:
    assert "did you mean" in str(error)
print("ok", "%d.%d" % sys.version_info[:2])
"""


def test_wheel_works_on_every_installed_interpreter_from_3_9(wheel, tmp_path):
    used = []
    for minor in range(9, 16):
        python = interpreter(f"python3.{minor}")
        if python is None:
            continue
        site = tmp_path / str(minor)
        with zipfile.ZipFile(wheel) as archive:
            archive.extractall(site)
        completed = subprocess.run(
            [python, "-c", FIRST_USE],
            capture_output=True,
            text=True,
            timeout=60,
            env={**os.environ, "PYTHONPATH": str(site)},
        )
        assert (completed.returncode, completed.stdout) == (0, f"ok 3.{minor}\n"), completed.stderr
        used.append(f"3.{minor}")
        shutil.rmtree(site)
    print("used by CPython " + ", ".join(used))
    assert used


def interpreter(name: str) -> str | None:
    """Return the path of a working CPython with the GIL, or ``None``."""
    # pyenv has versions for which its shims do not work.
    version = name[len("python") :]
    candidates = [shutil.which(name)]
    candidates += map(str, pathlib.Path.home().glob(f".pyenv/versions/{version}.*/bin/python"))
    for candidate in candidates:
        if candidate is None:
            continue
        probe = "import sys, sysconfig; print(sys.implementation.name, sysconfig.get_config_var('Py_GIL_DISABLED') or 0)"
        probed = subprocess.run([candidate, "-c", probe], capture_output=True, text=True)
        if probed.stdout == "cpython 0\n":
            return candidate
    return None
