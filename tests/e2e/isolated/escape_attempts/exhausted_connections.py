"""Creates more connections, lookups and TLS sessions than allowed."""

from componentize_py_types import Err
from wit_world.imports import resolver, tcp, tls

held = []
config = tls.ClientConfig(
    "example.com", [], True, True, [], False, None, [], None, None, None, [], []
)
for new in (
    lambda: tcp.Connection.connect("203.0.113.1", 80),
    lambda: tcp.Connection.connect("example.com", 80),
    lambda: resolver.Lookup.start("example.com", 80, resolver.Family.ANY),
    lambda: tls.Session.client(config),
):
    for count in range(20_000):
        try:
            held.append(new())
        except Err as error:
            print(count, type(error.value).__name__)
            break
    else:
        print("ESCAPED")
