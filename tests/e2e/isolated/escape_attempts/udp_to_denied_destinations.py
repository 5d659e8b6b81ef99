"""Sends datagrams to loopback, private, multicast and broadcast addresses in every spelling."""

from componentize_py_types import Err
from wit_world.imports import udp

HOSTS = (
    "127.0.0.1 127.1 0 0.0.0.0 2130706433 0x7f000001 0177.0.0.1 localhost localhost. ::1 [::1] :: "
    "::ffff:127.0.0.1 ::ffff:7f00:1 ::127.0.0.1 64:ff9b::127.0.0.1 64:ff9b::7f00:1 2002:7f00:1:: ::1%lo fe80::1 "
    "0:0:0:0:0:0:0:1 127.0.0.1:80 169.254.169.254 10.0.0.1 192.168.255.255 224.0.0.1 239.255.255.250 "
    "255.255.255.255 ff02::1 ff02::fb ::ffff:224.0.0.1 64:ff9b::255.255.255.255 <broadcast>"
).split() + ["", " 127.0.0.1", "127.0.0.1\0", "127\uff0e0\uff0e0\uff0e1", "1" * 100_000]

for family in udp.Family:
    try:
        socket = udp.Socket.open(family)
    except Err as error:
        print(type(error.value).__name__)
        continue
    for host in HOSTS:
        for attempt in (
            lambda: socket.send_to(b"x", host, CANARY, 0),
            lambda: socket.connect(host, CANARY),
        ):
            try:
                attempt()
            except Err:
                continue
            print("ESCAPED", host)
    for attempt in (
        lambda: socket.send(b"x", 0),
        lambda: socket.receive(2**32 - 1, 0),
        lambda: socket.send_to(bytes(4_000_000), CANARY_HOST, CANARY, 0),
        socket.peer_endpoint,
    ):
        try:
            attempt()
        except Err:
            continue
        print("ESCAPED")
    # More sockets than allowed.
    held = []
    for _ in range(20_000):
        try:
            held.append(udp.Socket.open(family))
            held[-1].bind()
        except Err as error:
            print(len(held), type(error.value).__name__)
            break
    else:
        print("ESCAPED")
