"""Makes the servers of CPython's tests for the sandboxes that run the rest: `half.py SUITE`.

Prints the port it listens on. What it is told by whoever connects it does, without any check: it is
for the tests alone, which are no strangers' programs.
"""

from __future__ import annotations

import builtins
import contextlib
import importlib
import marshal
import socket
import ssl
import struct
import sys
import textwrap
import threading
import traceback
import unittest
from pathlib import Path
from typing import Any

SUITE = Path(sys.argv[1]).resolve()
LENGTH = struct.Struct("!I")

# In a sandbox.
GUEST_AF_INET6 = 10

# Where the sandboxes see the suite.
GUEST_SUITE = "/packages/"


class Session:
    """One sandbox's objects."""

    def __init__(self, connection: socket.socket) -> None:
        self.connection = connection
        self.objects: list[Any] = []
        self.cases: dict[Any, unittest.TestCase] = {}

    def run(self) -> None:
        """Do what comes until the sandbox is gone."""
        with self.connection:
            while (length := self._received(4)) is not None:
                message = self._received(LENGTH.unpack(length)[0])
                if message is None:
                    break
                operation, *operands = marshal.loads(message)
                try:
                    result = getattr(self, "do_" + operation)(
                        *[self.unpacked(each) for each in operands]
                    )
                    answer = ("done", self.packed(result))
                except BaseException as error:
                    answer = ("raised", self.described(error))
                reply = marshal.dumps(answer, 2)
                self.connection.sendall(LENGTH.pack(len(reply)) + reply)

    def _received(self, count: int) -> bytes | None:
        data = b""
        while len(data) < count:
            try:
                more = self.connection.recv(count - len(data))
            except OSError:
                return None
            if not more:
                return None
            data += more
        return data

    def do_get(self, owner: Any, name: str) -> Any:
        """An attribute."""
        return getattr(owner, name)

    def do_set(self, owner: Any, name: str, value: Any) -> None:
        """Set an attribute."""
        setattr(owner, name, value)

    def do_call(self, what: Any, args: Any, kwargs: Any) -> Any:
        """Call something."""
        return what(*args, **kwargs)

    def do_listener(self, family: int, listening: bool, timeout: float | None) -> socket.socket:
        """A socket that listens, or is about to. One for IPv6 takes IPv4, too."""
        sixth = family == GUEST_AF_INET6
        listener = socket.socket(socket.AF_INET6 if sixth else socket.AF_INET)
        listener.bind(("::" if sixth else "127.0.0.1", 0))
        if listening:
            listener.listen()
        listener.settimeout(timeout)
        return listener

    def described(self, error: BaseException) -> tuple[Any, ...]:
        """An exception, for the sandbox to raise one like it."""
        kind = type(error)
        try:
            args = self.packed(tuple(error.args))
        except TypeError:
            args = ("tuple", [])
        text = "".join(traceback.format_exception(error))
        return kind.__module__, kind.__qualname__, args, text

    def packed(self, value: Any) -> Any:
        """A value by value, anything else by reference."""
        if isinstance(value, int) and not isinstance(value, bool):
            return ("value", int(value))
        if value is None or type(value) in (bool, float, str, bytes):
            return ("value", value)
        if type(value) is bytearray:
            return ("value", bytes(value))
        if type(value) in (tuple, list, set):
            return (type(value).__name__, [self.packed(each) for each in value])
        if type(value) is dict:
            return ("dict", [(self.packed(k), self.packed(v)) for k, v in value.items()])
        if isinstance(value, BaseException):
            return ("exception", self.described(value))
        for reference, known in enumerate(self.objects):
            if known is value:
                return ("remote", reference)
        self.objects.append(value)
        return ("remote", len(self.objects) - 1)

    def unpacked(self, value: Any) -> Any:
        """What the sandbox means."""
        kind, what = value
        if kind == "remote":
            return self.objects[what]
        if kind == "named":
            found: Any = importlib.import_module(what[0])
            for name in what[1].split("."):
                found = getattr(found, name)
            return found
        if kind == "exception":
            return raised(*what)
        if kind == "context":
            return self.context(*what)
        if kind == "case":
            return self.case(*what)
        if kind == "attribute":
            return getattr(self.unpacked(what[0]), what[1])
        if kind == "source":
            return self.defined(*what)
        if kind == "value":
            if isinstance(what, str) and what.startswith(GUEST_SUITE):
                return str(SUITE / what.removeprefix(GUEST_SUITE))
            return what
        if kind == "dict":
            return {self.unpacked(k): self.unpacked(v) for k, v in what}
        return getattr(builtins, kind)(self.unpacked(each) for each in what)

    def case(self, module: str, name: str, method: str, attributes: Any) -> unittest.TestCase:
        """A test like the sandbox's, always the same, with what was set there."""
        if (module, name, method) not in self.cases:
            kind = self.unpacked(("named", (module, name)))
            self.cases[module, name, method] = kind(method)
        case = self.cases[module, name, method]
        for attribute, value in attributes:
            setattr(case, attribute, self.unpacked(value))
        return case

    def defined(self, module: str, name: str, text: str, around: Any) -> Any:
        """What a test of the sandbox's defines within itself."""
        home = importlib.import_module(module)
        variables = {each: self.unpacked(value) for each, value in around}
        # Within a function, as there: what is defined may assign to the variables around it.
        lines = [
            f"def _around({', '.join(variables)}):",
            textwrap.indent(text, " "),
            f" return {name}",
        ]
        made: dict[str, Any] = {}
        exec(compile("\n".join(lines), home.__file__ or module, "exec"), vars(home), made)
        return made["_around"](**variables)

    def context(self, protocol: int, settings: Any, journal: Any, named: Any) -> ssl.SSLContext:
        """A context like the sandbox's."""
        context = ssl.SSLContext(ssl._SSLMethod(protocol))  # type: ignore[attr-defined]
        for name, how in journal:
            args, kwargs = self.unpacked(how)
            getattr(context, name)(*args, **kwargs)
        if (callback := self.unpacked(named)) is not None:
            context.set_servername_callback(callback)
        context.check_hostname = False
        unbound = (ssl.PROTOCOL_TLS_CLIENT, ssl.PROTOCOL_TLS_SERVER, ssl.PROTOCOL_TLS)
        for name, value in settings:
            # A context made for one version keeps to it.
            if protocol in unbound or not name.endswith("_version"):
                setattr(context, name, value)
        return context


def raised(module: str, name: str, text: str) -> BaseException:
    """An exception of a sandbox's, or one that tells of it."""
    if name == "SkipTest":
        return unittest.SkipTest(text)
    return AssertionError(f"in the sandbox: {module}.{name}: {text}")


def prepare() -> None:
    """Ready the suite's modules for being used this way."""
    import socket_halves
    from test import test_ssl

    socket_halves.prepare()

    stop = test_ssl.ThreadedEchoServer.stop

    def stop_now(self: Any) -> None:
        # It would wait out the rest of a second otherwise.
        stop(self)
        if (listener := self.sock) is not None:
            with contextlib.suppress(OSError):
                listener.shutdown(socket.SHUT_RDWR)

    test_ssl.ThreadedEchoServer.stop = stop_now


def main() -> None:
    """Listen until standard input ends."""
    sys.path.insert(0, str(SUITE))
    prepare()
    listener = socket.create_server(("127.0.0.1", 0))
    print(listener.getsockname()[1], flush=True)

    def accept() -> None:
        while True:
            connection, _ = listener.accept()
            threading.Thread(target=Session(connection).run, daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    sys.stdin.read()


if __name__ == "__main__":
    main()
