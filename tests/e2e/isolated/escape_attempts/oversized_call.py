"""Passes more bytes in one call than the host accepts."""

from wit_world.imports import tls

session = tls.Session.client(
    tls.ClientConfig("example.com", [], True, True, [], False, None, [], None, None, None, [], [])
)
session.feed(bytes(50_000_000))
print("ESCAPED")
