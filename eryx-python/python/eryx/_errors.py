"""The exceptions of the package."""

from __future__ import annotations

import builtins

from ._eryx import ChangedFiles as _ChangedFiles
from ._eryx import FunctionReport as _FunctionReport
from ._eryx import NetworkReport as _NetworkReport

# Type checkers take this for true. Importing `typing` takes as long as the rest of the package.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any as _Any
    from typing import Literal as _Literal

    _Limit = _Literal["max_memory_bytes", "max_output_bytes", "max_host_memory_bytes", "stack", ""]
    _Resource = _Literal[
        "file descriptors", "memory", "threads", "file size", "disk space", "signal handlers", ""
    ]


class EryxError(Exception):
    """The base class of all exceptions of this package."""

    __module__ = "eryx"


# Each class of an execution that did not run to its end has this at the end of its docstring.
_ENDED_ATTRIBUTES = """
Attributes of each execution that did not run to its end:
    stdout: the standard output of the program until then, a str.
    stderr: its standard error until then, a str.
    network: its network activity until then, a :class:`NetworkReport`.
    files: what it changed of its files until then, a :class:`ChangedFiles`.
    function_calls: its calls of functions until then, a :class:`FunctionReport`.
    execution: the number of the execution, an int, as in ``ExecuteResult.execution``; 0 if it did
        not start.
    duration_ms: its duration in milliseconds, a float.
    peak_memory_bytes: the peak memory of the interpreter, an int.
    peak_host_memory_bytes: the peak of the memory that this process used on behalf of the program,
        an int.
"""


class _EndedError(EryxError):
    """An execution that did not run to its end."""

    __module__ = "eryx"

    def __init_subclass__(cls, **arguments: _Any) -> None:
        super().__init_subclass__(**arguments)
        doc = cls.__doc__
        if cls.__module__ == "eryx" and doc:
            # From CPython 3.13 on, the compiler removes the indentation of docstrings.
            indent = doc[doc.rindex("\n") + 1 :]
            cls.__doc__ = doc + _ENDED_ATTRIBUTES.replace("\n", "\n" + indent)

    def __init__(
        self,
        text: str,
        *,
        stdout: str = "",
        stderr: str = "",
        network: _NetworkReport | None = None,
        files: _ChangedFiles | None = None,
        function_calls: _FunctionReport | None = None,
        execution: int = 0,
        duration_ms: float = 0.0,
        peak_memory_bytes: int = 0,
        peak_host_memory_bytes: int = 0,
    ) -> None:
        super().__init__(text)
        self.stdout = stdout
        self.stderr = stderr
        self.network = network if network is not None else _NetworkReport._empty()
        self.files = files if files is not None else _ChangedFiles._empty()
        self.function_calls = (
            function_calls if function_calls is not None else _FunctionReport._empty()
        )
        self.execution = execution
        self.duration_ms = duration_ms
        self.peak_memory_bytes = peak_memory_bytes
        self.peak_host_memory_bytes = peak_host_memory_bytes


class ExecutionError(_EndedError):
    """The program raised an exception, exited with a status other than 0, or does not compile.

    The untrusted program chose ``exception_type``, ``message`` and ``traceback``: they may contain
    any characters, line feeds and terminal escape sequences included. ``str()`` of this exception
    and the traceback of an uncaught one escape them.

    Attributes:
        exception_type: the type of the exception: ``ValueError``, or with its module
            (``json.decoder.JSONDecodeError``). A program can give its own type any name. ``None``
            if the interpreter itself crashed, as after ``os.abort()``.
        message: ``str()`` of the exception.
        traceback: the traceback as the interpreter prints it; empty for ``SystemExit``.
        exit_status: the status of ``SystemExit``, an int; ``None`` for any other exception.

    >>> import eryx
    >>> try:
    ...     eryx.Sandbox().execute("print('so far'); {}['key']")
    ... except eryx.ExecutionError as error:
    ...     print(error.exception_type, error.message, error.exit_status, error.stdout)
    KeyError 'key' None so far
    <BLANKLINE>
    """

    __module__ = "eryx"

    def __init__(
        self,
        text: str,
        *,
        exception_type: str | None = None,
        message: str = "",
        traceback: str = "",
        exit_status: int | None = None,
        **ended: _Any,
    ) -> None:
        super().__init__(text, **ended)
        self.exception_type = exception_type
        self.message = message
        self.traceback = traceback
        self.exit_status = exit_status
        if traceback and hasattr(self, "add_note"):
            # The traceback of an uncaught exception then shows the line of the program.
            self.add_note(_printable(traceback.rstrip("\n")))


def _printable(text: str) -> str:
    """Return `text` with control characters escaped, except line feeds and tabs."""
    return "".join(
        char if char.isprintable() or char in "\n\t" else char.encode("unicode_escape").decode()
        for char in text
    )


class TimeoutError(_EndedError, builtins.TimeoutError):  # noqa: A001, RUF100
    """The execution took longer than ``ResourceLimits.execution_timeout_ms``.

    It is also a built-in ``TimeoutError``.

    >>> import eryx
    >>> sandbox = eryx.Sandbox(resource_limits=eryx.ResourceLimits(execution_timeout_ms=100))
    >>> try:
    ...     sandbox.execute("print('begun', flush=True)\\nwhile True: pass")
    ... except TimeoutError as error:
    ...     print(error.stdout)
    begun
    <BLANKLINE>
    """

    __module__ = "eryx"


class ResourceLimitError(_EndedError):
    """The execution exceeded a limit: memory, output, host memory or stack.

    Attributes:
        limit: the limit, ``"max_memory_bytes"``, ``"max_output_bytes"``,
            ``"max_host_memory_bytes"`` or ``"stack"``.

    >>> import eryx
    >>> try:
    ...     eryx.Sandbox().execute("x = bytearray(2**30)")
    ... except eryx.ResourceLimitError as error:
    ...     print(error.limit)
    max_memory_bytes
    """

    __module__ = "eryx"

    def __init__(self, text: str, *, limit: _Limit = "", **ended: _Any) -> None:
        super().__init__(text, **ended)
        self.limit = limit


class CancelledError(_EndedError):
    """The execution was cancelled with ``cancel``.

    See :meth:`Sandbox.cancel` for an example.
    """

    __module__ = "eryx"


class SessionClosedError(EryxError):
    """The session is closed, or an earlier execution ended it.

    >>> import eryx
    >>> session = eryx.Sandbox().session()
    >>> try:
    ...     session.execute("import os; os.abort()")
    ... except eryx.ExecutionError:
    ...     pass
    >>> try:
    ...     session.execute("pass")
    ... except eryx.SessionClosedError:
    ...     print("a new one is needed")
    a new one is needed
    """

    __module__ = "eryx"


class SnapshotError(EryxError):
    """A session cannot be forked or saved, or a snapshot cannot be restored.

    >>> import eryx
    >>> try:
    ...     eryx.Sandbox().restore(b"something else")
    ... except eryx.SnapshotError as error:
    ...     print(str(error)[:44])
    these bytes are not a snapshot of a session:
    """

    __module__ = "eryx"


class ConfigError(EryxError, ValueError):
    """A setting is invalid. The message names it and says what to write instead.

    >>> import eryx
    >>> try:
    ...     eryx.NetConfig(allowed_hosts=["api.*.com"])
    ... except eryx.ConfigError as error:
    ...     print(str(error)[:45])
    allowed_hosts: `api.*.com` is not a host patt
    """

    __module__ = "eryx"


class ImageError(EryxError):
    """The guest image cannot be loaded: the installation is damaged, or this machine cannot run it.

    >>> import eryx
    >>> try:
    ...     sandbox = eryx.Sandbox()
    ... except eryx.ImageError as error:
    ...     print(f"reinstall eryx: {error}")
    """

    __module__ = "eryx"


class HostResourceError(_EndedError):
    """The machine or the process lacks a resource that a sandbox needs. The message names it, and
    the limits in force.

    The same call succeeds once the resource is available, unless a program of a session had
    started, which then ended its session.

    Attributes:
        resource: the missing resource: ``"file descriptors"``, ``"memory"`` (also address
            space), ``"threads"``, ``"file size"``, ``"disk space"`` or ``"signal handlers"``.

    >>> import eryx
    >>> try:
    ...     result = eryx.Sandbox().execute("pass")
    ... except eryx.HostResourceError as error:
    ...     print(f"try again later, or raise the limit: {error}")
    """

    __module__ = "eryx"

    def __init__(self, text: str, *, resource: _Resource = "", **ended: _Any) -> None:
        super().__init__(text, **ended)
        self.resource = resource
