"""Fast replacements of generated bindings, over `_eryx_bindings` (`fast_bindings.wat`).

The generated bindings copy such an argument to memory that is never freed, and lose a little with
every `poll`. `install` puts ours in their place, with the same arguments in the same order, for any
object with the buffer protocol. Connections are made and given back here too, which takes a third
of the time that it takes there.
"""

from array import array
from collections.abc import Buffer
from functools import partial
from typing import Any

import _eryx_bindings
from componentize_py_types import Err
from wit_world.imports import poll, tcp, tls, types, udp

# In the order of the variants `error` and `tls-error` in the WIT.
_ERRORS: tuple[Any, ...] = (
    types.Error_WouldBlock,
    types.Error_TimedOut,
    types.Error_Denied,
    types.Error_LimitReached,
    types.Error_QuotaExceeded,
    types.Error_NameNotFound,
    types.Error_NameTryAgain,
    types.Error_ConnectionRefused,
    types.Error_ConnectionReset,
    types.Error_ConnectionAborted,
    types.Error_BrokenPipe,
    types.Error_NotConnected,
    types.Error_HostUnreachable,
    types.Error_NetworkUnreachable,
    types.Error_MessageTooLong,
    types.Error_InvalidArgument,
    types.Error_Tls,
    types.Error_Other,
    types.Error_AddressNotAvailable,
    types.Error_NoBufferSpace,
)
_TLS_ERRORS: tuple[Any, ...] = (
    types.TlsError_Certificate,
    types.TlsError_Alert,
    types.TlsError_Protocol,
    types.TlsError_UnexpectedEof,
    types.TlsError_Refused,
)


def install() -> None:
    """Replace the methods of the generated bindings."""
    _eryx_bindings.on_error(_raise, None)
    tcp.Connection.connect = classmethod(_connection_connect)
    tcp.Connection.finish_connect = _connection_finish
    tcp.Connection.__exit__ = _connection_exit
    tcp.Connection.__del__ = _connection_exit
    tcp.Connection.__reduce_ex__ = _connection_reduce
    tcp.Connection.read = _connection_read
    tcp.Connection.write = _connection_write
    tls.Session.read = _session_read
    tls.Session.feed = _session_feed
    tls.Session.write = _session_write
    udp.Socket.send = _socket_send
    udp.Socket.send_to = _socket_send_to
    poll.poll = _poll


def _raise(error: tuple[Any, ...]) -> None:
    raise Err(_error(*error))


def _connection_connect(cls: Any, host: str, port: int) -> Any:
    handle = _eryx_bindings.tcp_connect(host.encode(), port)
    connection = cls.__new__(cls)
    connection.handle = handle
    # Called more often than all others, and so without a frame of the interpreter.
    connection.read = partial(_eryx_bindings.tcp_read, handle)
    connection.write = partial(_eryx_bindings.tcp_write, handle)
    return connection


def _connection_finish(self: Any, timeout: int | None) -> None:
    _eryx_bindings.tcp_finish(self.handle, timeout)


def _connection_exit(self: Any, *exc_info: Any) -> None:
    its = self.__dict__
    handle = its.pop("handle", None)
    if handle is not None:
        # Nothing else may come to have its number.
        del its["read"], its["write"]
        _eryx_bindings.tcp_drop(handle)


def _connection_reduce(self: Any, protocol: Any) -> Any:
    # A copy would give the same connection back once more.
    raise TypeError(f"cannot copy or pickle {type(self).__name__!r} object")


def _connection_read(self: Any, max: int, timeout: int | None) -> Any:
    return _eryx_bindings.tcp_read(self.handle, max, timeout)


def _connection_write(self: Any, data: Buffer, timeout: int | None) -> Any:
    return _eryx_bindings.tcp_write(self.handle, data, timeout)


def _session_read(self: Any, max: int) -> Any:
    return _eryx_bindings.tls_read(self.handle, max)


def _session_feed(self: Any, ciphertext: Buffer) -> Any:
    return _eryx_bindings.tls_feed(self.handle, ciphertext)


def _session_write(self: Any, plaintext: Buffer) -> Any:
    return _eryx_bindings.tls_write(self.handle, plaintext)


def _socket_send(self: Any, data: Buffer, timeout: int | None) -> None:
    _eryx_bindings.udp_send(self.handle, data, timeout)


def _socket_send_to(self: Any, data: Buffer, host: str, port: int, timeout: int | None) -> None:
    _eryx_bindings.udp_send_to(self.handle, data, host.encode(), port, timeout)


def _poll(
    readable: Any,
    writable: Any,
    receivable: Any,
    sendable: Any,
    lookups: Any,
    timeout: int | None,
) -> Any:
    ready = _eryx_bindings.poll(
        _handles(readable),
        _handles(writable),
        _handles(receivable),
        _handles(sendable),
        _handles(lookups),
        timeout,
    )
    return poll.Ready(*map(_positions, ready))


# Most of the lists are empty most of the time.
_NONE = array("I")


def _handles(resources: Any) -> array[int]:
    return array("I", [each.handle for each in resources]) if resources else _NONE


def _positions(packed: bytes) -> list[int]:
    return memoryview(packed).cast("I").tolist() if packed else []


def _error(case: int, *payload: Any) -> Any:
    kind = _ERRORS[case]
    if kind is types.Error_Tls:
        tls_case, code, text = payload
        tls_kind = _TLS_ERRORS[tls_case]
        if tls_kind is types.TlsError_Certificate:
            return kind(tls_kind(types.CertificateError(code, text)))
        return kind(tls_kind(text) if tls_kind is not types.TlsError_UnexpectedEof else tls_kind())
    return kind(*payload)
