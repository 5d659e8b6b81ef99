"""Calls every function of the bindings with random arguments of the right types."""

import random

from componentize_py_types import Err
from wit_world.imports import functions, poll, resolver, tcp, tls, udp

rng = random.Random(20)
held = {"call": [], "connection": [], "lookup": [], "session": [], "socket": []}


def text():
    return rng.choice(
        [
            "",
            "x",
            "\0",
            "example.com",
            "127.0.0.1",
            "::1",
            "a." * rng.randrange(300),
            "\U0010ffff" * 9,
            "".join(chr(rng.randrange(1, 0xD7FF)) for _ in range(rng.randrange(70))),
        ]
    )


def number(bits):
    return rng.choice([0, 1, 2**bits - 1, rng.randrange(2**bits), rng.randrange(100)])


def timeout():
    return rng.choice([0, 1, 1000])


def config():
    return tls.ClientConfig(
        rng.choice([None, text()]),
        [text() for _ in range(rng.randrange(4))],
        rng.random() < 0.8,
        rng.random() < 0.8,
        [text() for _ in range(rng.randrange(4))],
        rng.random() < 0.5,
        rng.choice([None, *tls.Revocation]),
        [text() for _ in range(rng.randrange(4))],
        rng.choice([None, tls.Identity([text()], text())]),
        rng.choice([None, tls.Version.TLS12, tls.Version.TLS13]),
        rng.choice([None, tls.Version.TLS12, tls.Version.TLS13]),
        [number(16) for _ in range(rng.randrange(4))],
        [number(16) for _ in range(rng.randrange(4))],
    )


def some(kind):
    return rng.choices(held[kind], k=rng.randrange(5)) if held[kind] else []


def call():
    kind = rng.choice(
        ["new", "new", "call", "connection", "lookup", "session", "socket", "poll", "drop"]
    )
    if kind == "new":
        new = rng.choice(list(held))
        if new == "connection":
            held[new].append(tcp.Connection.connect(text(), number(16)))
        elif new == "call":
            name = rng.choice(["echo", "block", "later", text()])
            arguments = rng.choice([b"[[1],{}]", text().encode()])
            held[new].append(functions.Call.start(name, arguments))
        elif new == "lookup":
            family = rng.choice(list(resolver.Family))
            held[new].append(resolver.Lookup.start(text(), rng.choice([None, number(16)]), family))
        elif new == "socket":
            held[new].append(udp.Socket.open(rng.choice(list(udp.Family))))
        else:
            held[new].append(tls.Session.client(config()))
    elif kind == "poll":
        connections, sockets = some("connection"), some("socket")
        poll.poll(
            connections,
            some("connection"),
            sockets,
            some("socket"),
            some("lookup"),
            some("call"),
            timeout(),
        )
    elif kind == "drop":
        dropped = held[rng.choice(list(held))]
        if dropped:
            dropped.pop(rng.randrange(len(dropped))).__exit__(None, None, None)
    elif held[kind]:
        target = rng.choice(held[kind])
        if kind in ("call", "lookup"):
            target.finish(timeout())
        elif kind == "socket":
            rng.choice(
                [
                    target.bind,
                    lambda: target.connect(text(), number(16)),
                    lambda: target.send(rng.randbytes(rng.randrange(70000)), timeout()),
                    lambda: target.send_to(
                        rng.randbytes(rng.randrange(70000)), text(), number(16), timeout()
                    ),
                    lambda: target.receive(number(32), timeout()),
                    target.local_endpoint,
                    target.peer_endpoint,
                ]
            )()
        elif kind == "session":
            rng.choice(
                [
                    lambda: target.feed(rng.randbytes(rng.randrange(40000))),
                    target.feed_eof,
                    lambda: target.take(number(32)),
                    target.handshake,
                    lambda: target.read(number(32)),
                    lambda: target.write(rng.randbytes(rng.randrange(40000))),
                    target.pending,
                    target.close,
                    target.info,
                ]
            )()
        else:
            rng.choice(
                [
                    lambda: target.finish_connect(timeout()),
                    lambda: target.read(number(32), timeout()),
                    lambda: target.write(rng.randbytes(rng.randrange(40000)), timeout()),
                    lambda: target.shutdown(rng.choice(list(tcp.ShutdownType))),
                    target.local_endpoint,
                    target.peer_endpoint,
                    lambda: target.set_no_delay(True),
                    lambda: target.set_keep_alive(False),
                    lambda: target.start_tls(config(), timeout()),
                    lambda: target.end_tls(timeout()),
                    target.tls_info,
                    target.pending,
                ]
            )()


failed = 0
for _ in range(5000):
    try:
        call()
    except Err:
        failed += 1
print(failed > 100, len(held["session"]))
