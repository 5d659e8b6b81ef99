"""The build backend `mesonpy` for sandboxes: builds wheels of packages that Meson compiles.

The environment has what setuptools reads for modules in C (`CC`, `CXX`, `LDSHARED`,
`SETUPTOOLS_EXT_SUFFIX`, `SOURCE_DATE_EPOCH`), and `ERYX_NATIVE_DIR`, the folder of this build.
"""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

from wheel_file import Sources, get_requires_for_build_wheel, prepare_metadata_for_build_wheel

__all__ = ["build_wheel", "get_requires_for_build_wheel", "prepare_metadata_for_build_wheel"]

# The options of packages.
OPTIONS = {"numpy": ["-Dblas=none", "-Dlapack=none"]}

# The options of the compiler for C in packages. numpy gives a type its table of methods while it
# runs, so that the linker of factories does not find it. The function without arguments gets both
# parameters that CPython passes.
COMPILER_OPTIONS_OF_PACKAGES = {
    "numpy": ["-Dgentype___copy__(self)=gentype___copy__(self, PyObject *unused)"],
}

# What Meson cannot find out by running programs, and where it finds the tools.
CROSS_FILE = """\
[binaries]
c = '{tools}/wasi-cc'
cpp = '{tools}/wasi-c++'
ar = '{tools}/wasi-ar'
python = '{tools}/python'

[built-in options]
c_args = {c_options}
cpp_args = {options}

[properties]
needs_exe_wrapper = true
skip_sanity_check = true
longdouble_format = 'IEEE_QUAD_LE'

[host_machine]
system = 'wasi'
cpu_family = 'wasm32'
cpu = 'wasm32'
endian = 'little'
"""

# Strict C hides the functions of POSIX. Sandboxes have the instructions for 128 bits, and the flags
# of floating-point errors that code sets itself, which the headers of WASI do not have.
COMPILER_OPTIONS = [
    "-D_GNU_SOURCE",
    "-msimd128",
    "-DFE_INVALID=1",
    "-DFE_DIVBYZERO=4",
    "-DFE_OVERFLOW=8",
    "-DFE_UNDERFLOW=16",
]

# A compiler for Meson, which also links modules with it: that is the linker's work here.
COMPILER = """\
#!/bin/sh
links=
for argument; do
    if [ "$argument" = -shared ]; then links=1; fi
done
if [ -z "$links" ]; then exec {compiler} "$@"; fi
for argument; do
    shift
    case "$argument" in
    -o | *.o | *.a | *.so) set -- "$@" "$argument" ;;
    -*) ;;
    *) echo "error: {name} cannot link $argument" >&2; exit 1 ;;
    esac
done
exec {linker} "$@"
"""

# Runs the interpreter of this machine, which then answers Meson as that of sandboxes does.
INTERPRETER = """\
#!/bin/sh
PYTHONPATH={tools} exec {python} "$@"
"""

ANSWERS = """\
import sysconfig

include = {include!r}
paths = sysconfig.get_paths
sysconfig.get_paths = lambda *names, **options: paths(*names, **options) | dict(
    include=include, platinclude=include
)
sysconfig.get_python_version = lambda: "3.14"
sysconfig.get_config_vars().update(
    EXT_SUFFIX={suffix!r}, INCLUDEPY=include, CONFINCLUDEPY=include, LIBPYTHON="", Py_GIL_DISABLED=0
)
"""


def build_wheel(
    wheel_directory: str, config_settings: object = None, metadata_directory: str | None = None
) -> str:
    """Builds the wheel. Returns its name."""
    sources = Sources.copy()
    # Beside the sources, so that their paths in machine code are relative.
    build = sources.folder.with_name(f"{sources.name}-build")
    shutil.rmtree(build, ignore_errors=True)
    tools = build / "tools"
    tools.mkdir(parents=True)
    write_tools(tools, COMPILER_OPTIONS_OF_PACKAGES.get(sources.project, []))
    program = sources.pyproject["tool"]["meson-python"]["meson"]
    setup = ["--cross-file", str(tools / "cross.txt"), "--buildtype=release"]
    # Meson's installation directories, so that the packages are at the top.
    setup += ["-Dpython.purelibdir=/", "-Dpython.platlibdir=/", "-Dpython.bytecompile=-1"]
    setup += ["-Db_ndebug=if-release", *OPTIONS.get(sources.project, ())]
    install = ["--tags=runtime,python-runtime", "--destdir", str(build / "wheel")]
    # The compilers of this machine are not needed.
    environment = {name: value for name, value in os.environ.items() if name not in ("CC", "CXX")}
    # Cython and Ninja.
    environment["PATH"] = os.pathsep.join([os.path.dirname(sys.executable), environment["PATH"]])
    for command in (["setup", str(build), *setup], ["compile"], ["install", *install]):
        folder = sources.folder if command[0] == "setup" else build
        subprocess.run(
            [sys.executable, sources.folder / program, *command],
            cwd=folder,
            env=environment,
            check=True,
        )
    files = files_of(build)
    # Of the libraries that the linker takes functions from.
    licences = Path(os.environ["ERYX_NATIVE_DIR"], "licences")
    for path in licences.glob("*/*"):
        name = path.relative_to(licences).as_posix()
        files[f"{sources.dist_info}/licenses/{name}"] = path.read_bytes()
    return sources.write_wheel(wheel_directory, files, sources.folder)


def write_tools(tools: Path, c_options: list[str]) -> None:
    """Writes the programs that Meson calls, and the cross file with their paths.

    `c_options` are the options of the package for the compiler of C.
    """
    linker = os.environ["LDSHARED"]
    programs = {}
    for name, compiler in (("wasi-cc", os.environ["CC"]), ("wasi-c++", os.environ["CXX"])):
        # Meson adds folders with headers, the package's before CPython's: both have `refcount.h`.
        words = [word for word in compiler.split() if not word.startswith("-I")]
        programs[name] = COMPILER.format(name=name, compiler=" ".join(words), linker=linker)
    zig = shlex.split(linker)[0]
    programs["wasi-ar"] = f'#!/bin/sh\nexec {zig} ar "$@"\n'
    programs["python"] = INTERPRETER.format(tools=tools, python=sys.executable)
    for name, content in programs.items():
        (tools / name).write_text(content)
        (tools / name).chmod(0o755)
    answers = ANSWERS.format(
        include=os.path.join(os.environ["ERYX_NATIVE_DIR"], "include"),
        suffix=os.environ["SETUPTOOLS_EXT_SUFFIX"],
    )
    (tools / "sitecustomize.py").write_text(answers)
    cross_file = CROSS_FILE.format(
        tools=tools, options=COMPILER_OPTIONS, c_options=COMPILER_OPTIONS + c_options
    )
    (tools / "cross.txt").write_text(cross_file)


def files_of(build: Path) -> dict[str, bytes]:
    """Returns the files that Meson installed, by their paths in the wheel."""
    root = build / "wheel"
    files = {}
    for path in sorted(root.rglob("*")):
        if path.is_file():
            content = path.read_bytes()
            if path.suffix != ".so":
                # `numpy.__config__` names the compilers.
                content = content.replace(f"{build}/".encode(), b"")
            if os.fsencode(build) in content:
                raise ValueError(f"{path.relative_to(root)} has a path of this machine")
            files[path.relative_to(root).as_posix()] = content
    return files
