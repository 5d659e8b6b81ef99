"""What can go wrong."""

from __future__ import annotations

import builtins
from typing import Any as _Any

from ._eryx import NetworkReport as _NetworkReport


class EryxError(Exception):
    """What every exception of this package is."""

    __module__ = "eryx"


class _EndedError(EryxError):
    """An execution that did not run to its end.

    Attributes:
        stdout: what the program had printed on standard output, a str.
        stderr: what it had printed on standard error, a str.
        network: what it had done on the network, a :class:`NetworkReport`.
        execution: the number of the execution, an int, as in ``ExecuteResult.execution``; 0 if it
            did not begin.
        duration_ms: how long it took, in milliseconds: a float.
        peak_memory_bytes: the most memory the interpreter used at once, an int.
        peak_host_memory_bytes: the most this process kept for the program at once, an int.
    """

    __module__ = "eryx"

    def __init__(
        self,
        text: str,
        *,
        stdout: str = "",
        stderr: str = "",
        network: _NetworkReport | None = None,
        execution: int = 0,
        duration_ms: float = 0.0,
        peak_memory_bytes: int = 0,
        peak_host_memory_bytes: int = 0,
    ) -> None:
        super().__init__(text)
        self.stdout = stdout
        self.stderr = stderr
        self.network = (
            network if network is not None else _NetworkReport._restore(([], [], 0, 0, 0))
        )
        self.execution = execution
        self.duration_ms = duration_ms
        self.peak_memory_bytes = peak_memory_bytes
        self.peak_host_memory_bytes = peak_host_memory_bytes


class ExecutionError(_EndedError):
    """The program raised an exception, exited with a status other than 0, or does not compile.

    The untrusted program chose ``exception_type``, ``message`` and ``traceback``: each may be
    anything, line feeds and the escape sequences of terminals included. ``str()`` of this
    exception, and what an uncaught one prints, have those escaped.

    Attributes:
        exception_type: the exception's type: ``ValueError``, or with its module
            (``json.decoder.JSONDecodeError``). A program can name a type of its own like any other.
            ``None`` when the interpreter itself gave up, as
            after ``os.abort()``.
        message: ``str()`` of the exception.
        traceback: the traceback as the interpreter prints it; empty for ``SystemExit``.
        exit_status: the status of ``SystemExit``, an int; ``None`` for any other exception.
        stdout: what the program had printed on standard output, a str.
        stderr: what it had printed on standard error, a str.
        network: what it had done on the network, a :class:`NetworkReport`.
        execution: the number of the execution, an int, as in ``ExecuteResult.execution``; 0 if it
            did not begin.
        duration_ms: how long it took, in milliseconds: a float.
        peak_memory_bytes: the most memory the interpreter used at once, an int.
        peak_host_memory_bytes: the most this process kept for the program at once, an int.

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
        **left: _Any,
    ) -> None:
        super().__init__(text, **left)
        self.exception_type = exception_type
        self.message = message
        self.traceback = traceback
        self.exit_status = exit_status
        if traceback and hasattr(self, "add_note"):
            # Left uncaught, it shows where in the program it happened.
            self.add_note(_printable(traceback.rstrip("\n")))


def _printable(text: str) -> str:
    """``text`` in its lines, with what a terminal would act on escaped."""
    return "".join(
        one if one.isprintable() or one in "\n\t" else one.encode("unicode_escape").decode()
        for one in text
    )


class TimeoutError(_EndedError, builtins.TimeoutError):  # noqa: A001, RUF100
    """The execution took longer than ``ResourceLimits.execution_timeout_ms``.

    The built-in ``TimeoutError`` is one of its bases.

    Attributes:
        stdout: what the program had printed on standard output, a str.
        stderr: what it had printed on standard error, a str.
        network: what it had done on the network, a :class:`NetworkReport`.
        execution: the number of the execution, an int, as in ``ExecuteResult.execution``; 0 if it
            did not begin.
        duration_ms: how long it took, in milliseconds: a float.
        peak_memory_bytes: the most memory the interpreter used at once, an int.
        peak_host_memory_bytes: the most this process kept for the program at once, an int.

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
    """The program wanted more memory, output, stack or memory of this process than it may have.

    Attributes:
        limit: which limit, ``"max_memory_bytes"``, ``"max_output_bytes"``,
            ``"max_host_memory_bytes"`` or ``"stack"``.
        stdout: what the program had printed on standard output, a str.
        stderr: what it had printed on standard error, a str.
        network: what it had done on the network, a :class:`NetworkReport`.
        execution: the number of the execution, an int, as in ``ExecuteResult.execution``; 0 if it
            did not begin.
        duration_ms: how long it took, in milliseconds: a float.
        peak_memory_bytes: the most memory the interpreter used at once, an int.
        peak_host_memory_bytes: the most this process kept for the program at once, an int.

    >>> import eryx
    >>> try:
    ...     eryx.Sandbox().execute("x = bytearray(2**30)")
    ... except eryx.ResourceLimitError as error:
    ...     print(error.limit)
    max_memory_bytes
    """

    __module__ = "eryx"

    def __init__(self, text: str, *, limit: str = "", **left: _Any) -> None:
        super().__init__(text, **left)
        self.limit = limit


class CancelledError(_EndedError):
    """``cancel`` was called while the program ran.

    Attributes:
        stdout: what the program had printed on standard output, a str.
        stderr: what it had printed on standard error, a str.
        network: what it had done on the network, a :class:`NetworkReport`.
        execution: the number of the execution, an int, as in ``ExecuteResult.execution``; 0 if it
            did not begin.
        duration_ms: how long it took, in milliseconds: a float.
        peak_memory_bytes: the most memory the interpreter used at once, an int.
        peak_host_memory_bytes: the most this process kept for the program at once, an int.

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


class ConfigError(EryxError, ValueError):
    """A setting cannot be honoured. The text names it and says what would be right.

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


class HostResourceError(EryxError):
    """This machine or process lacks what a sandbox needs. The text says which limit was met.

    The same call succeeds once the resource is to be had.

    Attributes:
        resource: what is missing: ``"file descriptors"``, ``"memory"`` (address space included),
            ``"threads"``, ``"file size"``, ``"disk space"`` or ``"signal handlers"``.

    >>> import eryx
    >>> try:
    ...     result = eryx.Sandbox().execute("pass")
    ... except eryx.HostResourceError as error:
    ...     print(f"try again later, or raise the limit: {error}")
    """

    __module__ = "eryx"

    def __init__(self, text: str, *, resource: str = "") -> None:
        super().__init__(text)
        self.resource = resource
