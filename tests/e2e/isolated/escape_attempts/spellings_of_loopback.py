"""Connects to loopback in every spelling, through the bindings."""

from componentize_py_types import Err
from wit_world.imports import tcp

HOSTS = (
    "127.0.0.1 127.1 0 0.0.0.0 2130706433 0x7f000001 0x7f.1 0177.0.0.1 017700000001 127.0.0.1. localhost "
    "LOCALHOST localhost. a.localhost ip6-localhost ip6-loopback localhost.localdomain ::1 [::1] ::ffff:127.0.0.1 "
    "::ffff:7f00:1 ::127.0.0.1 64:ff9b::127.0.0.1 64:ff9b::7f00:1 2002:7f00:1:: ::1%lo fe80::1%lo 0:0:0:0:0:0:0:1 "
    "::ffff:0:127.0.0.1 127.0.0.1:80 user@127.0.0.1 127.0.0.1@example.com 127%2e0%2e0%2e1 <broadcast>"
).split() + [
    "",
    " 127.0.0.1",
    "127.0.0.1\t",
    "127.0.0.1\0.example.com",
    "127\uff0e0\uff0e0\uff0e1",
    "\u24db\u24de\u24d2\u24d0\u24db\u24d7\u24de\u24e2\u24e3",
    "local\u00adhost",
    "local\u200bhost",
    "\u2460\u2461\u2466.0.0.1",
]
for host in HOSTS:
    try:
        tcp.Connection.connect(host, CANARY).finish_connect(None)
    except Err:
        continue
    print("ESCAPED", host)
