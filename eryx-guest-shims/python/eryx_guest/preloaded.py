"""Modules that are already imported when a sandbox starts."""

import importlib
import sys

import wit_world
from componentize_py_types import Err

from eryx_guest import heap, runner

# What programs that use the network import. Imported while the image is built they cost nothing
# later.
MODULES = (
    "abc",
    "array",
    "ast",
    "asyncio",
    "base64",
    "bisect",
    "collections.abc",
    "concurrent.futures",
    "contextlib",
    "copy",
    "csv",
    "dataclasses",
    "datetime",
    "decimal",
    "email.message",
    "email.parser",
    "email.utils",
    "encodings.idna",
    "enum",
    "errno",
    "fractions",
    "functools",
    "gzip",
    "hashlib",
    "heapq",
    "hmac",
    "html",
    "http.client",
    "http.cookiejar",
    "http.cookies",
    "inspect",
    "io",
    "ipaddress",
    "itertools",
    "json",
    "linecache",
    "logging",
    "math",
    "mimetypes",
    "operator",
    "os",
    "pathlib",
    "pickle",
    "pprint",
    "queue",
    "quopri",
    "random",
    "re",
    "secrets",
    "select",
    "selectors",
    "shutil",
    "signal",
    "socket",
    "ssl",
    "statistics",
    "string",
    "struct",
    "subprocess",
    "tempfile",
    "textwrap",
    "threading",
    "time",
    "traceback",
    "types",
    "typing",
    "unicodedata",
    "urllib.error",
    "urllib.parse",
    "urllib.request",
    "urllib.response",
    "uuid",
    "warnings",
    "weakref",
    "zlib",
    "_eryx_async",
)


def load() -> None:
    """Import `MODULES`."""
    for name in MODULES:
        importlib.import_module(name)


def preload(paths: list[str], imports: list[str], setup: bytes | None) -> None:
    """Import and run for a snapshot. Raises `Err(Raised)` with the first exception."""
    sys.path[:] = paths
    raised: wit_world.Raised | None = None
    importing = None
    try:
        importlib.invalidate_caches()
        for importing in imports:
            importlib.import_module(importing)
        importing = None
        if setup is not None:
            runner.set_up(setup)
    except BaseException as error:
        raised = runner.describe(error)
        if importing is not None:
            raised.message += f" (while importing {importing}{_advice(error)})"
    if raised is not None:
        raise Err(raised)
    heap.settle()


def _advice(error: BaseException) -> str:
    if isinstance(error, ModuleNotFoundError):
        return "; give the factory the package that has it"
    return ""
