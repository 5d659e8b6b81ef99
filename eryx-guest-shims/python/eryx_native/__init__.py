"""CPython's modules over libraries that a WASI build does not have.

Python modules over `_eryx_native`, which is compiled from C, stand for `_bz2`, `_lzma`, `_zstd` and
`_hashlib`. All of it runs inside the sandbox, except that the host derives keys.

Call `install()` before any module imports `hashlib`, `bz2`, `lzma` or `compression.zstd`.
"""

from __future__ import annotations

import importlib
import sys
from typing import Any

from eryx_net.builtin_functions import make_built_in

__all__ = ["install"]

# The modules, and the module that CPython's own classes say they are of.
_MODULES = {
    "_bz2": "_bz2",
    "_lzma": "_lzma",
    "_zstd": "compression.zstd",
    "_hashlib": "_hashlib",
}


def _is_public(module: Any, name: str) -> bool:
    owner = getattr(getattr(module, name), "__module__", None)
    return not name.startswith("_") and owner == _MODULES[module.__name__.rpartition(".")[2]]


def install() -> None:
    """Installs the modules, and the locks of databases."""
    native: Any = importlib.import_module("_eryx_native")
    native.install_database_locks()
    for name, public in _MODULES.items():
        module = importlib.import_module("." + name, __name__)
        for value in vars(module).values():
            if getattr(value, "__module__", None) == module.__name__:
                value.__module__ = public
        make_built_in(module, name, [each for each in vars(module) if _is_public(module, each)])
        sys.modules[name] = module
