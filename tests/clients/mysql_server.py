"""A server that speaks MySQL, over SQLite."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
from collections.abc import AsyncIterator, Iterator
from typing import Any

import mysql_mimic
from place import Place, Ports, free_port


class Sql(mysql_mimic.Session):
    """A session whose statements are carried out by SQLite."""

    def __init__(self) -> None:
        super().__init__()
        self.database_of_session = sqlite3.connect(":memory:")

    async def query(self, expression: Any, sql: str, attrs: dict[str, str]) -> Any:
        cursor = self.database_of_session.execute(expression.sql(dialect="sqlite"))
        return cursor.fetchall(), [column[0] for column in cursor.description or ()]


class Login(mysql_mimic.IdentityProvider):
    """One user, who has a password."""

    def get_plugins(self) -> list[mysql_mimic.AuthPlugin]:
        return [mysql_mimic.NativePasswordAuthPlugin()]

    async def get_user(self, username: str) -> mysql_mimic.User | None:
        plugin = mysql_mimic.NativePasswordAuthPlugin
        secret = plugin.create_auth_string("secret")
        return mysql_mimic.User(name=username, auth_string=secret, auth_plugin=plugin.name)


@contextlib.asynccontextmanager
async def mysql(place: Place) -> AsyncIterator[Ports]:
    server = mysql_mimic.MysqlServer(Sql, identity_provider=Login(), ssl=place.context())
    port = free_port()
    with handing_over():
        await server.start_server(host="127.0.0.1", port=port)
        # TLS is asked for within the protocol.
        yield port, port
        server.close()


@contextlib.contextmanager
def handing_over() -> Iterator[None]:
    """Have `start_tls` hand over what was read already. A client of MySQL does not wait for an
    answer before it begins the handshake, and asyncio's streams read ahead: the handshake would
    wait for bytes that are there.
    """
    loop = asyncio.get_running_loop()
    start_tls = loop.start_tls

    async def started(transport: Any, protocol: Any, *arguments: Any, **options: Any) -> Any:
        ahead = protocol._stream_reader._buffer
        handshake = asyncio.ensure_future(start_tls(transport, protocol, *arguments, **options))
        await asyncio.sleep(0)
        if ahead:
            # Behind the call that tells TLS of its transport.
            early = bytes(ahead)
            ahead.clear()
            feed = asyncio.protocols._feed_data_to_buffered_proto
            loop.call_soon(feed, transport.get_protocol(), early)
        return await handshake

    loop.start_tls = started  # type: ignore[method-assign]
    try:
        yield
    finally:
        loop.start_tls = start_tls  # type: ignore[method-assign]
