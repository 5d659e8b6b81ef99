"""A MySQL server on top of SQLite."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
from collections.abc import AsyncIterator, Iterator
from typing import Any

import mysql_mimic
from server_dir import Ports, ServerDir, free_port


class SqliteSession(mysql_mimic.Session):
    """A session that executes its statements with SQLite."""

    def __init__(self) -> None:
        super().__init__()
        self.sqlite = sqlite3.connect(":memory:")

    async def query(self, expression: Any, sql: str, attrs: dict[str, str]) -> Any:
        cursor = self.sqlite.execute(expression.sql(dialect="sqlite"))
        return cursor.fetchall(), [column[0] for column in cursor.description or ()]


class PasswordLogin(mysql_mimic.IdentityProvider):
    """A login with a password."""

    def get_plugins(self) -> list[mysql_mimic.AuthPlugin]:
        return [mysql_mimic.NativePasswordAuthPlugin()]

    async def get_user(self, username: str) -> mysql_mimic.User | None:
        plugin = mysql_mimic.NativePasswordAuthPlugin
        secret = plugin.create_auth_string("secret")
        return mysql_mimic.User(name=username, auth_string=secret, auth_plugin=plugin.name)


@contextlib.asynccontextmanager
async def mysql(server_dir: ServerDir) -> AsyncIterator[Ports]:
    server = mysql_mimic.MysqlServer(
        SqliteSession, identity_provider=PasswordLogin(), ssl=server_dir.tls_context()
    )
    port = free_port()
    with early_data_passed_to_tls():
        await server.start_server(host="127.0.0.1", port=port)
        # The client requests TLS within the protocol.
        yield port, port
        server.close()


@contextlib.contextmanager
def early_data_passed_to_tls() -> Iterator[None]:
    """Make `start_tls` pass data that were read ahead to TLS. A MySQL client starts the handshake
    without waiting for a reply, and asyncio's streams read ahead: without this, the handshake would
    wait for bytes that have already been read.
    """
    loop = asyncio.get_running_loop()
    start_tls = loop.start_tls

    async def start_tls_with_early_data(
        transport: Any, protocol: Any, *arguments: Any, **options: Any
    ) -> Any:
        read_ahead = protocol._stream_reader._buffer
        handshake = asyncio.ensure_future(start_tls(transport, protocol, *arguments, **options))
        await asyncio.sleep(0)
        if read_ahead:
            # Scheduled after the call that connects TLS with its transport.
            data = bytes(read_ahead)
            read_ahead.clear()
            feed = asyncio.protocols._feed_data_to_buffered_proto
            loop.call_soon(feed, transport.get_protocol(), data)
        return await handshake

    loop.start_tls = start_tls_with_early_data  # type: ignore[method-assign]
    try:
        yield
    finally:
        loop.start_tls = start_tls  # type: ignore[method-assign]
