"""Requirements of factories: the pip of this interpreter, with directories of wheels."""

from __future__ import annotations

import hashlib
import os
import pathlib
import re
import zipfile
from collections.abc import Iterator

import pytest

import eryx


def wheel(
    folder: pathlib.Path,
    name: str,
    version: str,
    requires: tuple[str, ...] = (),
    tag: str = "py3-none-any",
) -> str:
    """Write a wheel with a module of the same name. Return its SHA-256."""
    path = folder / f"{name}-{version}-{tag}.whl"
    info = f"{name}-{version}.dist-info"
    metadata = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
    metadata += "".join(f"Requires-Dist: {other}\n" for other in requires)
    imports = "".join(f"import {re.split('[<>=]', other)[0]}\n" for other in requires)
    files = {
        f"{name}.py": f"{imports}VERSION = {version!r}\n",
        f"{info}/METADATA": metadata,
        f"{info}/WHEEL": f"Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: {tag}\n",
    }
    files[f"{info}/RECORD"] = "".join(f"{file},,\n" for file in [*files, f"{info}/RECORD"])
    with zipfile.ZipFile(path, "w") as archive:
        for file, text in files.items():
            archive.writestr(file, text)
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.fixture(scope="module", autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """A cache directory for this module and its child processes."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ERYX_CACHE_DIR", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture
def links(tmp_path: pathlib.Path) -> pathlib.Path:
    """A directory with two versions of a package, and one that it needs."""
    folder = tmp_path / "links"
    folder.mkdir()
    wheel(folder, "eryx_top", "1.0", ("eryx_bottom>=1",))
    wheel(folder, "eryx_top", "2.0", ("eryx_bottom>=1",))
    wheel(folder, "eryx_bottom", "1.5")
    (folder / "eryx_native-1.0-cp314-cp314-linux_x86_64.whl").write_bytes(b"")
    return folder


def build(links: pathlib.Path, requirements: object, **settings: object) -> eryx.SandboxFactory:
    options = {"find_links": [links], "no_index": True}
    return eryx.SandboxFactory(requirements=requirements, **{**options, **settings})


SHOW = "import eryx_top, eryx_bottom\nprint(eryx_top.VERSION, eryx_bottom.VERSION)"


def test_requirements_are_resolved_with_their_dependencies(links):
    shown = build(links, ["eryx-top<2"]).create_sandbox().execute(SHOW)
    assert shown.stdout == "1.0 1.5\n"


def test_requirements_of_a_file_are_compared_with_their_hashes(links):
    top = hashlib.sha256((links / "eryx_top-2.0-py3-none-any.whl").read_bytes()).hexdigest()
    bottom = hashlib.sha256((links / "eryx_bottom-1.5-py3-none-any.whl").read_bytes()).hexdigest()
    file = links.parent / "requirements.txt"
    text = f"eryx-top==2.0 --hash=sha256:{top}\neryx-bottom==1.5 \\\n    --hash=sha256:{bottom}\n"
    file.write_text(text)
    for requirements in (file, str(file), [file]):
        shown = build(links, requirements).create_sandbox().execute(SHOW)
        assert shown.stdout == "2.0 1.5\n"
    file.write_text(text.replace(top, "0" * 64))
    with pytest.raises(eryx.ConfigError, match="HASHES"):
        build(links, file)
    file.write_text(text.splitlines()[0])
    with pytest.raises(eryx.ConfigError, match=r"all requirements must have .* eryx_bottom"):
        build(links, file)


def test_later_processes_take_what_was_downloaded(links, python):
    program = f"""
import sys
import eryx
sys.executable = PYTHON
factory = eryx.SandboxFactory(requirements=["eryx_top"], no_index=True, find_links=[{str(links)!r}])
print(factory.create_sandbox().execute({SHOW!r}).stdout, end="")
"""
    assert python(program.replace("PYTHON", "sys.executable")).stdout == "2.0 1.5\n"
    # Without an interpreter that has pip.
    assert python(program.replace("PYTHON", "'/absent'")).stdout == "2.0 1.5\n"
    # The directory has other wheels now.
    wheel(links, "eryx_top", "3.0", ("eryx_bottom>=1",))
    assert build(links, ["eryx_top"]).create_sandbox().execute(SHOW).stdout == "3.0 1.5\n"


def test_requirements_that_cannot_be_met_are_named_with_the_reason(links, monkeypatch):
    monkeypatch.delenv("PIP_FIND_LINKS", raising=False)
    cases: list[tuple[object, type[Exception], str]] = [
        (["eryx-native"], eryx.ConfigError, "eryx-native cannot be met: .* no wheel for sandboxes"),
        (["eryx-native"], eryx.ConfigError, "build this version .*`cargo xtask native NAME`"),
        (["eryx-absent"], eryx.ConfigError, "there is no project eryx-absent in the directories"),
        (["eryx_top>9"], eryx.ConfigError, "eryx_top>9 cannot be met: .* can use of: 1.0, 2.0"),
        (["."], eryx.ConfigError, "is not a requirement"),
        (["./eryx_top"], eryx.ConfigError, "path or an address"),
        (["--pre"], eryx.ConfigError, "has an option of pip"),
        ("absent.txt", eryx.ConfigError, r"absent\.txt cannot be read"),
        (1, TypeError, "a list of requirements"),
        ([1], TypeError, "a list of requirements"),
    ]
    for requirements, kind, message in cases:
        with pytest.raises(kind, match=message):
            build(links, requirements)
    with pytest.raises(eryx.ConfigError, match="/absent"):
        build(links, ["eryx_top"], find_links=["/absent"])
    with pytest.raises(TypeError, match="no_index has to be True or False"):
        build(links, ["eryx_top"], no_index=1)


def test_settings_without_effect_are_refused(links):
    cases = [
        ({"find_links": [links]}, "find_links has no effect without requirements and packages"),
        ({"find_links": [links], "imports": ["json"]}, "find_links has no effect"),
        ({"no_index": True}, "no_index has no effect without requirements"),
        ({"no_index": True, "find_links": [links], "packages": [links]}, "no_index has no effect"),
        ({"dependencies": True}, "dependencies has no effect without packages"),
        ({"packages": [...]}, "dependencies has no effect without packages"),
    ]
    for settings, message in cases:
        with pytest.raises(eryx.ConfigError, match=message):
            eryx.SandboxFactory(**settings)


def test_an_older_release_is_taken_with_a_warning(links, monkeypatch):
    monkeypatch.delenv("PIP_FIND_LINKS", raising=False)
    wheel(links, "eryx_agent", "1.0")
    wheel(links, "eryx_agent", "2.0", ("eryx_native>=1",))
    wanted = r"of eryx-agent, the release 1\.0 is taken, and not 2\.0: .* needs eryx.native>=1"
    with pytest.warns(UserWarning, match=wanted):
        factory = build(links, ["eryx-agent"])
    program = "import eryx_agent\nprint(eryx_agent.VERSION)"
    assert factory.create_sandbox().execute(program).stdout == "1.0\n"
    with pytest.raises(eryx.ConfigError, match=r"eryx.native>=1 \(of eryx.agent\) cannot be met"):
        build(links, ["eryx-agent>=2"])


def test_wheels_that_are_built_for_sandboxes_are_taken_in_place_of_others(links):
    native = links / "eryx_compiled-1.0-cp314-cp314-linux_x86_64.whl"
    native.write_bytes(b"")
    wheel(links, "eryx_compiled", "1.0", tag="cp314-cp314-wasm32_wasi")
    wheel(links, "eryx_compiled", "0.9")
    wheel(links, "eryx_bottom", "1.5", tag="cp314-cp314-wasm32_wasi")
    program = "import eryx_compiled\nprint(eryx_compiled.VERSION)"
    factory = build(links, ["eryx-compiled", "eryx-bottom"])
    assert factory.create_sandbox().execute(program).stdout == "1.0\n"
    # The version of a package that needs one decides, not the version of the build.
    wheel(links, "eryx_needy", "1.0", ("eryx_compiled>=0.9,<1",))
    program = "import eryx_compiled\nprint(eryx_compiled.VERSION)"
    factory = build(links, ["eryx_needy"])
    assert factory.create_sandbox().execute(program).stdout == "0.9\n"
    # A wheel of another platform, by its path.
    factory = eryx.SandboxFactory(packages=[native])
    assert factory.create_sandbox().execute(program).stdout == "1.0\n"
    (elsewhere := links.parent / "elsewhere").mkdir()
    native = native.rename(elsewhere / native.name)
    factory = eryx.SandboxFactory(packages=[native], find_links=[links])
    assert factory.create_sandbox().execute(program).stdout == "1.0\n"
    native = native.rename(str(native).replace("1.0", "1.1"))
    with pytest.raises(eryx.ConfigError, match=r"eryx_compiled-1\.1.* is not a wheel"):
        eryx.SandboxFactory(packages=[native], find_links=[links])


def test_an_index_that_cannot_be_reached_is_an_error_that_says_so(links, monkeypatch):
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple")
    for variable in list(os.environ):
        if variable.lower().endswith("_proxy"):
            monkeypatch.delenv(variable)
    with pytest.raises(eryx.ConfigError, match="the index cannot be reached"):
        build(links, ["eryx_top>9"], no_index=False)


def test_bytecode_has_four_settings(links):
    for bytecode in ("auto", "build", "background", "never"):
        factory = build(links, ["eryx_top"], bytecode=bytecode)
        assert factory.create_sandbox().execute(SHOW).stdout == "2.0 1.5\n"
    with pytest.raises(eryx.ConfigError, match='bytecode="no": it is "auto", "build"'):
        build(links, ["eryx_top"], bytecode="no")
    with pytest.raises(TypeError, match="bytecode has to be a str"):
        build(links, ["eryx_top"], bytecode=None)


NATIVE_WHEELS = pathlib.Path(eryx.__file__).parent / "native"
KNOWN = pathlib.Path(__file__).parents[2] / "eryx-core/src/factory/native_wheels.txt"


def known_wheel() -> tuple[str, str]:
    """The name of a native wheel's file, and the version, from the list that is compiled in."""
    [name] = [line.split()[1] for line in KNOWN.read_text().splitlines() if "  markupsafe-" in line]
    return name, name.split("-")[1]


def test_native_wheels_of_the_package_decide_the_versions_of_others(links):
    name, version = known_wheel()
    if not (NATIVE_WHEELS / name).exists():
        pytest.skip("the package carries no native wheels: `cargo xtask native` builds them")
    wheel(links, "eryx_page", "1.0", (f"markupsafe=={version}",))
    wheel(links, "eryx_page", "2.0", ("markupsafe==99",))
    factory = build(links, ["eryx_page"], imports=["markupsafe._speedups"])
    program = "import eryx_page\nfrom markupsafe import escape, _speedups\n"
    program += "print(eryx_page.VERSION, escape('<'), _speedups.__file__.endswith('.so'))"
    assert factory.create_sandbox().execute(program).stdout == "1.0 &lt; True\n"
    with pytest.raises(
        eryx.ConfigError,
        match=rf"markupsafe==99 \(of eryx-page\) .* of: {version}; take markupsafe {version}, whose "
        "build for sandboxes is installed with Eryx",
    ):
        build(links, ["eryx_page==2.0"])
    # A wheel of another platform is replaced by the build of the same version, and no other.
    for other, replaced in ((version, True), ("99", False)):
        native = links / f"markupsafe-{other}-cp314-cp314-manylinux_2_28_x86_64.whl"
        wheel(links, "markupsafe", other, tag="cp314-cp314-manylinux_2_28_x86_64")
        factory = eryx.SandboxFactory(packages=[native])
        shown = factory.create_sandbox().execute("import markupsafe; print(markupsafe.__file__)")
        assert shown.stdout.endswith("/markupsafe/__init__.py\n") == replaced


def test_a_native_wheel_with_another_content_is_refused(links, monkeypatch, tmp_path):
    name, version = known_wheel()
    monkeypatch.setenv("ERYX_NATIVE_WHEELS", str(tmp_path / "absent"))
    with pytest.raises(eryx.ConfigError, match="ERYX_NATIVE_WHEELS names it"):
        build(links, ["eryx_top"])
    directory = tmp_path / "native"
    directory.mkdir()
    monkeypatch.setenv("ERYX_NATIVE_WHEELS", str(directory))
    wheel(directory, "markupsafe", version, tag="cp314-cp314-wasm32_wasi")
    with pytest.raises(eryx.ConfigError, match=f"{name} cannot be read: it is not the wheel"):
        build(links, ["markupsafe"])
    # Without the file, the error has the version and the command.
    (directory / name).unlink()
    (links / "markupsafe-99-cp314-cp314-linux_x86_64.whl").write_bytes(b"")
    advice = f"take markupsafe {version}, .*`cargo xtask native markupsafe`.*target/native/wheels"
    with pytest.raises(eryx.ConfigError, match=advice):
        build(links, ["markupsafe"])
    # Wheels that are not known are not taken from there.
    wheel(directory, "eryx_other", "1.0")
    with pytest.raises(eryx.ConfigError, match="there is no project eryx-other"):
        build(links, ["eryx-other"])
