"""The audit events of `_socket`, which are those of CPython."""

from __future__ import annotations

import ast
import subprocess
import sys

# Prints the events of functions that need no peer.
PROGRAM = """
import socket, sys
events = []
def hook(event, args):
    if event.startswith("socket."):
        shown = [type(each).__name__ if isinstance(each, socket.socket) else each for each in args]
        events.append((event, *map(str, shown)))
sys.addaudithook(hook)
with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as listener:
    listener.bind(("127.0.0.1", 0))
    listener.listen()
    address = listener.getsockname()
    with socket.socket() as client:
        client.connect(address)
        listener.accept()[0].close()
        try:
            client.sendto(b"x", 0, address)
            client.sendmsg([b"x"])
        except OSError:
            pass
    with socket.socket() as client:
        client.connect_ex(address)
socket.getaddrinfo("127.0.0.1", 80)
socket.gethostbyname("127.0.0.1")
socket.gethostbyname_ex("127.0.0.1")
socket.getnameinfo(("127.0.0.1", 80), socket.NI_NUMERICHOST)
socket.getservbyname("http")
socket.getservbyname("http", "tcp")
socket.getservbyport(80, "tcp")
socket.gethostname()
port = str(address[1])
print([[each.replace(port, "PORT") for each in event] for event in events])
"""


def test_the_audit_events_of_sockets_are_those_of_cpython(guest):
    native = subprocess.run(
        [sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True
    )
    expected = ast.literal_eval(native.stdout)
    assert ast.literal_eval(guest(PROGRAM)) == expected
    assert len(expected) > 10
