"""Terminals, of which a sandbox has none: every function raises ENOTTY, as on a file."""

import errno
import os
from typing import Any, NoReturn

from eryx_net.arguments import file_descriptor


class error(Exception):
    """termios.error: a descriptor is no terminal."""


error.__module__ = "termios"

# The numbers of Linux.
TCSANOW, TCSADRAIN, TCSAFLUSH = 0, 1, 2
TCIFLUSH, TCOFLUSH, TCIOFLUSH = 0, 1, 2
TCOOFF, TCOON, TCIOFF, TCION = 0, 1, 2, 3
IGNBRK, BRKINT, IGNPAR, PARMRK, INPCK, ISTRIP = 1, 2, 4, 8, 16, 32
INLCR, IGNCR, ICRNL, IUCLC, IXON, IXANY = 64, 128, 256, 512, 1024, 2048
IXOFF, IMAXBEL, IUTF8 = 4096, 8192, 16384
OPOST, OLCUC, ONLCR, OCRNL, ONOCR, ONLRET, OFILL, OFDEL = 1, 2, 4, 8, 16, 32, 64, 128
CSIZE, CS5, CS6, CS7, CS8 = 48, 0, 16, 32, 48
CSTOPB, CREAD, PARENB, PARODD, HUPCL, CLOCAL = 64, 128, 256, 512, 1024, 2048
CRTSCTS = 0x80000000
ISIG, ICANON, XCASE, ECHO, ECHOE, ECHOK, ECHONL, NOFLSH = 1, 2, 4, 8, 16, 32, 64, 128
TOSTOP, ECHOCTL, ECHOPRT, ECHOKE, FLUSHO, PENDIN, IEXTEN = 256, 512, 1024, 2048, 4096, 16384, 32768
VINTR, VQUIT, VERASE, VKILL, VEOF, VTIME, VMIN, VSWTC = range(8)
VSTART, VSTOP, VSUSP, VEOL, VREPRINT, VDISCARD, VWERASE, VLNEXT, VEOL2 = range(8, 17)
NCCS = 32
B0, B50, B75, B110, B134, B150, B200, B300 = range(8)
B600, B1200, B1800, B2400, B4800, B9600, B19200, B38400 = range(8, 16)
B57600, B115200, B230400, B460800, B500000, B576000, B921600, B1000000 = range(4097, 4105)
TCGETS, TCSETS, TCSETSW, TCSETSF = 0x5401, 0x5402, 0x5403, 0x5404
TIOCGPGRP, TIOCSPGRP = 0x540F, 0x5410
TIOCGWINSZ, TIOCSWINSZ, TIOCSTI, FIONREAD, TIOCNOTTY = 0x5413, 0x5414, 0x5412, 0x541B, 0x5422
TIOCSCTTY, TIOCEXCL, TIOCNXCL, TIOCMGET, TIOCOUTQ, TIOCINQ = (
    0x540E,
    0x540C,
    0x540D,
    0x5415,
    0x5411,
    0x541B,
)
FIOCLEX, FIONCLEX, FIONBIO, FIOASYNC = 0x5451, 0x5450, 0x5421, 0x5452
_POSIX_VDISABLE = 0


def _refuse(fd: Any) -> NoReturn:
    number = file_descriptor(fd)
    if number > 2:
        try:
            os.fstat(number)
        except OSError as failure:
            raise error(failure.errno, failure.strerror) from None
    raise error(errno.ENOTTY, os.strerror(errno.ENOTTY))


def tcgetattr(fd: Any, /) -> list[Any]:
    """Raises error: the descriptor is no terminal."""
    _refuse(fd)


def tcsetattr(fd: Any, when: int, attributes: list[Any], /) -> None:
    """Raises error: the descriptor is no terminal."""
    _refuse(fd)


def tcsendbreak(fd: Any, duration: int, /) -> None:
    """Raises error: the descriptor is no terminal."""
    _refuse(fd)


def tcdrain(fd: Any, /) -> None:
    """Raises error: the descriptor is no terminal."""
    _refuse(fd)


def tcflush(fd: Any, queue: int, /) -> None:
    """Raises error: the descriptor is no terminal."""
    _refuse(fd)


def tcflow(fd: Any, action: int, /) -> None:
    """Raises error: the descriptor is no terminal."""
    _refuse(fd)


def tcgetwinsize(fd: Any, /) -> tuple[int, int]:
    """Raises error: the descriptor is no terminal."""
    _refuse(fd)


def tcsetwinsize(fd: Any, size: tuple[int, int], /) -> None:
    """Raises error: the descriptor is no terminal."""
    _refuse(fd)
