"""The socket type: CPython's `_socket.socket`, in blocking, timed and non-blocking mode."""

from __future__ import annotations

import contextlib
import operator
import os
import warnings
from typing import Any

from . import descriptors, names, socket_constants, socket_options
from .buffers import octets, plain, writable
from .datagram_socket import DatagramSocket, check_protocol
from .descriptors import find
from .failures import failure, gaierror, herror
from .host import LARGEST_READ, LARGEST_WRITE
from .mailbox import Datagram
from .socket_constants import (
    AF_INET,
    AF_INET6,
    AF_UNIX,
    IPPROTO_IPV6,
    IPPROTO_TCP,
    IPPROTO_UDP,
    IPV6_V6ONLY,
    MSG_DONTWAIT,
    MSG_NOSIGNAL,
    MSG_OOB,
    MSG_PEEK,
    MSG_TRUNC,
    MSG_WAITALL,
    SO_ACCEPTCONN,
    SO_DOMAIN,
    SO_ERROR,
    SO_PROTOCOL,
    SO_TYPE,
    SOCK_CLOEXEC,
    SOCK_DGRAM,
    SOCK_NONBLOCK,
    SOCK_STREAM,
    SOL_SOCKET,
    SOMAXCONN,
)
from .stream_socket import StreamSocket, check_supported
from .timeouts import Deadline, getdefaulttimeout, nanoseconds, seconds

SockAddr = Any


class socket:  # noqa: N801 - CPython's name
    """A socket: `socket(family=AF_INET, type=SOCK_STREAM, proto=0, fileno=None)`.

    TCP can be made, and UDP where the embedder allows it (see `socketpair` for Unix pairs); with
    `fileno`, the object takes over a descriptor that `detach` or `dup` gave.
    """

    __slots__ = ("_family", "_fd", "_nanoseconds", "_proto", "_timeout", "_type")

    _fd: int
    _family: int
    _type: int
    _proto: int
    _timeout: float | None
    _nanoseconds: int | None

    def __new__(cls, *args: Any, **kwargs: Any) -> socket:
        self = object.__new__(cls)
        self._fd = -1
        self._family = self._type = self._proto = 0
        self._timeout = self._nanoseconds = None
        return self

    def __init__(
        self, family: int = -1, type: int = -1, proto: int = -1, fileno: int | None = None
    ) -> None:
        self._set_timeout(getdefaulttimeout())
        if fileno is None:
            self._create(
                AF_INET if family == -1 else int(family),
                SOCK_STREAM if type == -1 else int(type),
                0 if proto == -1 else int(proto),
            )
        else:
            self._adopt(family, type, proto, fileno)

    def _create(self, family: int, kind: int, proto: int) -> None:
        flags = kind & (SOCK_NONBLOCK | SOCK_CLOEXEC)
        kind &= ~flags
        made: StreamSocket | DatagramSocket
        if kind == SOCK_DGRAM and family in (AF_INET, AF_INET6):
            check_protocol(proto)
            made = DatagramSocket(family, proto)
        else:
            check_supported(family, kind, proto)
            made = StreamSocket(family, proto)
        self._fd = descriptors.opened(made)
        self._family, self._type, self._proto = family, kind, proto
        if flags & SOCK_NONBLOCK:
            self._set_timeout(0.0)

    def _adopt(self, family: int, kind: int, proto: int, fileno: Any) -> None:
        if isinstance(fileno, float):
            raise TypeError("integer argument expected, got float")
        if not isinstance(fileno, int):
            raise TypeError(f"'{type(fileno).__name__}' object cannot be interpreted as an integer")
        if fileno < 0:
            raise ValueError("negative file descriptor")
        found = find(fileno)
        if not isinstance(found, (StreamSocket, DatagramSocket)):
            try:
                os.fstat(fileno)
            except (OSError, OverflowError):
                raise failure("EBADF") from None
            raise failure("ENOTSOCK")
        self._fd = fileno
        self._family = found.family if family == -1 else int(family)
        self._type = found.kind if kind == -1 else int(kind) & ~(SOCK_NONBLOCK | SOCK_CLOEXEC)
        self._proto = found.proto if proto == -1 else int(proto)

    def __del__(self) -> None:
        fd = getattr(self, "_fd", -1)
        if fd == -1:
            return
        try:
            warnings.warn(f"unclosed {self!r}", ResourceWarning, source=self, stacklevel=2)
        finally:
            # Somebody may have closed the descriptor beneath it.
            with contextlib.suppress(OSError):
                socket.close(self)

    def __repr__(self) -> str:
        return (
            f"<socket object, fd={self._fd}, family={int(self._family)}, type={int(self._type)}, "
            f"proto={int(self._proto)}>"
        )

    def _open(self) -> StreamSocket | DatagramSocket:
        found = find(self._fd)
        if found is None:
            raise failure("EBADF")
        # `_adopt` takes nothing else.
        assert isinstance(found, (StreamSocket, DatagramSocket))
        return found

    def _stream(self) -> StreamSocket:
        found = self._open()
        if isinstance(found, DatagramSocket):
            raise failure("EOPNOTSUPP")
        return found

    # What it is.

    @property
    def family(self) -> int:
        """the socket family"""
        return self._family

    @property
    def type(self) -> int:
        """the socket type"""
        return self._type

    @property
    def proto(self) -> int:
        """the socket protocol"""
        return self._proto

    @property
    def timeout(self) -> float | None:
        """the socket timeout"""
        return self._timeout

    def fileno(self) -> int:
        """The descriptor, -1 once closed or detached."""
        return self._fd

    def detach(self) -> int:
        """Give up the descriptor without closing it, and return it."""
        fd, self._fd = self._fd, -1
        return fd

    def close(self) -> None:
        """Close; the host's side is given back at once, unless a duplicate lives on."""
        fd, self._fd = self._fd, -1
        if fd != -1:
            descriptors.close(fd)

    # Waiting.

    def _set_timeout(self, timeout: float | None) -> None:
        self._timeout = timeout
        self._nanoseconds = nanoseconds(timeout)

    def settimeout(self, timeout: float | None, /) -> None:
        """Set the timeout of each operation in seconds; 0 never blocks, None waits without a
        timeout.
        """
        limit = seconds(timeout)
        self._open()
        self._set_timeout(limit)

    def gettimeout(self) -> float | None:
        """The timeout of each operation in seconds."""
        return self._timeout

    def setblocking(self, flag: bool, /) -> None:
        """`settimeout(None)` or `settimeout(0)`."""
        self._open()
        self._set_timeout(None if flag else 0.0)

    def getblocking(self) -> bool:
        """Whether operations may block."""
        return self._timeout != 0.0

    # Addresses.

    def _address(self, address: Any, caller: str) -> tuple[str, int]:
        """Take apart what `connect` and `bind` are given, with CPython's complaints."""
        version = "AF_INET" if self._family == AF_INET else "AF_INET6"
        if not isinstance(address, tuple):
            raise TypeError(f"{caller}(): {version} address must be tuple, not {_kind(address)}")
        longest = 2 if self._family == AF_INET else 4
        if not 2 <= len(address) <= longest:
            form = (
                "a pair (host, port)"
                if longest == 2
                else "a tuple (host, port[, flowinfo[, scopeid]])"
            )
            raise TypeError(f"{version} address must be {form}")
        host, port = address[:2]
        if not isinstance(port, int):
            raise TypeError(f"'{_kind(port)}' object cannot be interpreted as an integer")
        if not 0 <= port <= 0xFFFF:
            raise OverflowError(f"{caller}(): port must be 0-65535.")
        if len(address) > 2 and not 0 <= address[2] <= 0xFFFFF:
            raise OverflowError(f"{caller}(): flowinfo must be 0-1048575.")
        if len(address) > 3 and address[3]:
            raise failure(
                "ENODEV", "there are no network interfaces, so no scope ids, in a sandbox"
            )
        name = names.encoded(host)
        if not name:
            name = "0.0.0.0" if self._family == AF_INET else "::"
        elif name == "<broadcast>" and self._family == AF_INET:
            name = "255.255.255.255"
        return name, int(port)

    def _shown(self, found: tuple[str, int] | None) -> SockAddr:
        if self._family == AF_UNIX:
            return ""
        if found is None:
            found = ("0.0.0.0" if self._family == AF_INET else "::", 0)
        address, port = found
        if ":" in address:
            return address, port, 0, 0
        if self._family == AF_INET6:
            return "::ffff:" + address, port, 0, 0
        return address, port

    def getsockname(self) -> SockAddr:
        """This side's address."""
        return self._shown(self._open().local())

    def getpeername(self) -> SockAddr:
        """The peer's address. Raises OSError(ENOTCONN)."""
        return self._shown(self._open().peer())

    # Connecting and listening.

    def connect(self, address: SockAddr, /) -> None:
        """Connect to (host, port). The host's policy decides; a refusal is PermissionError and says
        why.
        """
        opened = self._open()
        if self._family == AF_UNIX:
            raise failure("EISCONN")
        opened.connect(*self._address(address, "connect"), self._nanoseconds)

    def connect_ex(self, address: SockAddr, /) -> int:
        """Like `connect`, but returns the error number, 0 for success."""
        try:
            # Not `self.connect`: a subclass's own, ssl's above all, would be entered again.
            socket.connect(self, address)
        except (gaierror, herror):
            raise
        except TimeoutError as failed:
            # CPython reports its own timeout as a would-block.
            return failed.errno or failure("EAGAIN").errno or 0
        except OSError as failed:
            if failed.errno is None:
                raise
            return failed.errno
        return 0

    def bind(self, address: SockAddr, /) -> None:
        """Take an address for an in-guest listener, or port 0 before a connect."""
        opened = self._open()
        if self._family == AF_UNIX:
            raise failure("EINVAL")
        name, port = self._address(address, "bind")
        own = names.own_addresses(name, self._family)
        if own:
            name = own[0]
        elif names.literal_family(name) is None:
            # No other name can be an address of this machine.
            names.getaddrinfo(
                name, port, self._family, opened.kind, 0, socket_constants.AI_NUMERICHOST
            )
        opened.bind(name, port)

    def listen(self, backlog: int = SOMAXCONN, /) -> None:
        """Accept connections from inside the guest."""
        if not isinstance(backlog, int):
            raise TypeError(f"'{_kind(backlog)}' object cannot be interpreted as an integer")
        if not -(1 << 31) <= backlog < 1 << 31:
            raise OverflowError("Python int too large to convert to C int")
        self._stream().listen(int(backlog))

    def _accept(self) -> tuple[int, SockAddr]:
        """The descriptor and peer of the next connection."""
        accepted = self._stream().accept(self._nanoseconds)
        return descriptors.opened(accepted), self._shown(accepted.peer())

    def shutdown(self, how: int, /) -> None:
        """End receiving (SHUT_RD), sending (SHUT_WR) or both (SHUT_RDWR)."""
        opened = self._open()
        if not -(1 << 31) <= how < 1 << 31:
            raise OverflowError("Python int too large to convert to C int")
        if how not in (0, 1, 2):
            raise failure("EINVAL")
        if isinstance(opened, DatagramSocket):
            opened.shutdown(int(how))
        elif opened.listener is not None:
            opened.listener.close()
        else:
            opened.connected().shutdown(int(how))

    # Receiving.

    def _receive(self, size: int, flags: int) -> bytes:
        opened = self._open()
        flags = operator.index(flags)
        if isinstance(opened, DatagramSocket):
            return self._datagram(opened, size, flags).data
        channel = opened.connected()
        if size == 0:
            return b""
        # What the guest asks for never becomes the size of an allocation.
        size = min(size, LARGEST_READ)
        if not flags:
            return channel.read(size, self._nanoseconds)
        if flags & MSG_OOB:
            raise failure("EINVAL")
        limit = 0 if flags & MSG_DONTWAIT else self._nanoseconds
        if flags & ~(MSG_PEEK | MSG_DONTWAIT | MSG_WAITALL | MSG_NOSIGNAL):
            raise failure("EOPNOTSUPP")
        if flags & MSG_PEEK:
            return channel.peek(size, limit)
        if not flags & MSG_WAITALL:
            return channel.read(size, limit)
        deadline = Deadline(limit)
        received = bytearray()
        while len(received) < size:
            try:
                part = channel.read(size - len(received), deadline.left())
            except OSError:
                if received:
                    break
                raise
            if not part:
                break
            received += part
        return bytes(received)

    def _datagram(self, opened: DatagramSocket, size: int, flags: int) -> Datagram:
        if flags & ~(MSG_PEEK | MSG_DONTWAIT | MSG_WAITALL | MSG_NOSIGNAL):
            raise failure("EOPNOTSUPP")
        limit = 0 if flags & MSG_DONTWAIT else self._nanoseconds
        if flags & MSG_PEEK:
            return opened.peek(size, limit)
        return opened.receive(size, limit)

    def _receive_from(self, size: int, flags: int) -> tuple[bytes, int, SockAddr]:
        opened = self._open()
        if not isinstance(opened, DatagramSocket):
            return self._receive(size, flags), 0, None
        datagram = self._datagram(opened, size, flags)
        cut = MSG_TRUNC if datagram.size > len(datagram.data) else 0
        return datagram.data, cut, self._shown(datagram.source)

    def recv(self, bufsize: int, flags: int = 0, /) -> bytes:
        """Receive up to `bufsize` bytes, at most 1 MiB at a time; none at the end of the stream."""
        opened = find(self._fd)
        if (
            opened.__class__ is StreamSocket
            and opened.channel is not None
            and bufsize.__class__ is int
            and 0 < bufsize <= LARGEST_READ
            and flags == 0
        ):
            # What nearly every call is: nothing is done as often as this and sending.
            return opened.channel.read(bufsize, self._nanoseconds)
        bufsize = operator.index(bufsize)
        if bufsize < 0:
            raise ValueError("negative buffersize in recv")
        return self._receive(bufsize, flags)

    def recv_into(self, buffer: Any, nbytes: int = 0, flags: int = 0) -> int:
        """Receive into a buffer; returns how many bytes."""
        nbytes = operator.index(nbytes)
        if buffer.__class__ is memoryview and not nbytes and plain(buffer):
            # What a file made of the socket hands in.
            data = socket.recv(self, buffer.nbytes, flags)
            size = len(data)
            buffer[:size] = data
            return size
        with writable(buffer, "recv_into()") as view:
            if nbytes < 0:
                raise ValueError("negative buffersize in recv_into")
            if nbytes > len(view):
                raise ValueError("buffer too small for requested bytes")
            data = self._receive(nbytes or len(view), flags)
            view[: len(data)] = data
            return len(data)

    def recvfrom(self, bufsize: int, flags: int = 0, /) -> tuple[bytes, SockAddr]:
        """Receive, with the address of whom it is from; that of a stream's peer is None."""
        bufsize = operator.index(bufsize)
        if bufsize < 0:
            raise ValueError("negative buffersize in recvfrom")
        data, _, source = self._receive_from(bufsize, flags)
        return data, source

    def recvfrom_into(self, buffer: Any, nbytes: int = 0, flags: int = 0) -> tuple[int, SockAddr]:
        """Receive into a buffer; the address of a stream's peer is None."""
        nbytes = operator.index(nbytes)
        with writable(buffer, "recvfrom_into()") as view:
            if nbytes < 0:
                raise ValueError("negative buffersize in recvfrom_into")
            if nbytes > len(view):
                raise ValueError("nbytes is greater than the length of the buffer")
            data, _, source = self._receive_from(nbytes or len(view), flags)
            view[: len(data)] = data
            return len(data), source

    # Sending.

    def _send(self, data: bytes, flags: int, limit: int | None) -> int:
        opened = find(self._fd)
        if opened.__class__ is StreamSocket and opened.channel is not None and flags == 0:
            return opened.channel.write(data, limit)
        opened = self._open()
        flags = operator.index(flags)
        if flags:
            if flags & ~(MSG_DONTWAIT | MSG_NOSIGNAL):
                raise failure("EOPNOTSUPP")
            if flags & MSG_DONTWAIT:
                limit = 0
        if isinstance(opened, DatagramSocket):
            return opened.send(data, limit)
        if opened.channel is None:
            raise failure("EPIPE")
        return opened.channel.write(data, limit)

    def send(self, data: Any, flags: int = 0, /) -> int:
        """Send; returns how many bytes were taken, at most 256 KiB at a time."""
        return self._send(octets(data, LARGEST_WRITE), flags, self._nanoseconds)

    def sendall(self, data: Any, flags: int = 0, /) -> None:
        """Send everything, within one timeout."""
        if data.__class__ is not bytes:
            data = octets(data)
        sent = 0
        size = len(data)
        if size <= LARGEST_WRITE:
            opened = find(self._fd)
            if opened.__class__ is StreamSocket and opened.channel is not None and flags == 0:
                sent = opened.channel.write(data, self._nanoseconds)
            else:
                sent = self._send(data, flags, self._nanoseconds)
            if sent == size:
                return
        deadline = Deadline(self._nanoseconds)
        with memoryview(data) as view:
            while sent < size:
                part = bytes(view[sent : sent + LARGEST_WRITE])
                sent += self._send(part, flags, deadline.left())

    def sendto(self, data: Any, *rest: Any) -> int:
        """Send to (host, port), with flags before it if need be; a stream ignores the address.

        The host's policy decides; a refusal is PermissionError and says why.
        """
        if not 1 <= len(rest) <= 2:
            raise TypeError(f"sendto() takes 2 or 3 arguments ({len(rest) + 1} given)")
        flags = operator.index(rest[0]) if len(rest) == 2 else 0
        if not isinstance(self._open(), DatagramSocket):
            return socket.send(self, data, flags)
        return self._send_to(octets(data, LARGEST_WRITE), flags, rest[-1])

    def _send_to(self, data: bytes, flags: int, address: SockAddr) -> int:
        opened = self._open()
        assert isinstance(opened, DatagramSocket)  # the callers have asked
        if flags & ~(MSG_DONTWAIT | MSG_NOSIGNAL):
            raise failure("EOPNOTSUPP")
        limit = 0 if flags & MSG_DONTWAIT else self._nanoseconds
        return opened.send_to(data, *self._address(address, "sendto"), limit)

    # Messages: there is no ancillary data, and a stream has no addresses, either.

    def sendmsg(
        self, buffers: Any, ancdata: Any = (), flags: int = 0, address: Any = None, /
    ) -> int:
        """Send buffers one after another; returns how many bytes were taken."""
        gathered = bytearray()
        for each in buffers:
            gathered += octets(each, LARGEST_WRITE - len(gathered))
        flags = operator.index(flags)
        if address is not None:
            self._address(address, "sendmsg")
        _refuse_control(ancdata)
        if address is not None and isinstance(self._open(), DatagramSocket):
            return self._send_to(bytes(gathered), flags, address)
        return socket.send(self, bytes(gathered), flags)

    def recvmsg(
        self, bufsize: int, ancbufsize: int = 0, flags: int = 0, /
    ) -> tuple[bytes, list[Any], int, SockAddr]:
        """Receive: data, no ancillary data, MSG_TRUNC for a cut datagram, and its address."""
        bufsize = operator.index(bufsize)
        if bufsize < 0:
            raise ValueError("negative buffer size in recvmsg()")
        _check_control_size(ancbufsize, "recvmsg()")
        data, cut, source = self._receive_from(bufsize, operator.index(flags))
        return data, [], cut, source

    def recvmsg_into(
        self, buffers: Any, ancbufsize: int = 0, flags: int = 0, /
    ) -> tuple[int, list[Any], int, SockAddr]:
        """Receive into buffers one after another."""
        views = [writable(each, "recvmsg_into()") for each in buffers]
        _check_control_size(ancbufsize, "recvmsg_into()")
        flags = operator.index(flags)
        data, cut, source = self._receive_from(sum(map(len, views)), flags)
        at = 0
        for view in views:
            part = data[at : at + len(view)]
            view[: len(part)] = part
            at += len(part)
        return len(data), [], cut, source

    # Options.

    def setsockopt(self, level: int, option: int, value: Any, optlen: int | None = None, /) -> None:
        """Set an option. Raises OSError(ENOPROTOOPT) for one that would have no effect."""
        opened = self._open()
        if optlen is not None:
            if value is not None:
                raise TypeError(f"setsockopt() argument 3 must be None, not {_kind(value)}")
            value = bytes(min(optlen, 64))
        elif not isinstance(value, int):
            value = octets(value)
        elif not -(1 << 31) <= value < 1 << 31:
            raise OverflowError("signed integer is out of range")
        if level == IPPROTO_IPV6 and option == IPV6_V6ONLY and opened.binding is not None:
            raise failure("EINVAL")
        if level == IPPROTO_TCP and isinstance(opened, DatagramSocket):
            raise failure("ENOPROTOOPT")
        told = opened.options.put(level, option, value)
        if told is not None and opened.channel is not None:
            kept = opened.options.get(level, option)
            assert isinstance(kept, int)
            opened.channel.set_option(told, kept)

    def getsockopt(self, level: int, option: int, buflen: int = 0, /) -> int | bytes:
        """An option as an integer, or as up to `buflen` bytes."""
        opened = self._open()
        if not 0 <= buflen <= 1024:
            raise OSError("getsockopt buflen out of range")
        value: int | bytes
        if level == SOL_SOCKET and option == SO_ERROR:
            value = opened.take_error()
        elif level == SOL_SOCKET and option in _FIXED:
            value = {
                SO_TYPE: opened.kind,
                SO_DOMAIN: opened.family,
                SO_PROTOCOL: _protocol(opened),
                SO_ACCEPTCONN: int(opened.listener is not None),
            }[option]
        elif level == IPPROTO_TCP and isinstance(opened, DatagramSocket):
            raise failure("ENOPROTOOPT")
        else:
            value = opened.options.get(level, option)
        if buflen:
            return socket_options.packed(value)[:buflen]
        if isinstance(value, bytes):
            return int.from_bytes(value[:4], "little")
        return value


socket.__module__ = "_socket"

_FIXED = (SO_TYPE, SO_DOMAIN, SO_PROTOCOL, SO_ACCEPTCONN)


def _protocol(opened: StreamSocket | DatagramSocket) -> int:
    if isinstance(opened, DatagramSocket):
        return IPPROTO_UDP
    return 0 if opened.family == AF_UNIX else IPPROTO_TCP


def _refuse_control(items: Any) -> None:
    """Check the ancillary data of `sendmsg` as CPython does, and refuse any."""
    items = list(items)
    for item in items:
        if not isinstance(item, tuple) or len(item) != 3:
            raise TypeError("sendmsg() ancillary data items must be tuples of three")
        level, kind, data = item
        operator.index(level)
        operator.index(kind)
        octets(data)
    if len(items) > 1:
        raise OSError("sending multiple control messages not supported on this system")
    if items:
        raise failure("EOPNOTSUPP", "ancillary data cannot be sent in a sandbox")


def _check_control_size(size: int, name: str) -> None:
    if operator.index(size) < 0:
        raise ValueError(f"invalid ancillary data buffer length in {name}")


def _kind(value: object) -> str:
    return type(value).__name__
