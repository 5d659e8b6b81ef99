"""Run untrusted Python with exactly the network you grant.

>>> import eryx
>>> sandbox = eryx.Sandbox(network=eryx.NetConfig(allowed_hosts=["api.example.com"]))
>>> print(sandbox.execute("print('Hello from ' + __import__('sys').platform)").stdout)
Hello from wasi
<BLANKLINE>
"""

import atexit as _atexit
import os as _os

from . import _eryx
from ._errors import (
    CancelledError,
    ConfigError,
    EryxError,
    ExecutionError,
    HostResourceError,
    ImageError,
    ResourceLimitError,
    SessionClosedError,
    TimeoutError,
)
from ._eryx import (
    ConnectionReport,
    Display,
    ExecuteResult,
    HttpRequestReport,
    HttpRule,
    NetConfig,
    NetworkEvent,
    NetworkReport,
    Refusals,
    ResourceLimits,
    Sandbox,
    SandboxFactory,
    Secret,
    Session,
    Verdict,
    __version__,
)

__all__ = [
    "CancelledError",
    "ConfigError",
    "ConnectionReport",
    "Display",
    "EryxError",
    "ExecuteResult",
    "ExecutionError",
    "HostResourceError",
    "HttpRequestReport",
    "HttpRule",
    "ImageError",
    "NetConfig",
    "NetworkEvent",
    "NetworkReport",
    "Refusals",
    "ResourceLimitError",
    "ResourceLimits",
    "Sandbox",
    "SandboxFactory",
    "Secret",
    "Session",
    "SessionClosedError",
    "TimeoutError",
    "Verdict",
    "__version__",
]

# The machine code is a separate file, so that processes share its pages.
_eryx._set_precompiled_path(_os.path.join(_os.path.dirname(__file__), "eryx-guest.cwasm"))
_atexit.register(_eryx._shutdown)
