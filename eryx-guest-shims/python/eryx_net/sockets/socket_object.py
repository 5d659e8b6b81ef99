"""CPython's `_socket.socket`, in blocking, timed and non-blocking mode."""

from __future__ import annotations

import contextlib
import operator
import os
import struct
import sys
import warnings
from typing import Any

from .. import descriptors
from ..addresses import LOOPBACK
from ..buffers import is_plain_bytes, to_bytes, writable_view
from ..descriptors import find
from ..destination import Destination
from ..dns.name_functions import address_infos
from ..errors import gaierror, herror, os_error
from ..host import LARGEST_READ, LARGEST_WRITE
from ..loopback.datagram_queue import Datagram
from ..socket_constants import (
    AF_INET,
    AF_INET6,
    AF_UNIX,
    AI_NUMERICHOST,
    IPPROTO_IPV6,
    IPPROTO_TCP,
    IPPROTO_UDP,
    IPV6_V6ONLY,
    MSG_CONFIRM,
    MSG_DONTROUTE,
    MSG_DONTWAIT,
    MSG_EOR,
    MSG_MORE,
    MSG_NOSIGNAL,
    MSG_OOB,
    MSG_PEEK,
    MSG_TRUNC,
    MSG_WAITALL,
    SHUT_WR,
    SO_ACCEPTCONN,
    SO_DOMAIN,
    SO_ERROR,
    SO_LINGER,
    SO_PROTOCOL,
    SO_RCVTIMEO,
    SO_SNDTIMEO,
    SO_TYPE,
    SOCK_CLOEXEC,
    SOCK_DGRAM,
    SOCK_NONBLOCK,
    SOCK_STREAM,
    SOL_SOCKET,
    SOMAXCONN,
)
from ..timeouts import Deadline, getdefaulttimeout, nanoseconds, seconds
from . import options
from .socket_address import SockAddr, check_path, format_address, parse_address, type_name
from .stream_socket import StreamSocket, check_supported
from .udp_socket import UdpSocket, check_protocol


class socket:  # noqa: N801 - CPython's name
    """A socket: `socket(family=AF_INET, type=SOCK_STREAM, proto=0, fileno=None)`.

    It is a TCP socket, or a UDP socket if the embedder allows UDP (see `socketpair` for Unix socket
    pairs). With `fileno`, the object owns a descriptor that `detach` or `dup` returned.
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
        sys.audit("socket.__new__", self, family, type, proto)
        self._timeout = getdefaulttimeout()
        self._nanoseconds = nanoseconds(self._timeout)
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
        description: StreamSocket | UdpSocket
        if kind == SOCK_DGRAM and family in (AF_INET, AF_INET6):
            check_protocol(proto)
            description = UdpSocket(family, proto)
        else:
            check_supported(family, kind, proto)
            description = StreamSocket(family, proto)
        self._fd = descriptors.allocate(description)
        self._family, self._type, self._proto = family, kind, proto
        if flags & SOCK_NONBLOCK:
            self._set_timeout(0.0)
        elif self._timeout is not None:
            description.blocking = False

    def _adopt(self, family: int, kind: int, proto: int, fileno: Any) -> None:
        if isinstance(fileno, float):
            raise TypeError("integer argument expected, got float")
        if not isinstance(fileno, int):
            raise TypeError(f"'{type(fileno).__name__}' object cannot be interpreted as an integer")
        if fileno < 0:
            raise ValueError("negative file descriptor")
        description = find(fileno)
        if not isinstance(description, (StreamSocket, UdpSocket)):
            try:
                os.fstat(fileno)
            except (OSError, OverflowError):
                raise os_error("EBADF") from None
            raise os_error("ENOTSOCK")
        self._fd = fileno
        self._family = description.family if family == -1 else int(family)
        self._type = description.kind if kind == -1 else int(kind) & ~(SOCK_NONBLOCK | SOCK_CLOEXEC)
        self._proto = description.proto if proto == -1 else int(proto)

    def __del__(self) -> None:
        fd = getattr(self, "_fd", -1)
        if fd == -1:
            return
        try:
            warnings.warn(f"unclosed {self!r}", ResourceWarning, source=self, stacklevel=2)
        finally:
            # The program may have closed the descriptor itself.
            with contextlib.suppress(OSError):
                socket.close(self)

    def __repr__(self) -> str:
        return (
            f"<socket object, fd={self._fd}, family={int(self._family)}, type={int(self._type)}, "
            f"proto={int(self._proto)}>"
        )

    def _description(self) -> StreamSocket | UdpSocket:
        description = find(self._fd)
        if description is None:
            raise os_error("EBADF")
        # `_adopt` accepts no other class.
        assert isinstance(description, (StreamSocket, UdpSocket))
        return description

    def _stream(self) -> StreamSocket:
        description = self._description()
        if isinstance(description, UdpSocket):
            raise os_error("EOPNOTSUPP")
        return description

    # Attributes.

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
        """Returns the descriptor, -1 after the socket was closed or detached."""
        return self._fd

    def detach(self) -> int:
        """Returns the descriptor and no longer owns it. Does not close it."""
        fd, self._fd = self._fd, -1
        return fd

    def close(self) -> None:
        """Closes the socket. The host's connection stays open as long as a duplicate is open."""
        fd, self._fd = self._fd, -1
        if fd != -1:
            descriptors.close(fd)

    # Timeouts.

    def _set_timeout(self, timeout: float | None) -> None:
        self._timeout = timeout
        self._nanoseconds = nanoseconds(timeout)
        description = find(self._fd)
        if description is not None and description.blocking != (timeout is None):
            # As on CPython, the kernel's flag is off for a timeout too: `os.read` does not wait.
            description.blocking = timeout is None
            description.update_time_limits()

    def settimeout(self, timeout: float | None, /) -> None:
        """Sets the timeout of each operation in seconds.

        With 0 no operation blocks, with None operations wait for ever.
        """
        checked = seconds(timeout)
        self._description()
        self._set_timeout(checked)

    def gettimeout(self) -> float | None:
        """Returns the timeout of each operation in seconds."""
        return self._timeout

    def setblocking(self, flag: bool, /) -> None:
        """Calls `settimeout(None)` if `flag` is true, otherwise `settimeout(0)`."""
        self._description()
        self._set_timeout(None if flag else 0.0)

    def getblocking(self) -> bool:
        """Returns whether operations may block."""
        return self._timeout != 0.0

    # Addresses.

    def getsockname(self) -> SockAddr:
        """Returns the local address."""
        return format_address(self._description().local_address(), self._family)

    def getpeername(self) -> SockAddr:
        """Returns the peer's address. Raises OSError(ENOTCONN)."""
        return format_address(self._description().peer_address(), self._family)

    # Connecting and listening.

    def connect(self, address: SockAddr, /) -> None:
        """Connects to (host, port).

        Raises PermissionError, with the reason, if the policy denies the destination.
        """
        if self._family == AF_UNIX:
            check_path(address)
            self._description()
            raise os_error("ENOENT", "No such file or directory")
        destination, port = parse_address(address, self._family, "connect")
        sys.audit("socket.connect", self, address)
        self._description().connect(destination, port, self._nanoseconds)

    def connect_ex(self, address: SockAddr, /) -> int:
        """Like `connect`, but returns the error number, 0 on success."""
        try:
            # Not `self.connect`: a method of a subclass, as in `ssl`, would be entered again.
            socket.connect(self, address)
        except (gaierror, herror):
            raise
        except TimeoutError as error:
            # CPython reports its own timeout as EAGAIN.
            return error.errno or os_error("EAGAIN").errno or 0
        except OSError as error:
            if error.errno is None:
                raise
            return error.errno
        return 0

    def bind(self, address: SockAddr, /) -> None:
        """Binds to the address of a listener inside the sandbox, or to port 0 before a connect."""
        if self._family == AF_UNIX:
            check_path(address)
            self._description()
            raise os_error("EINVAL")
        destination, port = parse_address(address, self._family, "bind")
        sys.audit("socket.bind", self, address)
        description = self._description()
        name = destination.host
        if destination.family is None:
            if destination.loopback:
                name = LOOPBACK.get(self._family, LOOPBACK[AF_INET])
            else:
                # No other name resolves to an address of this sandbox: raises gaierror.
                address_infos(name, port, self._family, description.kind, 0, AI_NUMERICHOST)
        description.bind(name, port)

    def listen(self, backlog: int = SOMAXCONN, /) -> None:
        """Listens for connections of this program."""
        if not isinstance(backlog, int):
            raise TypeError(f"'{type_name(backlog)}' object cannot be interpreted as an integer")
        if not -(1 << 31) <= backlog < 1 << 31:
            raise OverflowError("Python int too large to convert to C int")
        self._stream().listen(int(backlog))

    def _accept(self) -> tuple[int, SockAddr]:
        """Returns the descriptor and the peer of the next connection."""
        accepted = self._stream().accept(self._nanoseconds)
        return descriptors.allocate(accepted), format_address(accepted.peer_address(), self._family)

    def shutdown(self, how: int, /) -> None:
        """Shuts down receiving (SHUT_RD), sending (SHUT_WR) or both (SHUT_RDWR)."""
        how = _index(how)
        if not -(1 << 31) <= how < 1 << 31:
            raise OverflowError("Python int too large to convert to C int")
        description = self._description()
        if how not in (0, 1, 2):
            raise os_error("EINVAL")
        if isinstance(description, UdpSocket):
            description.shutdown(how)
        elif description.listener is not None:
            if how != SHUT_WR:
                description.stop_listening()
        else:
            description.connected().shutdown(how)

    # Receiving.

    def _receive(self, size: int, flags: int) -> bytes:
        flags = operator.index(flags)
        description = self._description()
        if isinstance(description, UdpSocket):
            return self._datagram(description, size, flags).data
        if description.channel is None:
            if description.listener is not None:
                description.wait_as_listener(self._nanoseconds)
            elif description.connect_failed:
                return b""
        channel = description.connected()
        if size == 0:
            return b""
        # The program does not choose the size of an allocation.
        size = min(size, LARGEST_READ)
        if not flags:
            return channel.read(size, self._nanoseconds)
        timeout = self._flag_timeout(flags)
        if flags & MSG_OOB:
            if timeout:
                # CPython waits for readiness before it receives.
                channel.peek(1, timeout)
            raise os_error("EINVAL")
        if flags & ~(MSG_PEEK | MSG_DONTWAIT | MSG_WAITALL | MSG_NOSIGNAL):
            raise os_error("EOPNOTSUPP")
        if flags & MSG_PEEK:
            return channel.peek(size, timeout)
        if not flags & MSG_WAITALL:
            return channel.read(size, timeout)
        deadline = Deadline(timeout)
        received = bytearray()
        while len(received) < size:
            try:
                part = channel.read(size - len(received), deadline.remaining())
            except OSError:
                if received:
                    break
                raise
            if not part:
                break
            received += part
        return bytes(received)

    def _flag_timeout(self, flags: int) -> int | None:
        """Returns the timeout of an operation with flags, in nanoseconds.

        MSG_DONTWAIT has no effect on a socket with a timeout: CPython waits before the operation.
        """
        return 0 if flags & MSG_DONTWAIT and self._nanoseconds is None else self._nanoseconds

    def _datagram(self, udp: UdpSocket, size: int, flags: int) -> Datagram:
        if flags & ~(MSG_PEEK | MSG_DONTWAIT | MSG_WAITALL | MSG_NOSIGNAL):
            raise os_error("EOPNOTSUPP")
        timeout = self._flag_timeout(flags)
        if flags & MSG_PEEK:
            return udp.peek(size, timeout)
        return udp.receive(size, timeout)

    def _receive_from(self, size: int, flags: int) -> tuple[bytes, int, SockAddr]:
        """Returns data, MSG_TRUNC if a datagram was truncated, and the source."""
        description = self._description()
        if not isinstance(description, UdpSocket):
            return self._receive(size, flags), 0, None
        datagram = self._datagram(description, size, flags)
        truncated = MSG_TRUNC if datagram.size > len(datagram.data) else 0
        return datagram.data, truncated, format_address(datagram.source, self._family)

    def recv(self, bufsize: int, flags: int = 0, /) -> bytes:
        """Receives up to `bufsize` bytes, at most 1 MiB; none at the end of the stream."""
        description = find(self._fd)
        if (
            description.__class__ is StreamSocket
            and description.channel is not None
            and bufsize.__class__ is int
            and 0 < bufsize <= LARGEST_READ
            and flags == 0
        ):
            # The common case, inlined: receiving and sending are the most frequent operations.
            return description.channel.read(bufsize, self._nanoseconds)
        bufsize = operator.index(bufsize)
        if bufsize < 0:
            raise ValueError("negative buffersize in recv")
        # CPython does not call the system for no bytes.
        return self._receive(bufsize, flags) if bufsize else b""

    def recv_into(self, buffer: Any, nbytes: int = 0, flags: int = 0) -> int:
        """Receives into a buffer; returns the number of bytes."""
        nbytes = operator.index(nbytes)
        if buffer.__class__ is memoryview and not nbytes and is_plain_bytes(buffer):
            # The common case: `socket.makefile` passes such a view.
            data = socket.recv(self, buffer.nbytes, flags)
            size = len(data)
            buffer[:size] = data
            return size
        with writable_view(buffer, "recv_into()") as view:
            if nbytes < 0:
                raise ValueError("negative buffersize in recv_into")
            if nbytes > len(view):
                raise ValueError("buffer too small for requested bytes")
            size = nbytes or len(view)
            data = self._receive(size, flags) if size else b""
            view[: len(data)] = data
            return len(data)

    def recvfrom(self, bufsize: int, flags: int = 0, /) -> tuple[bytes, SockAddr]:
        """Receives; returns the data and the source address, None for a stream."""
        bufsize = operator.index(bufsize)
        if bufsize < 0:
            raise ValueError("negative buffersize in recvfrom")
        data, _, source = self._receive_from(bufsize, flags)
        return data, source

    def recvfrom_into(self, buffer: Any, nbytes: int = 0, flags: int = 0) -> tuple[int, SockAddr]:
        """Receives into a buffer; returns the number of bytes and the source address."""
        nbytes = operator.index(nbytes)
        with writable_view(buffer, "recvfrom_into()") as view:
            if nbytes < 0:
                raise ValueError("negative buffersize in recvfrom_into")
            if nbytes > len(view):
                raise ValueError("nbytes is greater than the length of the buffer")
            data, _, source = self._receive_from(nbytes or len(view), flags)
            view[: len(data)] = data
            return len(data), source

    # Sending.

    def _send(self, data: bytes, flags: int, timeout: int | None) -> int:
        description = find(self._fd)
        if description.__class__ is StreamSocket and description.channel is not None and flags == 0:
            return description.channel.write(data, timeout)
        description = self._description()
        flags = operator.index(flags)
        if flags:
            hints = _DATAGRAM_HINTS if isinstance(description, UdpSocket) else _STREAM_HINTS
            if flags & ~(MSG_DONTWAIT | MSG_NOSIGNAL | hints):
                raise os_error("EOPNOTSUPP")
            if flags & MSG_DONTWAIT and timeout is None:
                timeout = 0
        if isinstance(description, UdpSocket):
            return description.send(data, timeout)
        if description.channel is None:
            if description.listener is not None:
                description.wait_as_listener(timeout)
            raise os_error("EPIPE")
        return description.channel.write(data, timeout)

    def send(self, data: Any, flags: int = 0, /) -> int:
        """Sends; returns the number of bytes accepted, at most 256 KiB."""
        return self._send(to_bytes(data, LARGEST_WRITE), flags, self._nanoseconds)

    def sendall(self, data: Any, flags: int = 0, /) -> None:
        """Sends all of `data` within one timeout."""
        if data.__class__ is not bytes:
            data = to_bytes(data)
        sent = 0
        size = len(data)
        if size <= LARGEST_WRITE:
            description = find(self._fd)
            if (
                description.__class__ is StreamSocket
                and description.channel is not None
                and flags == 0
            ):
                sent = description.channel.write(data, self._nanoseconds)
            else:
                sent = self._send(data, flags, self._nanoseconds)
            if sent == size:
                return
        deadline = Deadline(self._nanoseconds)
        with memoryview(data) as view:
            while sent < size:
                part = bytes(view[sent : sent + LARGEST_WRITE])
                sent += self._send(part, flags, deadline.remaining())

    def sendto(self, data: Any, *rest: Any) -> int:
        """Sends to an address: `sendto(data, address)` or `sendto(data, flags, address)`.

        A stream ignores the address. Raises PermissionError, with the reason, if the policy denies
        the destination.
        """
        if not 1 <= len(rest) <= 2:
            raise TypeError(f"sendto() takes 2 or 3 arguments ({len(rest) + 1} given)")
        data = to_bytes(data, LARGEST_WRITE)
        flags = operator.index(rest[0]) if len(rest) == 2 else 0
        if self._type != SOCK_DGRAM:
            if self._family == AF_UNIX:
                check_path(rest[-1])
                self._description()
                raise os_error("EISCONN")
            parse_address(rest[-1], self._family, "sendto")
            sys.audit("socket.sendto", self, rest[-1])
            return socket.send(self, data, flags)
        destination, port = parse_address(rest[-1], self._family, "sendto")
        sys.audit("socket.sendto", self, rest[-1])
        return self._send_to(data, flags, destination, port)

    def _send_to(self, data: bytes, flags: int, destination: Destination, port: int) -> int:
        description = self._description()
        assert isinstance(description, UdpSocket)  # checked by the callers
        if flags & ~(MSG_DONTWAIT | MSG_NOSIGNAL | _DATAGRAM_HINTS):
            raise os_error("EOPNOTSUPP")
        return description.send_to(data, destination, port, self._flag_timeout(flags))

    # Messages: without ancillary data, and for a stream without addresses.

    def sendmsg(
        self, buffers: Any, ancdata: Any = (), flags: int = 0, address: Any = None, /
    ) -> int:
        """Sends the contents of several buffers; returns the number of bytes accepted."""
        gathered = bytearray()
        for buffer in buffers:
            gathered += to_bytes(buffer, LARGEST_WRITE - len(gathered))
        flags = operator.index(flags)
        parsed = parse_address(address, self._family, "sendmsg") if address is not None else None
        _reject_ancillary_data(ancdata)
        sys.audit("socket.sendmsg", self, address)
        if parsed is not None and isinstance(self._description(), UdpSocket):
            return self._send_to(bytes(gathered), flags, *parsed)
        return socket.send(self, bytes(gathered), flags)

    def recvmsg(
        self, bufsize: int, ancbufsize: int = 0, flags: int = 0, /
    ) -> tuple[bytes, list[Any], int, SockAddr]:
        """Receives; returns data, no ancillary data, flags (MSG_TRUNC) and the source address."""
        bufsize = operator.index(bufsize)
        if bufsize < 0:
            raise ValueError("negative buffer size in recvmsg()")
        _check_ancillary_size(ancbufsize, "recvmsg()")
        data, truncated, source = self._receive_from(bufsize, operator.index(flags))
        return data, [], truncated, source

    def recvmsg_into(
        self, buffers: Any, ancbufsize: int = 0, flags: int = 0, /
    ) -> tuple[int, list[Any], int, SockAddr]:
        """Receives into several buffers; otherwise like `recvmsg`."""
        views = [writable_view(buffer, "recvmsg_into()") for buffer in buffers]
        _check_ancillary_size(ancbufsize, "recvmsg_into()")
        flags = operator.index(flags)
        data, truncated, source = self._receive_from(sum(map(len, views)), flags)
        position = 0
        for view in views:
            part = data[position : position + len(view)]
            view[: len(part)] = part
            position += len(part)
        return len(data), [], truncated, source

    # Options.

    def setsockopt(self, level: int, option: int, value: Any, optlen: int | None = None, /) -> None:
        """Sets an option. Raises OSError(ENOPROTOOPT) for an option that does not exist here."""
        level, option = _index(level), _index(option)
        if optlen is not None:
            if value is not None:
                raise TypeError(f"setsockopt() argument 3 must be None, not {type_name(value)}")
            value = bytes(min(optlen, 64))
        elif not isinstance(value, int):
            value = to_bytes(value)
        elif not -(1 << 31) <= value < 1 << 31:
            raise OverflowError("signed integer is out of range")
        description = self._description()
        is_v6only = (level, option, self._family) == (IPPROTO_IPV6, IPV6_V6ONLY, AF_INET6)
        if is_v6only and description.binding is not None:
            raise os_error("EINVAL")
        chosen = description.options
        host_option = chosen.put(level, option, value)
        if host_option == "time_limits":
            description.update_time_limits()
        elif host_option is not None and description.channel is not None:
            stored = (
                int(chosen.resets_on_close) if option == SO_LINGER else chosen.get(level, option)
            )
            assert isinstance(stored, int)
            description.channel.set_option(host_option, stored)

    def getsockopt(self, level: int, option: int, buflen: int = 0, /) -> int | bytes:
        """Returns an option as an integer, or as up to `buflen` bytes."""
        level, option = _index(level), _index(option)
        if not 0 <= buflen <= 1024:
            raise OSError("getsockopt buflen out of range")
        description = self._description()
        value: int | bytes
        if level == SOL_SOCKET and option == SO_ERROR:
            value = description.take_error()
        elif level == SOL_SOCKET and option in _READ_ONLY:
            value = {
                SO_TYPE: description.kind,
                SO_DOMAIN: description.family,
                SO_PROTOCOL: _protocol(description),
                SO_ACCEPTCONN: int(description.listener is not None),
            }[option]
        elif level == SOL_SOCKET and option in (SO_RCVTIMEO, SO_SNDTIMEO) and buflen == 8:
            # The `timeval` of a 32-bit system, whose longs `struct` packs here.
            seconds, microseconds = struct.unpack("<qq", _bytes(description, option))
            value = struct.pack("<ii", min(seconds, (1 << 31) - 1), microseconds)
        else:
            value = description.options.get(level, option)
        if buflen:
            return options.pack(value)[:buflen]
        if isinstance(value, bytes):
            return int.from_bytes(value[:4], "little")
        return value


socket.__module__ = "_socket"

_READ_ONLY = (SO_TYPE, SO_DOMAIN, SO_PROTOCOL, SO_ACCEPTCONN)


# Hints about when and how to send, which the host may ignore.
_STREAM_HINTS = MSG_MORE | MSG_DONTROUTE | MSG_EOR | MSG_CONFIRM
_DATAGRAM_HINTS = MSG_DONTROUTE | MSG_CONFIRM


def _bytes(description: StreamSocket | UdpSocket, option: int) -> bytes:
    value = description.options.get(SOL_SOCKET, option)
    assert isinstance(value, bytes)  # a structure
    return value


def _index(value: Any) -> int:
    """Returns an argument that has to be an integer. Raises CPython's TypeError."""
    if isinstance(value, int):
        return int(value)
    return operator.index(value)


def _protocol(description: StreamSocket | UdpSocket) -> int:
    if isinstance(description, UdpSocket):
        return IPPROTO_UDP
    return 0 if description.family == AF_UNIX else IPPROTO_TCP


def _reject_ancillary_data(items: Any) -> None:
    """Checks the ancillary data of `sendmsg` as CPython does. Raises OSError if there is any."""
    items = list(items)
    for item in items:
        if not isinstance(item, tuple) or len(item) != 3:
            raise TypeError("sendmsg() ancillary data items must be tuples of three")
        level, kind, data = item
        operator.index(level)
        operator.index(kind)
        to_bytes(data)
    if len(items) > 1:
        raise OSError("sending multiple control messages not supported on this system")
    if items:
        raise os_error("EOPNOTSUPP", "ancillary data cannot be sent in a sandbox")


def _check_ancillary_size(size: int, name: str) -> None:
    if operator.index(size) < 0:
        raise ValueError(f"invalid ancillary data buffer length in {name}")
