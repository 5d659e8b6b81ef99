"""Runs a guest program natively: the interpreter's standard library, the shims, the fake host.

Usage: python bootstrap.py PYTHON_DIR < program
"""

import os
import sys

here = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [here, sys.argv[1]]

import real_modules  # noqa: E402

real_modules.forget()

import eryx_net  # noqa: E402

if sys.version_info < (3, 12):
    # `ssl` of older interpreters imports it.
    import eryx_net._ssl

    eryx_net._ssl.RAND_pseudo_bytes = lambda n: (eryx_net._ssl.RAND_bytes(n), True)

eryx_net.install()

import _socket  # noqa: E402
import socket  # noqa: E402

assert _socket.__name__ == "eryx_net._socket"
assert socket.socket.__mro__[1] is _socket.socket

source = sys.stdin.read()
sys.argv = ["guest"]
exec(compile(source, "<guest>", "exec"), {"__name__": "__main__"})
