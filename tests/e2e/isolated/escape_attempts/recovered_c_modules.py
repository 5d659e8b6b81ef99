"""Creates the built-in modules `_socket` and `select` again, without the shims."""

import _imp
import importlib.machinery
import sys

for name in list(sys.modules):
    if name.startswith("eryx_net") or name in ("_socket", "_ssl", "select", "socket", "ssl"):
        del sys.modules[name]
for name in ("_socket", "select"):
    module = _imp.create_builtin(importlib.machinery.BuiltinImporter.find_spec(name))
    _imp.exec_builtin(module)
    sys.modules[name] = module

import socket

for family in (socket.AF_INET, socket.AF_INET6):
    for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
        try:
            socket.socket(family, kind).connect((CANARY_HOST, CANARY))
        except OSError:
            continue
        print("ESCAPED")
