"""The host side of CPython's tests: runs their servers for sandboxes: `host_side.py SUITE`.

Prints the port it listens on. It executes every request of a client without any check, so it must
only be used for these tests, which are trusted.
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

# The value of `socket.AF_INET6` in a sandbox.
GUEST_AF_INET6 = 10

# The path of the suite in a sandbox.
GUEST_SUITE = "/packages/"


class Session:
    """The connection of a sandbox, and its objects."""

    def __init__(self, connection: socket.socket) -> None:
        self.connection = connection
        self.objects: list[Any] = []
        self.cases: dict[Any, unittest.TestCase] = {}

    def run(self) -> None:
        """Execute requests until the sandbox closes the connection."""
        with self.connection:
            while (length := self._receive(4)) is not None:
                message = self._receive(LENGTH.unpack(length)[0])
                if message is None:
                    break
                operation, *operands = marshal.loads(message)
                try:
                    result = getattr(self, "do_" + operation)(
                        *[self.decode(operand) for operand in operands]
                    )
                    reply = ("done", self.encode(result))
                except BaseException as error:
                    reply = ("raised", self.describe(error))
                message = marshal.dumps(reply, 2)
                self.connection.sendall(LENGTH.pack(len(message)) + message)

    def _receive(self, count: int) -> bytes | None:
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
        """Return an attribute."""
        return getattr(owner, name)

    def do_set(self, owner: Any, name: str, value: Any) -> None:
        """Set an attribute."""
        setattr(owner, name, value)

    def do_call(self, function: Any, args: Any, kwargs: Any) -> Any:
        """Call a function."""
        return function(*args, **kwargs)

    def do_listener(self, family: int, listening: bool, timeout: float | None) -> socket.socket:
        """Return a bound socket, which listens if `listening`. One for IPv6 accepts IPv4, too."""
        ipv6 = family == GUEST_AF_INET6
        listener = socket.socket(socket.AF_INET6 if ipv6 else socket.AF_INET)
        listener.bind(("::" if ipv6 else "127.0.0.1", 0))
        if listening:
            listener.listen()
        listener.settimeout(timeout)
        return listener

    def describe(self, error: BaseException) -> tuple[Any, ...]:
        """Describe an exception, so that the sandbox can raise an equal one."""
        kind = type(error)
        try:
            args = self.encode(tuple(error.args))
        except TypeError:
            args = ("tuple", [])
        text = "".join(traceback.format_exception(error))
        return kind.__module__, kind.__qualname__, args, text

    def encode(self, value: Any) -> Any:
        """Encode plain data by value, and other objects by reference."""
        if isinstance(value, int) and not isinstance(value, bool):
            return ("value", int(value))
        if value is None or type(value) in (bool, float, str, bytes):
            return ("value", value)
        if type(value) is bytearray:
            return ("value", bytes(value))
        if type(value) in (tuple, list, set):
            return (type(value).__name__, [self.encode(item) for item in value])
        if type(value) is dict:
            return ("dict", [(self.encode(k), self.encode(v)) for k, v in value.items()])
        if isinstance(value, BaseException):
            return ("exception", self.describe(value))
        for reference, known in enumerate(self.objects):
            if known is value:
                return ("remote", reference)
        self.objects.append(value)
        return ("remote", len(self.objects) - 1)

    def decode(self, value: Any) -> Any:
        """Decode a value from the sandbox."""
        kind, content = value
        if kind == "remote":
            return self.objects[content]
        if kind == "named":
            found: Any = importlib.import_module(content[0])
            for name in content[1].split("."):
                found = getattr(found, name)
            return found
        if kind == "exception":
            return to_exception(*content)
        if kind == "context":
            return self.context(*content)
        if kind == "case":
            return self.case(*content)
        if kind == "attribute":
            return getattr(self.decode(content[0]), content[1])
        if kind == "source":
            return self.define(*content)
        if kind == "value":
            if isinstance(content, str) and content.startswith(GUEST_SUITE):
                return str(SUITE / content.removeprefix(GUEST_SUITE))
            return content
        if kind == "dict":
            return {self.decode(k): self.decode(v) for k, v in content}
        return getattr(builtins, kind)(self.decode(item) for item in content)

    def case(self, module: str, name: str, method: str, attributes: Any) -> unittest.TestCase:
        """Return the test that corresponds to the sandbox's, with its attributes."""
        if (module, name, method) not in self.cases:
            kind = self.decode(("named", (module, name)))
            self.cases[module, name, method] = kind(method)
        case = self.cases[module, name, method]
        for attribute, value in attributes:
            setattr(case, attribute, self.decode(value))
        return case

    def define(self, module: str, name: str, text: str, closure: Any) -> Any:
        """Define a function or class that a test in the sandbox defines in its body."""
        home = importlib.import_module(module)
        variables = {variable: self.decode(value) for variable, value in closure}
        # Inside a function, as in the test: the definition may assign to the variables around it.
        lines = [
            f"def _around({', '.join(variables)}):",
            textwrap.indent(text, " "),
            f" return {name}",
        ]
        namespace: dict[str, Any] = {}
        exec(compile("\n".join(lines), home.__file__ or module, "exec"), vars(home), namespace)
        return namespace["_around"](**variables)

    def context(self, protocol: int, settings: Any, calls: Any, callback: Any) -> ssl.SSLContext:
        """Return a context with the settings of the sandbox's."""
        context = ssl.SSLContext(ssl._SSLMethod(protocol))  # type: ignore[attr-defined]
        for name, arguments in calls:
            args, kwargs = self.decode(arguments)
            getattr(context, name)(*args, **kwargs)
        if (function := self.decode(callback)) is not None:
            context.set_servername_callback(function)
        context.check_hostname = False
        any_version = (ssl.PROTOCOL_TLS_CLIENT, ssl.PROTOCOL_TLS_SERVER, ssl.PROTOCOL_TLS)
        for name, value in settings:
            # A context for one version keeps it.
            if protocol in any_version or not name.endswith("_version"):
                setattr(context, name, value)
        return context


def to_exception(module: str, name: str, text: str) -> BaseException:
    """Return an exception of a sandbox, or one that describes it."""
    if name == "SkipTest":
        return unittest.SkipTest(text)
    return AssertionError(f"in the sandbox: {module}.{name}: {text}")


def prepare() -> None:
    """Patch the suite's modules."""
    import socket_host_side
    from test import test_ssl

    socket_host_side.prepare()

    stop = test_ssl.ThreadedEchoServer.stop

    def stop_now(self: Any) -> None:
        # Otherwise the server would wait for the rest of a second.
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
