"""The half of a test that runs on the host: objects there, used from here.

A sandbox has no threads, and CPython's suite starts its servers in some. The host's CPython makes
them, from the same file of the suite, and they stand here as `Remote`.
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

# What was done to each context, for the host to do the same.
_journals: weakref.WeakKeyDictionary[ssl.SSLContext, list[tuple[str, Any]]]
_journals = weakref.WeakKeyDictionary()
_JOURNALED = (
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


# The test that is running, whose name classes within it may say.
running: unittest.TestCase | None = None

# Where listeners went that the host has now, by the port they had here.
_moved: dict[int, int] = {}
_made: dict[int, Remote] = {}


def use(port: int) -> None:
    """Say where the host's half listens."""
    global _address
    _address = ("127.0.0.1", port)
    for name in _JOURNALED:
        _keep(name)
    for name in ("connect", "connect_ex"):
        _follow(name)


def begin(test: unittest.TestCase) -> None:
    """Take note of the test that runs from now on."""
    global running
    running = test
    # Ports are used again.
    _moved.clear()
    _made.clear()


def _follow(name: str) -> None:
    """Have a method of sockets connect to where a listener went."""
    genuine = getattr(socket.socket, name)

    def method(self: socket.socket, address: Any) -> Any:
        if isinstance(address, tuple) and address[1] in _moved:
            address = (address[0], _moved[address[1]], *address[2:])
        return genuine(self, address)

    setattr(socket.socket, name, method)


def _move(listener: socket.socket) -> Any:
    """Make a listener on the host in place of this one. Raises TypeError if it is none."""
    try:
        address = listener.getsockname()
    except OSError:
        raise TypeError("only listeners are sent to the host") from None
    listening = listener.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)
    if listener.family not in (socket.AF_INET, socket.AF_INET6) or not address[1]:
        raise TypeError("only listeners are sent to the host")
    if address[1] not in _made:
        made = ask("listener", int(listener.family), bool(listening), listener.gettimeout())
        _made[address[1]] = made
        _moved[address[1]] = made.getsockname()[1]
    return ("remote", _made[address[1]]._remote)


def _keep(name: str) -> None:
    genuine = getattr(ssl.SSLContext, name)

    def method(self: ssl.SSLContext, *args: Any, **kwargs: Any) -> Any:
        result = genuine(self, *args, **kwargs)
        _journals.setdefault(self, []).append((name, (args, kwargs)))
        return result

    setattr(ssl.SSLContext, name, method)


class Remote:
    """An object of the host's."""

    __slots__ = ("_remote",)

    _remote: int

    def __init__(self, reference: int) -> None:
        object.__setattr__(self, "_remote", reference)

    def __getattr__(self, name: str) -> Any:
        return ask("get", self, name)

    def __setattr__(self, name: str, value: Any) -> None:
        ask("set", self, name, value)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return ask("call", self, args, kwargs)

    def __getitem__(self, key: Any) -> Any:
        return self.__getattr__("__getitem__")(key)

    def __len__(self) -> int:
        return int(self.__getattr__("__len__")())

    def __contains__(self, item: Any) -> bool:
        return bool(self.__getattr__("__contains__")(item))

    def __enter__(self) -> Any:
        return ask("call", ask("get", self, "__enter__"), (), {})

    def __exit__(self, *exception: object) -> None:
        ask("call", ask("get", self, "__exit__"), (None, None, None), {})

    def __eq__(self, other: object) -> bool:
        return self._remote == other._remote if isinstance(other, Remote) else NotImplemented

    def __hash__(self) -> int:
        return hash(self._remote)


class Named:
    """A name of a module of the host's."""

    __slots__ = ("path",)

    path: tuple[str, str]

    def __init__(self, module: str, name: str) -> None:
        object.__setattr__(self, "path", (module, name))

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return ask("get", self, name)

    def __setattr__(self, name: str, value: Any) -> None:
        ask("set", self, name, value)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return ask("call", self, args, kwargs)

    def __mro_entries__(self, bases: tuple[Any, ...]) -> tuple[type, ...]:
        # A class within a test that only says what to do when its server fails.
        return (type("Base", (), {"__new__": lambda cls, *args: self(*args)}),)


class Threads:
    """The module `threading`, but for what runs on the host.

    `shared` are variables of a module that the host's threads set before they set an event.
    """

    def __init__(self, module: str = "", shared: tuple[str, ...] = ()) -> None:
        self._module = module
        self._shared = shared

    def Event(self) -> Any:
        """An event of the host's."""
        event = Named("threading", "Event")()
        return _Event(event, self._module, self._shared) if self._shared else event

    def __getattr__(self, name: str) -> Any:
        return getattr(threading, name)

    def Thread(self, *args: Any, **kwargs: Any) -> Any:
        """A thread of the host's, for what the host has too."""
        if can_send((args, kwargs)):
            if isinstance(sys.stdout, Remote):
                # Of test_smtplib, which reads what its server writes.
                log = sys.modules[self._module].smtpd.DEBUGSTREAM
                if isinstance(log, Remote):
                    Named("captured", "capture")(sys.stdout, self._module, log)
            return Named("threading", "Thread")(*args, **kwargs)
        return threading.Thread(*args, **kwargs)


class _Event(Remote):
    __slots__ = ("_module", "_shared")

    def __init__(self, event: Remote, module: str, shared: tuple[str, ...]) -> None:
        super().__init__(event._remote)
        object.__setattr__(self, "_module", module)
        object.__setattr__(self, "_shared", shared)

    def wait(self, timeout: float | None = None) -> Any:
        result = ask("get", self, "wait")(timeout)
        for name in self._shared:
            value = ask("get", Named(*self._module.rsplit(".", 1)), name)
            setattr(importlib.import_module(self._module), name, value)
        return result


def can_send(value: Any) -> bool:
    """Whether the host could have this value, or one like it."""
    try:
        _packed(value)
    except (TypeError, RecursionError):
        return False
    return True


def ask(operation: str, *operands: Any) -> Any:
    """Have the host do something. Raises what it raised."""
    global _connection
    if _connection is None:
        _connection = socket.socket()
        _connection.settimeout(None)
        _connection.connect(_address)
    message = marshal.dumps((operation, *map(_packed, operands)), 2)
    _connection.sendall(_LENGTH.pack(len(message)) + message)
    kind, value = marshal.loads(_received(_LENGTH.unpack(_received(4))[0]))
    if kind == "raised":
        raise _exception(*value)
    return _unpacked(value)


def _received(count: int) -> bytes:
    assert _connection is not None
    data = b""
    while len(data) < count:
        more = _connection.recv(count - len(data))
        if not more:
            raise EOFError("the host's half is gone")
        data += more
    return data


def _exception(module: str, name: str, args: Any, text: str) -> BaseException:
    try:
        kind = getattr(importlib.import_module(module), name)
        error = kind(*_unpacked(args))
    except Exception:
        return RuntimeError(f"on the host: {module}.{name}: {text}")
    return error if isinstance(error, BaseException) else RuntimeError(text)


def _packed(value: Any) -> Any:
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
        return (type(value).__name__, [_packed(each) for each in value])
    if isinstance(value, dict):
        return ("dict", [(_packed(k), _packed(v)) for k, v in value.items()])
    if isinstance(value, ssl.SSLContext):
        settings = [(name, int(getattr(value, name))) for name in _SETTINGS]
        journal = [(name, _packed(how)) for name, how in _journals.get(value, [])]
        return ("context", (int(value.protocol), settings, journal, _packed(_named(value))))
    if isinstance(value, BaseException):
        return ("exception", (type(value).__module__, type(value).__name__, str(value)))
    if isinstance(value, (type, types.FunctionType)):
        path = value.__module__, value.__qualname__
        if path[0].startswith("test.") and "<locals>" not in path[1]:
            return ("named", path)
        return _source(value)
    if isinstance(value, unittest.TestCase):
        # What is the host's is there.
        remote = {k: v for k, v in vars(value).items() if isinstance(v, Remote)}
        return _case(value, [(name, _packed(each)) for name, each in remote.items()])
    if isinstance(value, types.MethodType) and isinstance(value.__self__, unittest.TestCase):
        public = {k: v for k, v in vars(value.__self__).items() if not k.startswith("_")}
        given = [(name, _packed(each)) for name, each in public.items() if can_send(each)]
        return ("attribute", (_case(value.__self__, given), value.__name__))
    if isinstance(value, socket.socket) and not isinstance(value, ssl.SSLSocket):
        return _move(value)
    raise TypeError(f"{value!r} cannot be sent to the host")


def _named(context: ssl.SSLContext) -> Any:
    """What `set_servername_callback` was given."""
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
    """A function or a class that is defined within a test, with the variables around it."""
    functions = [value] if isinstance(value, types.FunctionType) else list(vars(value).values())
    around: dict[str, Any] = {}
    for each in functions:
        if isinstance(each, types.FunctionType) and each.__closure__:
            for name, cell in zip(each.__code__.co_freevars, each.__closure__, strict=True):
                if name == "__class__" or not (held := _contents(cell)) or held[0] is value:
                    continue
                around[name] = _packed(held[0])
    if running is not None:
        around.setdefault("self", _packed(running))
    try:
        text = textwrap.dedent(inspect.getsource(value))
    except (OSError, TypeError):
        raise TypeError(f"{value!r} has no source to send to the host") from None
    if value.__name__ == "<lambda>":
        raise TypeError("a lambda is not sent to the host")
    return ("source", (value.__module__, value.__name__, text, list(around.items())))


def _unpacked(value: Any) -> Any:
    kind, what = value
    if kind == "remote":
        return Remote(what)
    if kind == "value":
        return what
    if kind == "dict":
        return {_unpacked(k): _unpacked(v) for k, v in what}
    if kind == "exception":
        return _exception(*what)
    container: Callable[[Any], Any] = getattr(builtins, kind)
    return container(_unpacked(each) for each in what)
