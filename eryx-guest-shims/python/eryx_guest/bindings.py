"""Fast replacements of generated bindings, over `_eryx_bindings` (`fast_bindings.wat`).

The generated bindings copy arguments of bytes to memory that is never freed, and leak memory with
every `poll`. The replacements take the same arguments in the same order, and accept any object with
the buffer protocol. They also connect and drop connections, in a third of the time of the generated
ones.
"""

from array import array
from collections.abc import Buffer
from functools import partial
from typing import Any

import _eryx_bindings
from componentize_py_types import Err
from wit_world.imports import functions, poll, resolver, tcp, tls, types, udp

# The cases of the variants `error` and `tls-error` in the order of the WIT.
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
    types.Error_NameWithoutAddress,
)
_TLS_ERRORS: tuple[Any, ...] = (
    types.TlsError_Certificate,
    types.TlsError_Alert,
    types.TlsError_Protocol,
    types.TlsError_UnexpectedEof,
    types.TlsError_Refused,
)
_VERSIONS = tuple(tls.Version)


def install() -> None:
    """Replaces the methods of the generated bindings."""
    _eryx_bindings.on_error(_raise, None)
    tcp.Connection.connect = classmethod(_connection_connect)
    tcp.Connection.finish_connect = _connection_finish
    tcp.Connection.__exit__ = _connection_exit
    tcp.Connection.__del__ = _connection_exit
    tcp.Connection.__reduce_ex__ = _connection_reduce
    tcp.Connection.read = _connection_read
    tcp.Connection.write = _connection_write
    tcp.Connection.tls_info = _connection_tls_info
    tls.Session.read = _session_read
    tls.Session.feed = _session_feed
    tls.Session.write = _session_write
    udp.Socket.send = _socket_send
    udp.Socket.send_to = _socket_send_to
    poll.poll = _poll
    resolver.resolve = _resolve
    functions.invoke = _invoke
    functions.Call.start = classmethod(_call_start)
    functions.Call.finish = _call_finish
    functions.Call.__exit__ = _call_exit
    functions.Call.__del__ = _call_exit
    functions.Call.__reduce_ex__ = _connection_reduce


def _raise(error: tuple[Any, ...]) -> None:
    raise Err(_error(*error))


def _connection_connect(cls: Any, host: str, port: int) -> Any:
    handle = _eryx_bindings.tcp_connect(host.encode(), port)
    connection = cls.__new__(cls)
    connection.handle = handle
    # The most frequent calls: attributes, so that a call needs no Python frame.
    connection.read = partial(_eryx_bindings.tcp_read, handle)
    connection.write = partial(_eryx_bindings.tcp_write, handle)
    return connection


def _connection_finish(self: Any, timeout: int | None) -> None:
    _eryx_bindings.tcp_finish(self.handle, timeout)


def _connection_exit(self: Any, *exc_info: Any) -> None:
    attributes = self.__dict__
    handle = attributes.pop("handle", None)
    if handle is not None:
        # They hold the handle, whose number the host will use for another resource.
        del attributes["read"], attributes["write"]
        _eryx_bindings.tcp_drop(handle)


def _connection_reduce(self: Any, protocol: Any) -> Any:
    # A copy would drop the same connection twice.
    raise TypeError(f"cannot copy or pickle {type(self).__name__!r} object")


def _connection_read(self: Any, max: int, timeout: int | None) -> Any:
    return _eryx_bindings.tcp_read(self.handle, max, timeout)


def _connection_write(self: Any, data: Buffer, timeout: int | None) -> Any:
    return _eryx_bindings.tcp_write(self.handle, data, timeout)


def _connection_tls_info(self: Any) -> Any:
    info = _eryx_bindings.tls_info(self.handle)
    if not info:
        return None
    version, cipher, bits, alpn, chain, resumed = info
    return tls.Info(_VERSIONS[version], cipher, bits, alpn, list(chain), bool(resumed))


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


def _resolve(name: str, port: int | None, family: Any) -> str:
    addresses: bytes = _eryx_bindings.resolve(name.encode(), port or 0, family.value)
    return addresses.decode()


def _invoke(name: str, arguments: Buffer) -> Any:
    result = _eryx_bindings.call_invoke(name.encode(), arguments)
    if result.__class__ is tuple:
        raise Err(_failure(*result))
    return result


def _call_start(cls: Any, name: str, arguments: Buffer) -> Any:
    handle = _eryx_bindings.call_start(name.encode(), arguments)
    if handle.__class__ is tuple:
        raise Err(_failure(*handle))
    call = cls.__new__(cls)
    call.handle = handle
    return call


def _call_finish(self: Any, timeout: int | None) -> Any:
    result = _eryx_bindings.call_finish(self.handle, timeout)
    if result.__class__ is tuple:
        raise Err(_failure(*result))
    return result


def _call_exit(self: Any, *exc_info: Any) -> None:
    handle = self.__dict__.pop("handle", None)
    if handle is not None:
        _eryx_bindings.call_drop(handle)


def _failure(*exception: str) -> Any:
    if not exception:
        return functions.Failure_WouldBlock()
    return functions.Failure_Raised(functions.Exception(*exception))


def _poll(
    readable: Any,
    writable: Any,
    receivable: Any,
    sendable: Any,
    lookups: Any,
    calls: Any,
    timeout: int | None,
) -> Any:
    ready = _eryx_bindings.poll(
        _handles(readable),
        _handles(writable),
        _handles(receivable),
        _handles(sendable),
        _handles(lookups),
        _handles(calls),
        timeout,
    )
    return poll.Ready(*map(_indexes, ready))


# Most lists are empty in most calls.
_NO_HANDLES = array("I")


def _handles(resources: Any) -> array[int]:
    return array("I", [resource.handle for resource in resources]) if resources else _NO_HANDLES


def _indexes(packed: bytes) -> list[int]:
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
