"""The system log, which a sandbox lacks: messages are written to standard error."""

import os
import sys
from typing import Any

LOG_EMERG, LOG_ALERT, LOG_CRIT, LOG_ERR, LOG_WARNING, LOG_NOTICE, LOG_INFO, LOG_DEBUG = range(8)
LOG_KERN, LOG_USER, LOG_MAIL, LOG_DAEMON, LOG_AUTH, LOG_SYSLOG, LOG_LPR, LOG_NEWS = range(0, 64, 8)
LOG_UUCP, LOG_CRON, LOG_AUTHPRIV, LOG_FTP = range(64, 96, 8)
LOG_LOCAL0, LOG_LOCAL1, LOG_LOCAL2, LOG_LOCAL3 = range(128, 160, 8)
LOG_LOCAL4, LOG_LOCAL5, LOG_LOCAL6, LOG_LOCAL7 = range(160, 192, 8)
LOG_PID, LOG_CONS, LOG_ODELAY, LOG_NDELAY, LOG_NOWAIT, LOG_PERROR = 1, 2, 4, 8, 16, 32

_ident: str | None = None
_option = 0
_mask = 0xFF


def _default_ident() -> str:
    return os.path.basename(sys.argv[0]) if sys.argv and sys.argv[0] else ""


def openlog(ident: str | None = None, logoption: int = 0, facility: int = LOG_USER) -> None:
    """Set logging options of subsequent syslog() calls."""
    global _ident, _option
    sys.audit("syslog.openlog", ident, logoption, facility)
    _ident = _default_ident() if ident is None else ident
    _option = logoption


def closelog() -> None:
    """Reset the syslog module values and call the system library closelog()."""
    global _ident, _option, _mask
    sys.audit("syslog.closelog")
    _ident, _option, _mask = None, 0, 0xFF


def syslog(*arguments: Any) -> None:
    """Write the string message to standard error: a sandbox has no system logger."""
    if len(arguments) not in (1, 2):
        raise TypeError("syslog.syslog requires 1 to 2 arguments")
    priority, message = (LOG_INFO, arguments[0]) if len(arguments) == 1 else arguments
    if not isinstance(message, str):
        raise TypeError(f"argument must be str, not {type(message).__name__}")
    sys.audit("syslog.syslog", priority, message)
    if _ident is None:
        openlog()
    if not _mask & LOG_MASK(priority & 7):
        return
    ident = f"{_ident}[{os.getpid()}]" if _option & LOG_PID else _ident
    print(f"{ident}: {message}" if ident else message, file=sys.stderr)


def setlogmask(maskpri: int, /) -> int:
    """Set the priority mask to maskpri and return the previous mask value."""
    global _mask
    sys.audit("syslog.setlogmask", maskpri)
    previous = _mask
    if maskpri:
        _mask = maskpri
    return previous


def LOG_MASK(pri: int, /) -> int:
    """Calculates the mask for the individual priority pri."""
    return 1 << pri


def LOG_UPTO(pri: int, /) -> int:
    """Calculates the mask for all priorities up to and including pri."""
    return (1 << (pri + 1)) - 1
