"""Drops one handle twice, and uses it afterwards."""

from wit_world.imports import tls

session = tls.Session.client(
    tls.ClientConfig("example.com", [], True, True, [], False, None, [], None, None, None, [], [])
)
handle = session.handle
session.__exit__(None, None, None)
session.handle = handle
session.__exit__(None, None, None)
session.handle = handle
session.read(10)
print("ESCAPED")
