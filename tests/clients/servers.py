"""The servers of the client matrix: each runs on loopback while its context is open."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import hashlib
import json
import os
import pathlib
import pwd
import shutil
import socket
import sys
from collections.abc import AsyncIterator
from typing import Any

import aiosmtpd.controller
import aiosmtpd.smtp
import dnslib.server
import grpclib.const
import grpclib.encoding.base
import grpclib.exceptions
import grpclib.server
import hypercorn.asyncio
import hypercorn.config
import websockets.asyncio.server
from server_dir import (
    MissingError,
    Ports,
    ServerDir,
    find_program,
    free_port,
    listen,
    run_server,
    tls_proxy,
    wait_until_listening,
)


@contextlib.asynccontextmanager
async def echo(server_dir: ServerDir) -> AsyncIterator[Ports]:
    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(65536):
                writer.write(data)
                await writer.drain()
        writer.close()

    async with listen(handler) as plain, listen(handler, server_dir.tls_context()) as tls:
        yield plain, tls


class HttpApp:
    """An ASGI application for HTTP clients."""

    def __init__(self) -> None:
        self.waiting = 0
        self.gatherings: dict[int, tuple[list[None], asyncio.Event]] = {}

    async def together(self, number: int) -> None:
        """Wait until `number` such requests wait at the same time."""
        waiting, all_here = self.gatherings.setdefault(number, ([], asyncio.Event()))
        waiting.append(None)
        if len(waiting) == number:
            del self.gatherings[number]
            all_here.set()
        await asyncio.wait_for(all_here.wait(), 60)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            while True:
                message = await receive()
                await send({"type": message["type"] + ".complete"})
                if message["type"] == "lifespan.shutdown":
                    return
        if scope["type"] == "websocket":
            await self.websocket(receive, send)
            return
        status, headers, body = await self.answer(scope["path"], receive)
        headers.append((b"content-length", str(len(body)).encode()))
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    async def websocket(self, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        while (message := await receive())["type"] == "websocket.receive":
            message["type"] = "websocket.send"
            await send(message)

    async def answer(self, path: str, receive: Any) -> tuple[int, list[tuple[bytes, bytes]], bytes]:
        body = b""
        more = True
        while more:
            message = await receive()
            body += message.get("body", b"")
            more = message.get("more_body", False)
        _, route, *rest = path.split("/")
        if route == "":
            return 200, [], b"hello"
        if route == "echo":
            return 200, [], body
        if route == "redirect":
            return 302, [(b"location", b"/")], b""
        if route == "digest":
            return 200, [], json.dumps([len(body), hashlib.sha256(body).hexdigest()]).encode()
        number = int(rest[0])
        if route == "status":
            return number, [], b"status"
        if route == "together":
            await self.together(number)
            return 200, [], b"together"
        if route == "waiting":
            return 200, [], str(self.waiting).encode()
        if route == "wait":
            await asyncio.sleep(number / 1000)
            return 200, [], b"waited"
        if route == "forever":
            self.waiting += 1
            try:
                await asyncio.sleep(3600)
            finally:
                self.waiting -= 1
        content = bytes(range(251)) * (number // 251) + bytes(number % 251)
        if route == "gzip":
            return 200, [(b"content-encoding", b"gzip")], gzip.compress(content)
        return 200, [], content


@contextlib.asynccontextmanager
async def http(server_dir: ServerDir) -> AsyncIterator[Ports]:
    ports = free_port(), free_port()
    config = hypercorn.config.Config()
    config.insecure_bind = [f"127.0.0.1:{ports[0]}"]
    config.bind = [f"127.0.0.1:{ports[1]}"]
    config.certfile, config.keyfile = str(server_dir.chain), str(server_dir.key)
    config.errorlog = None
    config.backlog = 1024
    over = asyncio.Event()
    serving = asyncio.create_task(
        hypercorn.asyncio.serve(HttpApp(), config, shutdown_trigger=over.wait)
    )
    for port in ports:
        await wait_until_listening(port, lambda: not serving.done())
    yield ports
    over.set()
    with contextlib.suppress(TimeoutError, asyncio.CancelledError):
        await asyncio.wait_for(serving, 5)


@contextlib.asynccontextmanager
async def websocket(server_dir: ServerDir) -> AsyncIterator[Ports]:
    async def handler(connection: websockets.asyncio.server.ServerConnection) -> None:
        async for message in connection:
            await connection.send(message)

    serve = websockets.asyncio.server.serve
    size = 2**22
    async with (
        serve(handler, "127.0.0.1", 0, max_size=size) as plain,
        serve(handler, "127.0.0.1", 0, max_size=size, ssl=server_dir.tls_context()) as tls,
    ):
        yield tuple(next(iter(server.sockets)).getsockname()[1] for server in (plain, tls))


@contextlib.asynccontextmanager
async def s3(server_dir: ServerDir) -> AsyncIterator[Ports]:
    port = free_port()
    server = pathlib.Path(sys.executable).parent / "moto_server"
    # The server's host name is not a bucket name.
    options = {"env": {**os.environ, "S3_IGNORE_SUBDOMAIN_BUCKETNAME": "true"}}
    async with (
        run_server(server_dir, (port,), server, "-H", "127.0.0.1", "-p", str(port), **options),
        tls_proxy(server_dir, port) as tls,
    ):
        yield port, tls


@contextlib.asynccontextmanager
async def redis(server_dir: ServerDir) -> AsyncIterator[Ports]:
    server = find_program("redis-server", "redis-server")
    plain, tls = free_port(), free_port()
    command = [server, "--save", "", "--dir", str(server_dir.path), "--bind", "127.0.0.1"]
    command += ["--port", str(plain), "--tls-port", str(tls), "--tls-auth-clients", "no"]
    command += ["--tls-cert-file", str(server_dir.chain), "--tls-key-file", str(server_dir.key)]
    command += ["--tls-ca-cert-file", str(server_dir.root)]
    async with run_server(server_dir, (plain, tls), *command):
        yield plain, tls


@contextlib.asynccontextmanager
async def postgresql(server_dir: ServerDir) -> AsyncIterator[Ports]:
    folders = sorted(pathlib.Path("/usr/lib/postgresql").glob("*/bin"))
    found = [
        find_program(name, "postgresql", *map(str, folders)) for name in ("initdb", "postgres")
    ]
    initdb, postgres = (str(pathlib.Path(name).resolve()) for name in found)
    # PostgreSQL refuses to run as root.
    user = "postgres" if os.geteuid() == 0 else pwd.getpwuid(os.geteuid()).pw_name
    owner = pwd.getpwnam(user)
    options: dict[str, Any] = {}
    if os.geteuid() == 0:
        options = {"user": user, "group": owner.pw_gid, "extra_groups": []}
    home = server_dir.path / "postgresql"
    home.mkdir(mode=0o700)
    password = home / "password"
    password.write_text("secret")
    shutil.copy(server_dir.chain, home / "chain.pem")
    shutil.copy(server_dir.key, home / "key.pem")
    (home / "key.pem").chmod(0o600)
    for path in (home, *home.iterdir()):
        os.chown(path, owner.pw_uid, owner.pw_gid)
    data = home / "data"
    command = [initdb, "-D", data, "-U", "eryx", "--pwfile", password, "-A", "scram-sha-256"]
    process = await asyncio.create_subprocess_exec(
        *command, "--no-sync", "-E", "UTF8", cwd=home, stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT, **options
    )  # fmt: skip
    output, _ = await process.communicate()
    if process.returncode:
        raise RuntimeError(output.decode())
    port = free_port()
    settings = {
        "port": port,
        "listen_addresses": "127.0.0.1",
        "unix_socket_directories": "",
        "fsync": "off",
        "ssl": "on",
        "ssl_cert_file": home / "chain.pem",
        "ssl_key_file": home / "key.pem",
    }
    command = [postgres, "-D", data, *(f"--{name}={value}" for name, value in settings.items())]
    async with run_server(server_dir, (port,), *command, cwd=home, **options):
        # PostgreSQL listens before it is ready.
        log = server_dir.path / "postgres.log"
        for _ in range(600):
            if "ready to accept connections" in log.read_text():
                break
            await asyncio.sleep(0.05)
        # The client requests TLS within the protocol.
        yield port, port


@contextlib.asynccontextmanager
async def mqtt(server_dir: ServerDir) -> AsyncIterator[Ports]:
    plain, tls = free_port(), free_port()
    settings = {
        "listeners": {
            "default": {"type": "tcp", "bind": f"127.0.0.1:{plain}"},
            "tls": {
                "bind": f"127.0.0.1:{tls}",
                "ssl": True,
                "certfile": str(server_dir.chain),
                "keyfile": str(server_dir.key),
            },
        },
        "plugins": {"amqtt.plugins.authentication.AnonymousAuthPlugin": {"allow_anonymous": True}},
    }
    file = server_dir.path / "amqtt.json"
    file.write_text(json.dumps(settings))
    amqtt = pathlib.Path(sys.executable).parent / "amqtt"
    # The program reads YAML, of which JSON is a subset.
    async with run_server(server_dir, (plain, tls), amqtt, "-c", file):
        yield plain, tls


@contextlib.asynccontextmanager
async def amqp(server_dir: ServerDir) -> AsyncIterator[Ports]:
    # The script on the PATH only runs as its own user or as root.
    folder = "/usr/lib/rabbitmq/bin"
    find_program("rabbitmq-server", "rabbitmq-server", folder)
    epmd = find_program("epmd", "erlang-base")
    home = server_dir.path / "rabbitmq"
    home.mkdir()
    plain, tls, names, nodes = (free_port() for _ in range(4))
    file = home / "rabbitmq.conf"
    file.write_text(f"""
listeners.tcp.1 = 127.0.0.1:{plain}
listeners.ssl.1 = 127.0.0.1:{tls}
ssl_options.cacertfile = {server_dir.root}
ssl_options.certfile = {server_dir.chain}
ssl_options.keyfile = {server_dir.key}
ssl_options.verify = verify_none
""")
    (home / "enabled_plugins").write_text("[].")
    environment = {
        **os.environ,
        "HOME": str(home),
        "RABBITMQ_CONFIG_FILE": str(file),
        "RABBITMQ_ENABLED_PLUGINS_FILE": str(home / "enabled_plugins"),
        "RABBITMQ_MNESIA_BASE": str(home / "data"),
        "RABBITMQ_LOG_BASE": str(home),
        "RABBITMQ_LOGS": "-",
        "RABBITMQ_NODENAME": f"eryx{plain}@localhost",
        "RABBITMQ_DIST_PORT": str(nodes),
        "ERL_EPMD_PORT": str(names),
        "ERL_EPMD_ADDRESS": "127.0.0.1",
        # Keeps the server in the process that was started.
        "RUNNING_UNDER_SYSTEMD": "true",
    }
    server = f"{folder}/rabbitmq-server"
    async with (
        run_server(server_dir, (names,), epmd, env=environment),
        run_server(server_dir, (plain, tls), server, env=environment, cwd=home),
    ):
        yield plain, tls


@contextlib.asynccontextmanager
async def nats(server_dir: ServerDir) -> AsyncIterator[Ports]:
    plain, tls = free_port(), free_port()
    server = pathlib.Path(sys.executable).parent / "nats-server"
    command = [server, "-a", "127.0.0.1"]
    encryption = ["--tls", "--tlscert", server_dir.chain, "--tlskey", server_dir.key]
    async with (
        run_server(server_dir, (plain,), *command, "-p", str(plain)),
        run_server(server_dir, (tls,), *command, "-p", str(tls), *encryption),
    ):
        yield plain, tls


class MailHandler:
    """Accepts mail for example.com only."""

    async def handle_RCPT(self, server: Any, session: Any, envelope: Any, to: str, _: Any) -> str:
        if not to.endswith("@example.com"):
            return "550 not here"
        envelope.rcpt_tos.append(to)
        return "250 OK"

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
        if envelope.content.count(b"line\r\n") != 10_000:
            return "554 lines are missing"
        return "250 OK"


@contextlib.asynccontextmanager
async def smtp(server_dir: ServerDir) -> AsyncIterator[Ports]:
    loop = asyncio.get_running_loop()
    context = server_dir.tls_context()
    servers = [
        await loop.create_server(
            lambda tls=tls: aiosmtpd.smtp.SMTP(
                MailHandler(), tls_context=context if tls else None, require_starttls=tls, loop=loop
            ),
            "127.0.0.1",
            0,
        )
        for tls in (False, True)
    ]
    yield tuple(server.sockets[0].getsockname()[1] for server in servers)
    for server in servers:
        server.close()


@contextlib.asynccontextmanager
async def dovecot(server_dir: ServerDir, protocol: str) -> AsyncIterator[Ports]:
    server = find_program("dovecot", f"dovecot-{protocol}d")
    if not pathlib.Path(f"/usr/lib/dovecot/{protocol}").exists():
        raise MissingError(
            f"dovecot has no {protocol} (Debian: `apt-get install dovecot-{protocol}d`)"
        )
    user = "nobody" if os.geteuid() == 0 else pwd.getpwuid(os.geteuid()).pw_name
    owner = pwd.getpwnam(user)
    home = server_dir.path / protocol
    for part in ("cur", "new", "tmp"):
        (home / "mail" / part).mkdir(parents=True)
    message = "Subject: in the box\n\n" + "line\n" * 1000 + "..dot\n"
    (home / "mail/new/1.eryx").write_text(message)
    for path in (home / "mail", *(home / "mail").rglob("*")):
        os.chown(path, owner.pw_uid, owner.pw_gid)
    ports = free_port(), free_port()
    settings = f"""
base_dir = {home}/run
state_dir = {home}/state
log_path = /dev/stderr
listen = 127.0.0.1
protocols = {protocol}
disable_plaintext_auth = no
ssl = yes
ssl_cert = <{server_dir.chain}
ssl_key = <{server_dir.key}
first_valid_uid = 1
first_valid_gid = 1
mail_location = maildir:{home}/mail
passdb {{
  driver = static
  args = password=secret
}}
userdb {{
  driver = static
  args = uid={owner.pw_uid} gid={owner.pw_gid} home={home}
}}
service {protocol}-login {{
  chroot =
  inet_listener {protocol} {{
    port = {ports[0]}
  }}
  inet_listener {protocol}s {{
    port = {ports[1]}
  }}
}}
service anvil {{
  chroot =
}}
"""
    if os.geteuid() != 0:
        settings += f"default_internal_user = {user}\ndefault_login_user = {user}\n"
    file = home / "dovecot.conf"
    file.write_text(settings)
    async with run_server(server_dir, ports, server, "-F", "-c", file):
        yield ports


def imap(server_dir: ServerDir) -> contextlib.AbstractAsyncContextManager[Ports]:
    return dovecot(server_dir, "imap")


def pop3(server_dir: ServerDir) -> contextlib.AbstractAsyncContextManager[Ports]:
    return dovecot(server_dir, "pop3")


@contextlib.asynccontextmanager
async def ftp(server_dir: ServerDir) -> AsyncIterator[Ports]:
    home = server_dir.path / "ftp"
    home.mkdir()
    plain, tls = free_port(), free_port()
    script = pathlib.Path(__file__).parent / "ftp_server.py"
    command = [sys.executable, script, str(home), str(plain), str(tls), str(server_dir.chain)]
    async with run_server(server_dir, (plain, tls), *command, str(server_dir.key)):
        yield plain, tls


class Zone(dnslib.server.BaseResolver):
    """The names of zone.example."""

    def resolve(self, request: Any, handler: Any) -> Any:
        reply = request.reply()
        name = str(request.q.qname).rstrip(".")
        if name == "www.zone.example":
            reply.add_answer(*dnslib.RR.fromZone(f"{name}. 60 A 192.0.2.7"))
        elif name == "long.zone.example":
            for n in range(50):
                reply.add_answer(*dnslib.RR.fromZone(f'{name}. 60 TXT "{n} {"x" * 100}"'))
        else:
            reply.header.rcode = dnslib.RCODE.NXDOMAIN
        return reply


@contextlib.asynccontextmanager
async def dns(server_dir: ServerDir) -> AsyncIterator[Ports]:
    port = free_port()
    quiet = dnslib.server.DNSLogger("-request,-reply,-truncated")
    running = [
        dnslib.server.DNSServer(
            Zone(), "127.0.0.1", port, tcp=tcp, logger=quiet, handler=ShortOverUdp
        )
        for tcp in (True, False)
    ]
    for server in running:
        server.start_thread()
    async with tls_proxy(server_dir, port) as tls:
        yield port, tls
    for server in running:
        server.stop()


class ShortOverUdp(dnslib.server.DNSHandler):
    """Truncates UDP replies to the maximum length without EDNS (RFC 1035, 4.2.1)."""

    udplen = 512


class Json(grpclib.encoding.base.CodecBase):
    """A JSON codec, which needs no generated code."""

    __content_subtype__ = "json"

    def encode(self, message: Any, message_type: Any) -> bytes:
        return json.dumps(message).encode()

    def decode(self, data: bytes, message_type: Any) -> Any:
        return json.loads(data)


class Echo:
    """The service eryx.Echo."""

    def __mapping__(self) -> dict[str, grpclib.const.Handler]:
        async def one(stream: Any) -> None:
            await stream.send_message(await stream.recv_message())

        async def many(stream: Any) -> None:
            async for message in stream:
                await stream.send_message(message)

        async def fail(stream: Any) -> None:
            raise grpclib.exceptions.GRPCError(grpclib.const.Status.NOT_FOUND, "nothing here")

        unary = grpclib.const.Cardinality.UNARY_UNARY
        streams = grpclib.const.Cardinality.STREAM_STREAM
        return {
            "/eryx.Echo/One": grpclib.const.Handler(one, unary, None, None),
            "/eryx.Echo/Many": grpclib.const.Handler(many, streams, None, None),
            "/eryx.Echo/Fail": grpclib.const.Handler(fail, unary, None, None),
        }


@contextlib.asynccontextmanager
async def grpc(server_dir: ServerDir) -> AsyncIterator[Ports]:
    ports = free_port(), free_port()
    context = server_dir.tls_context()
    context.set_alpn_protocols(["h2"])
    servers = [grpclib.server.Server([Echo()], codec=Json()) for _ in ports]
    await servers[0].start("127.0.0.1", ports[0])
    await servers[1].start("127.0.0.1", ports[1], ssl=context)
    yield ports
    for server in servers:
        server.close()
        await server.wait_closed()


@contextlib.asynccontextmanager
async def ldap(server_dir: ServerDir) -> AsyncIterator[Ports]:
    port = free_port()
    script = pathlib.Path(__file__).parent / "ldap_server.py"
    async with (
        run_server(server_dir, (port,), sys.executable, script, str(port)),
        tls_proxy(server_dir, port) as tls,
    ):
        yield port, tls


@contextlib.asynccontextmanager
async def closed_port(server_dir: ServerDir) -> AsyncIterator[Ports]:
    """A port on which no server listens."""
    with socket.socket() as taken:
        # Bound, so that no other process gets it, but not listening.
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        yield port, port
