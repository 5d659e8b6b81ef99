"""Proxies of objects on the host side of a test.

CPython's suite starts its servers in threads. The host side creates them from the same file of the
suite, and here they are objects of `Remote`.
"""

# ruff: noqa: N802 - names that the suite and unittest ask for
from __future__ import annotations

import builtins
import importlib
import inspect
import marshal
import socket
import ssl
import struct
import sys
import textwrap
import threading
import types
import unittest
import weakref
from collections.abc import Callable
from typing import Any

_LENGTH = struct.Struct("!I")

_connection: socket.socket | None = None
_address = ("127.0.0.1", 0)

# The calls of each context, for the host side to repeat.
_calls: weakref.WeakKeyDictionary[ssl.SSLContext, list[tuple[str, Any]]]
_calls = weakref.WeakKeyDictionary()
_RECORDED = (
    "load_cert_chain",
    "load_verify_locations",
    "set_ciphers",
    "set_alpn_protocols",
    "set_ecdh_curve",
    "load_dh_params",
)
_SETTINGS = (
    "minimum_version",
    "maximum_version",
    "options",
    "verify_flags",
    "verify_mode",
    "post_handshake_auth",
)


# The running test, which classes in it may refer to.
running: unittest.TestCase | None = None

# The ports of listeners on the host side, by their former ports here.
_moved: dict[int, int] = {}
_listeners: dict[int, Remote] = {}


def connect_to(port: int) -> None:
    """Set the port of the host side."""
    global _address
    _address = ("127.0.0.1", port)
    for name in _RECORDED:
        _record(name)
    for name in ("connect", "connect_ex"):
        _redirect(name)


def start_test(test: unittest.TestCase) -> None:
    """Set the running test."""
    global running
    running = test
    # Ports are reused.
    _moved.clear()
    _listeners.clear()


def _redirect(name: str) -> None:
    """Make a method of sockets connect to the host side's listener."""
    original = getattr(socket.socket, name)

    def method(self: socket.socket, address: Any) -> Any:
        if isinstance(address, tuple) and address[1] in _moved:
            address = (address[0], _moved[address[1]], *address[2:])
        return original(self, address)

    setattr(socket.socket, name, method)


def _move(listener: socket.socket) -> Any:
    """Create a listener on the host side for this one. Raises TypeError for other sockets."""
    try:
        address = listener.getsockname()
    except OSError:
        raise TypeError("only listeners are sent to the host") from None
    listening = listener.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)
    if listener.family not in (socket.AF_INET, socket.AF_INET6) or not address[1]:
        raise TypeError("only listeners are sent to the host")
    if address[1] not in _listeners:
        listener_on_host = request(
            "listener", int(listener.family), bool(listening), listener.gettimeout()
        )
        _listeners[address[1]] = listener_on_host
        _moved[address[1]] = listener_on_host.getsockname()[1]
    return ("remote", _listeners[address[1]]._remote)


def _record(name: str) -> None:
    original = getattr(ssl.SSLContext, name)

    def method(self: ssl.SSLContext, *args: Any, **kwargs: Any) -> Any:
        result = original(self, *args, **kwargs)
        _calls.setdefault(self, []).append((name, (args, kwargs)))
        return result

    setattr(ssl.SSLContext, name, method)


class Remote:
    """An object of the host side."""

    __slots__ = ("_remote",)

    _remote: int

    def __init__(self, reference: int) -> None:
        object.__setattr__(self, "_remote", reference)

    def __getattr__(self, name: str) -> Any:
        return request("get", self, name)

    def __setattr__(self, name: str, value: Any) -> None:
        request("set", self, name, value)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return request("call", self, args, kwargs)

    def __getitem__(self, key: Any) -> Any:
        return self.__getattr__("__getitem__")(key)

    def __len__(self) -> int:
        return int(self.__getattr__("__len__")())

    def __contains__(self, item: Any) -> bool:
        return bool(self.__getattr__("__contains__")(item))

    def __enter__(self) -> Any:
        return request("call", request("get", self, "__enter__"), (), {})

    def __exit__(self, *exception: object) -> None:
        request("call", request("get", self, "__exit__"), (None, None, None), {})

    def __eq__(self, other: object) -> bool:
        return self._remote == other._remote if isinstance(other, Remote) else NotImplemented

    def __hash__(self) -> int:
        return hash(self._remote)


class Named:
    """A name in a module of the host side."""

    __slots__ = ("path",)

    path: tuple[str, str]

    def __init__(self, module: str, name: str) -> None:
        object.__setattr__(self, "path", (module, name))

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return request("get", self, name)

    def __setattr__(self, name: str, value: Any) -> None:
        request("set", self, name, value)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return request("call", self, args, kwargs)

    def __mro_entries__(self, bases: tuple[Any, ...]) -> tuple[type, ...]:
        # A class in a test, which only handles failures of its server.
        return (type("Base", (), {"__new__": lambda cls, *args: self(*args)}),)


class Threads:
    """The module `threading`, with threads and events of the host side.

    `shared` are variables of a module that threads of the host side set before they set an event.
    """

    def __init__(self, module: str = "", shared: tuple[str, ...] = ()) -> None:
        self._module = module
        self._shared = shared

    def Event(self) -> Any:
        """Return an event of the host side."""
        event = Named("threading", "Event")()
        return _Event(event, self._module, self._shared) if self._shared else event

    def __getattr__(self, name: str) -> Any:
        return getattr(threading, name)

    def Thread(self, *args: Any, **kwargs: Any) -> Any:
        """Return a thread of the host side if it has the function, too."""
        if can_send((args, kwargs)):
            if isinstance(sys.stdout, Remote):
                # test_smtplib reads the output of its server.
                log = sys.modules[self._module].smtpd.DEBUGSTREAM
                if isinstance(log, Remote):
                    Named("captured_output", "capture")(sys.stdout, self._module, log)
            return Named("threading", "Thread")(*args, **kwargs)
        return threading.Thread(*args, **kwargs)


class _Event(Remote):
    __slots__ = ("_module", "_shared")

    def __init__(self, event: Remote, module: str, shared: tuple[str, ...]) -> None:
        super().__init__(event._remote)
        object.__setattr__(self, "_module", module)
        object.__setattr__(self, "_shared", shared)

    def wait(self, timeout: float | None = None) -> Any:
        result = request("get", self, "wait")(timeout)
        for name in self._shared:
            value = request("get", Named(*self._module.rsplit(".", 1)), name)
            setattr(importlib.import_module(self._module), name, value)
        return result


def can_send(value: Any) -> bool:
    """Return whether a value can be sent to the host side."""
    try:
        _encode(value)
    except (TypeError, RecursionError):
        return False
    return True


def request(operation: str, *operands: Any) -> Any:
    """Run an operation on the host side. Raises its exception."""
    global _connection
    if _connection is None:
        _connection = socket.socket()
        _connection.settimeout(None)
        _connection.connect(_address)
    message = marshal.dumps((operation, *map(_encode, operands)), 2)
    _connection.sendall(_LENGTH.pack(len(message)) + message)
    kind, value = marshal.loads(_receive(_LENGTH.unpack(_receive(4))[0]))
    if kind == "raised":
        raise _exception(*value)
    return _decode(value)


def _receive(count: int) -> bytes:
    assert _connection is not None
    data = b""
    while len(data) < count:
        more = _connection.recv(count - len(data))
        if not more:
            raise EOFError("the host side has closed the connection")
        data += more
    return data


def _exception(module: str, name: str, args: Any, text: str) -> BaseException:
    try:
        kind = getattr(importlib.import_module(module), name)
        error = kind(*_decode(args))
    except Exception:
        return RuntimeError(f"on the host: {module}.{name}: {text}")
    return error if isinstance(error, BaseException) else RuntimeError(text)


def _encode(value: Any) -> Any:
    if isinstance(value, Remote):
        return ("remote", value._remote)
    if isinstance(value, Named):
        return ("named", value.path)
    if value is None or isinstance(value, (bool, float, str, bytes)):
        return ("value", value)
    if isinstance(value, int):
        return ("value", int(value))
    if isinstance(value, (bytearray, memoryview)):
        return ("value", bytes(value))
    if isinstance(value, (tuple, list, set)):
        return (type(value).__name__, [_encode(item) for item in value])
    if isinstance(value, dict):
        return ("dict", [(_encode(k), _encode(v)) for k, v in value.items()])
    if isinstance(value, ssl.SSLContext):
        settings = [(name, int(getattr(value, name))) for name in _SETTINGS]
        calls = [(name, _encode(arguments)) for name, arguments in _calls.get(value, [])]
        return ("context", (int(value.protocol), settings, calls, _encode(_sni_callback(value))))
    if isinstance(value, BaseException):
        return ("exception", (type(value).__module__, type(value).__name__, str(value)))
    if isinstance(value, (type, types.FunctionType)):
        path = value.__module__, value.__qualname__
        if path[0].startswith("test.") and "<locals>" not in path[1]:
            return ("named", path)
        return _source(value)
    if isinstance(value, unittest.TestCase):
        # Objects of the host side exist there.
        remote = {k: v for k, v in vars(value).items() if isinstance(v, Remote)}
        return _case(value, [(name, _encode(item)) for name, item in remote.items()])
    if isinstance(value, types.MethodType) and isinstance(value.__self__, unittest.TestCase):
        public = {k: v for k, v in vars(value.__self__).items() if not k.startswith("_")}
        sent = [(name, _encode(item)) for name, item in public.items() if can_send(item)]
        return ("attribute", (_case(value.__self__, sent), value.__name__))
    if isinstance(value, socket.socket) and not isinstance(value, ssl.SSLSocket):
        return _move(value)
    raise TypeError(f"{value!r} cannot be sent to the host")


def _sni_callback(context: ssl.SSLContext) -> Any:
    """Return the function passed to `set_servername_callback`."""
    callback = context.sni_callback
    if isinstance(callback, types.FunctionType) and callback.__module__ == "ssl":
        callback = inspect.getclosurevars(callback).nonlocals["server_name_callback"]
    return callback


def _case(test: unittest.TestCase, attributes: list[Any]) -> Any:
    kind = type(test)
    return ("case", (kind.__module__, kind.__qualname__, test._testMethodName, attributes))


def _contents(cell: types.CellType) -> list[Any]:
    try:
        return [cell.cell_contents]
    except ValueError:
        # Not assigned yet.
        return []


def _source(value: Any) -> Any:
    """Return the source of a function or class defined in a test, with its closure."""
    functions = [value] if isinstance(value, types.FunctionType) else list(vars(value).values())
    closure: dict[str, Any] = {}
    for function in functions:
        if isinstance(function, types.FunctionType) and function.__closure__:
            cells = zip(function.__code__.co_freevars, function.__closure__, strict=True)
            for name, cell in cells:
                if name == "__class__" or not (content := _contents(cell)) or content[0] is value:
                    continue
                closure[name] = _encode(content[0])
    if running is not None:
        closure.setdefault("self", _encode(running))
    try:
        text = textwrap.dedent(inspect.getsource(value))
    except (OSError, TypeError):
        raise TypeError(f"{value!r} has no source to send to the host") from None
    if value.__name__ == "<lambda>":
        raise TypeError("a lambda is not sent to the host")
    return ("source", (value.__module__, value.__name__, text, list(closure.items())))


def _decode(value: Any) -> Any:
    kind, content = value
    if kind == "remote":
        return Remote(content)
    if kind == "value":
        return content
    if kind == "dict":
        return {_decode(k): _decode(v) for k, v in content}
    if kind == "exception":
        return _exception(*content)
    container: Callable[[Any], Any] = getattr(builtins, kind)
    return container(_decode(item) for item in content)
