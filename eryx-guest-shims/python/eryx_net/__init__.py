"""CPython's network modules for a guest program, over the network of the host.

Python modules over the imports of `eryx:net` replace `_socket`, `_ssl` and `select`. All modules
above them (`socket`, `ssl`, `selectors`, `asyncio`, `http.client`, ...) are CPython's own,
unmodified.

Call `install()` before any module imports `socket`:

    import eryx_net
    eryx_net.install()
    import wit_world

Nothing here is a security boundary. The host decides which peers a program may reach; these modules
only behave like CPython's.
"""

from __future__ import annotations

import importlib
import sys

__all__ = ["install"]

_MODULES = ("_socket", "_ssl", "select")
_DEPENDENTS = ("asyncio", "selectors", "socket", "ssl")


def install() -> None:
    """Installs the modules, and an event loop that waits in the host.

    Raises RuntimeError if a module that uses them is already imported, as that module would keep
    the ones it imported.
    """
    early = [name for name in _DEPENDENTS if name in sys.modules]
    if early:
        raise RuntimeError(f"eryx_net.install() has to run before anything imports {early[0]!r}")
    for name in _MODULES:
        sys.modules[name] = importlib.import_module("." + name, __name__)
    importlib.import_module(".event_loop", __name__).install()
    importlib.import_module(".sockets.os_functions", __name__).install()
    sys.modules["_eryx_async"] = importlib.import_module("._eryx_async", __name__)
