"""Modules that are already imported when a sandbox starts."""

import importlib

import wit_world
from componentize_py_types import Err

from eryx_guest import runner

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


def preload(imports: list[str]) -> None:
    """Import `imports` for a snapshot. Raises `Err(Raised)` with the first exception."""
    for name in imports:
        try:
            importlib.import_module(name)
        except BaseException as error:
            raised: wit_world.Raised = runner.describe(error)
            raise Err(raised) from None
