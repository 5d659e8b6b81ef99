"""Calls the extension module that passes buffer addresses to the host, with invalid arguments."""
# Programs: 171

import _eryx_bindings

ARGUMENTS = (
    (),
    (1,),
    (1, b""),
    (1, None, 0),
    ("x", b"", 0),
    (b"127.0.0.1", 65_536),
    (b"127.0.0.1", -1),
    (b"127.0.0.1", 65_536, 0),
    (b"127.0.0.1", -1, 0),
    (b"127.0.0.1", 80, 3),
    (None, 80, 0),
    (2**70, b"", 0),
    (1, b"", 2**90),
    (1, b"", None, 1, 0),
    (1, None, b"", 1, 0),
    (1, b"", b"", 2**40, 0),
    (b"", b"", b"", b"", None, 0),
    (None, b"", b"", b"", b"", 0),
    (b"", b"", b"", b"", b"", "x"),
)
NAMES = (
    "tcp_connect",
    "tcp_finish",
    "tcp_write",
    "tls_feed",
    "tls_write",
    "udp_send",
    "udp_send_to",
    "poll",
    "resolve",
)
if PROGRAMS != len(ARGUMENTS) * len(NAMES):
    print("ACCEPTED: the number of programs is wrong")
# A handle that does not exist ends the program, so that each has one call.
arguments, name = ARGUMENTS[PROGRAM // len(NAMES)], NAMES[PROGRAM % len(NAMES)]
try:
    getattr(_eryx_bindings, name)(*arguments)
except (TypeError, OverflowError, BufferError):
    pass
else:
    print("ACCEPTED", name, arguments)
