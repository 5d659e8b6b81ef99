"""The library that passes addresses to the host."""

import _eryx_wire

for arguments in (
    (),
    (1,),
    (1, b""),
    (1, None, 0),
    ("x", b"", 0),
    (2**70, b"", 0),
    (1, b"", 2**90),
):
    for name in ("tcp_write", "tls_feed", "tls_write"):
        try:
            getattr(_eryx_wire, name)(*arguments)
        except (TypeError, OverflowError, BufferError):
            continue
        print("TAKEN", name, arguments)
