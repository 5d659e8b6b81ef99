"""Reloads all modules between a program and the network."""

import importlib
import sys

for name in (
    "_socket",
    "select",
    "socket",
    "ssl",
    "selectors",
    "asyncio",
    "eryx_net",
    "eryx_net.host",
):
    try:
        importlib.reload(importlib.import_module(name))
    except BaseException as error:
        print(name, type(error).__name__)

import socket

try:
    socket.create_connection((CANARY_HOST, CANARY))
except Exception:
    sys.exit()
print("ESCAPED")
