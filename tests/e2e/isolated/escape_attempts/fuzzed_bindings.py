"""Every function of the contract, called thousands of times with arguments of the right type and no sense."""

import random

from componentize_py_types import Err
from wit_world.imports import poll, resolver, tcp, tls, udp

rng = random.Random(20)
held = {"connection": [], "lookup": [], "session": [], "socket": []}


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
    kind = rng.choice(["new", "new", "connection", "lookup", "session", "socket", "poll", "drop"])
    if kind == "new":
        what = rng.choice(list(held))
        if what == "connection":
            held[what].append(tcp.Connection.connect(text(), number(16)))
        elif what == "lookup":
            family = rng.choice(list(resolver.Family))
            held[what].append(resolver.Lookup.start(text(), rng.choice([None, number(16)]), family))
        elif what == "socket":
            held[what].append(udp.Socket.open(rng.choice(list(udp.Family))))
        else:
            held[what].append(tls.Session.client(config()))
    elif kind == "poll":
        connections, sockets = some("connection"), some("socket")
        poll.poll(
            connections, some("connection"), sockets, some("socket"), some("lookup"), timeout()
        )
    elif kind == "drop":
        what = rng.choice(list(held))
        if held[what]:
            held[what].pop(rng.randrange(len(held[what]))).__exit__(None, None, None)
    elif held[kind]:
        it = rng.choice(held[kind])
        if kind == "lookup":
            it.finish(timeout())
        elif kind == "socket":
            rng.choice(
                [
                    it.bind,
                    lambda: it.connect(text(), number(16)),
                    lambda: it.send(rng.randbytes(rng.randrange(70000)), timeout()),
                    lambda: it.send_to(
                        rng.randbytes(rng.randrange(70000)), text(), number(16), timeout()
                    ),
                    lambda: it.receive(number(32), timeout()),
                    it.local_endpoint,
                    it.peer_endpoint,
                ]
            )()
        elif kind == "session":
            rng.choice(
                [
                    lambda: it.feed(rng.randbytes(rng.randrange(40000))),
                    it.feed_eof,
                    lambda: it.take(number(32)),
                    it.handshake,
                    lambda: it.read(number(32)),
                    lambda: it.write(rng.randbytes(rng.randrange(40000))),
                    it.pending,
                    it.close,
                    it.info,
                ]
            )()
        else:
            rng.choice(
                [
                    lambda: it.finish_connect(timeout()),
                    lambda: it.read(number(32), timeout()),
                    lambda: it.write(rng.randbytes(rng.randrange(40000)), timeout()),
                    lambda: it.shutdown(rng.choice(list(tcp.ShutdownType))),
                    it.local_endpoint,
                    it.peer_endpoint,
                    lambda: it.set_no_delay(True),
                    lambda: it.set_keep_alive(False),
                    lambda: it.start_tls(config(), timeout()),
                    lambda: it.end_tls(timeout()),
                    it.tls_info,
                    it.pending,
                ]
            )()


failed = 0
for _ in range(5000):
    try:
        call()
    except Err:
        failed += 1
print(failed > 100, len(held["session"]))
