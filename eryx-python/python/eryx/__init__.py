"""Run untrusted Python with exactly the network you grant.

>>> import eryx
>>> sandbox = eryx.Sandbox(network=eryx.NetConfig(allowed_hosts=["api.example.com"]))
>>> print(sandbox.execute("print('Hello from ' + __import__('sys').platform)").stdout)
Hello from wasi
<BLANKLINE>
"""

import atexit as _atexit
import os as _os

# Not of `collections.abc`, whose import takes as long as that of the whole package.
from _collections_abc import Mapping as _Mapping

from . import _eryx, _other_distribution
from ._errors import (
    CancelledError,
    ConfigError,
    EryxError,
    ExecutionError,
    HostResourceError,
    ImageError,
    ResourceLimitError,
    SessionClosedError,
    SnapshotError,
    TimeoutError,
)
from ._eryx import (
    ChangedFiles,
    ConnectionReport,
    Display,
    ExecuteResult,
    Files,
    FunctionCall,
    FunctionReport,
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
    SessionFiles,
    Verdict,
    __version__,
)

__all__ = [
    "CancelledError",
    "ChangedFiles",
    "ConfigError",
    "ConnectionReport",
    "Display",
    "EryxError",
    "ExecuteResult",
    "ExecutionError",
    "Files",
    "FunctionCall",
    "FunctionReport",
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
    "SessionFiles",
    "SnapshotError",
    "TimeoutError",
    "Verdict",
    "__version__",
]

_other_distribution.warn(_os.path.dirname(__file__))

_Mapping.register(ChangedFiles)
_Mapping.register(SessionFiles)

# The machine code is a separate file, so that processes share its pages.
_eryx._set_precompiled_path(_os.path.join(_os.path.dirname(__file__), "eryx-guest.cwasm"))
_eryx._set_native_wheels(_os.path.join(_os.path.dirname(__file__), "native"))
_atexit.register(_eryx._shutdown)
