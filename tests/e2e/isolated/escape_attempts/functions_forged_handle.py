"""Passes the handle of a connection, and none at all, as that of a call."""

from wit_world.imports import functions, tls

session = tls.Session.client(
    tls.ClientConfig("example.com", [], True, True, [], False, None, [], None, None, None, [], [])
)
forged = functions.Call.__new__(functions.Call)
forged.handle = session.handle
print("ESCAPED" if forged.finish(0) is not None else "")
