"""CPython's network modules for a guest whose network is the host's.

`_socket`, `_ssl` and `select` are replaced by Python over the imports of `eryx:net`; everything
above them (`socket`, `ssl`, `selectors`, `asyncio`, `http.client`, ...) stays CPython's own,
unmodified.

Call `install()` before anything imports `socket`, and that is all there is to it:

    import eryx_net
    eryx_net.install()
    import wit_world

Nothing here is a security boundary. The host decides what the guest may reach; these modules only
make it look like CPython.
"""

from __future__ import annotations

import importlib
import sys

__all__ = ["install"]

_MODULES = ("_socket", "_ssl", "select")
_USERS = ("asyncio", "selectors", "socket", "ssl")


def install() -> None:
    """Put the modules in place, and an event loop that waits in the host.

    Raises RuntimeError when one of the modules that use them was imported before: it would keep
    what it found then.
    """
    early = [name for name in _USERS if name in sys.modules]
    if early:
        raise RuntimeError(f"eryx_net.install() has to run before anything imports {early[0]!r}")
    for name in _MODULES:
        sys.modules[name] = importlib.import_module("." + name, __name__)
    importlib.import_module(".event_loop", __name__).install()
    importlib.import_module(".inheritance", __name__).install()
    sys.modules["_eryx_async"] = importlib.import_module("._eryx_async", __name__)
