"""Uses handles that were never allocated."""

import copy

from wit_world.imports import tcp, tls, udp

forged = tcp.Connection.__new__(tcp.Connection)
forged.handle = 7
other = tls.Session.__new__(tls.Session)
other.handle = 2**31 - 1
datagrams = udp.Socket.__new__(udp.Socket)
datagrams.handle = 7
for attempt in (
    # If both copies dropped the handle, the second drop would end the sandbox or hit another object.
    lambda: copy.copy(forged),
    lambda: forged.write(b"x", 0),
    lambda: other.feed(b"x"),
    lambda: datagrams.send_to(b"x", CANARY_HOST, CANARY, 0),
    lambda: forged.read(1, 0),
):
    try:
        attempt()
    except BaseException as error:
        print(type(error).__name__)
    else:
        print("ESCAPED")
