"""The client matrix: unmodified network libraries in sandboxes, against real servers.

`matrix.py --wheels FOLDER` runs every program of `programs/` and prints a table of what works, and
one of what the programs do in a session that was restored after they had connected. It exits with
status 1 if a program fails, or if a table differs from the one in the file of `--check`."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import dataclasses
import email
import glob
import pathlib
import re
import sys
import tempfile
import time
import zipfile

import eryx
import load
import model_api
import mongodb_server
import mysql_server
import snapshots
from server_dir import HOST, MissingError, ServerDir, Service

import servers

HERE = pathlib.Path(__file__).parent
NO_ASYNC = "no asyncio interface"
NO_SYNC = "asyncio only"
NO_NETWORK = "uses threads, and no network"
NO_CLIENT = "uses no network"


@dataclasses.dataclass(frozen=True)
class Client:
    """A library, its server, and its programs."""

    name: str
    service: Service
    module: str
    # Names of programs, or the reasons why there are none.
    sync: str
    asynchronous: str
    # The program that precedes them.
    prelude: str = ""
    # Whether the programs connect to the server.
    connects: bool = True
    # Whether it turns CPython's check of the server's name off and makes its own.
    checks_names: bool = False
    note: str = ""
    # Packages with native code that it needs, which `cargo xtask native` builds.
    native: tuple[str, ...] = ()
    # The keys that it needs, by the environment variables in which a program finds their
    # placeholders.
    keys: dict[str, str] = dataclasses.field(default_factory=dict)
    # Programs that cannot work, each with its error and with the missing feature.
    unsupported: dict[str, tuple[str, str]] = dataclasses.field(default_factory=dict)


CLIENTS = [
    Client("requests", servers.http, "requests", "requests", NO_ASYNC, "http_exchange"),
    Client(
        "requests", servers.http, "requests", "requests_threads", NO_ASYNC,
        note="in a pool of 16 threads",
    ),
    Client("urllib3", servers.http, "urllib3", "urllib3", NO_ASYNC, "http_exchange"),
    Client("httpx", servers.http, "httpx", "httpx", "httpx_async", "http_exchange"),
    Client(
        "httpx", servers.http, "httpx", "httpx_http2", "httpx_http2_async", "http_exchange",
        note="HTTP/2, with h2",
    ),
    Client("aiohttp", servers.http, "aiohttp", NO_SYNC, "aiohttp_async", "http_exchange"),
    Client("anyio", servers.echo, "anyio", NO_SYNC, "anyio_async"),
    Client(
        "websockets", servers.websocket, "websockets.asyncio.client", "websockets",
        "websockets_async",
    ),
    Client("websocket-client", servers.websocket, "websocket", "websocket_client", NO_ASYNC),
    Client("botocore", servers.s3, "botocore.session", "botocore", NO_ASYNC, note="S3"),
    Client("redis", servers.redis, "redis", "redis", "redis_async"),
    Client("pg8000", servers.postgresql, "pg8000", "pg8000", NO_ASYNC),
    Client("PyMySQL", mysql_server.mysql, "pymysql", "pymysql", NO_ASYNC),
    Client(
        "pymongo", servers.closed_port, "pymongo", "pymongo", "pymongo_async", connects=False,
        note="BSON, and the error where no server answers",
    ),
    Client(
        "pymongo", mongodb_server.mongodb, "pymongo", "pymongo_server", "pymongo_server_async",
        note="with a scripted server, in 8 threads",
    ),
    Client(
        "ldap3", servers.ldap, "ldap3", "ldap3", NO_ASYNC, checks_names=True,
        note="TLS with `allow_unverified_tls`, as it checks the name of the server itself",
    ),
    Client(
        "paho-mqtt", servers.mqtt, "paho.mqtt.client", "paho_mqtt", NO_ASYNC,
        note="its network loop run by hand",
    ),
    Client(
        "paho-mqtt", servers.mqtt, "paho.mqtt.client", "paho_mqtt_threads", NO_ASYNC,
        note="its network loop in a thread (`loop_start`)",
    ),
    Client("pika", servers.amqp, "pika", "pika", "pika_async", note="AMQP 0-9-1"),
    Client(
        "kafka-python", servers.closed_port, "kafka", "kafka", NO_ASYNC, connects=False,
        note="the error where no broker answers",
    ),
    Client(
        "APScheduler", servers.closed_port, "apscheduler", "apscheduler", NO_NETWORK,
        connects=False, note="jobs in threads",
    ),
    Client(
        "tqdm", servers.closed_port, "tqdm", "tqdm", NO_NETWORK, connects=False,
        note="its monitor, and `thread_map`",
    ),
    Client(
        "SQLAlchemy", servers.closed_port, "sqlalchemy", "sqlalchemy", NO_NETWORK,
        connects=False, note="its pool of connections",
    ),
    Client("nats-py", servers.nats, "nats", NO_SYNC, "nats_async"),
    Client("grpclib", servers.grpc, "grpclib.client", NO_SYNC, "grpclib_async", note="with h2"),
    Client(
        "dnspython", servers.dns, "dns.asyncquery", "dnspython", "dnspython_async",
        note="over UDP, TCP and TLS",
    ),
    Client("aiosmtplib", servers.smtp, "aiosmtplib", NO_SYNC, "aiosmtplib_async"),
    Client("smtplib", servers.smtp, "smtplib", "smtplib", NO_ASYNC),
    Client("imaplib", servers.imap, "imaplib", "imaplib", NO_ASYNC),
    Client("poplib", servers.pop3, "poplib", "poplib", NO_ASYNC),
    Client("ftplib", servers.ftp, "ftplib", "ftplib", NO_ASYNC),
    Client(
        "openai", model_api.model_api, "openai", "openai", "openai_async",
        native=("pydantic-core", "jiter"), keys=model_api.KEYS,
        note="streams, and the key as a [secret](secrets.md)",
    ),
    Client(
        "anthropic", model_api.model_api, "anthropic", "anthropic", "anthropic_async",
        native=("pydantic-core", "jiter"), keys=model_api.KEYS,
        note="streams, and the key as a [secret](secrets.md)",
    ),
    Client(
        "mcp", servers.closed_port, "mcp.server.fastmcp", NO_SYNC, "mcp_async", connects=False,
        native=("pydantic-core", "rpds-py"),
        note="a client and a server in one sandbox, in memory and over HTTP",
    ),
    Client(
        "fastapi", servers.closed_port, "fastapi.testclient", "fastapi", NO_CLIENT,
        connects=False, native=("pydantic-core",), note="its test client",
    ),
    Client(
        "flask", servers.closed_port, "flask", "flask", NO_CLIENT, connects=False,
        native=("markupsafe",), note="its test client",
    ),
    Client(
        "langchain-core", servers.closed_port, "langchain_core.language_models", "langchain_core",
        "langchain_core_async", connects=False,
        native=("pydantic-core", "pyyaml", "orjson", "uuid-utils", "xxhash", "zstandard"),
        note="prompts, chains and streams with a scripted model; " + NO_CLIENT,
    ),
    Client(
        "pydantic", servers.closed_port, "pydantic", "pydantic", NO_CLIENT, connects=False,
        native=("pydantic-core",),
    ),
    Client(
        "jinja2", servers.closed_port, "jinja2", "jinja2", NO_CLIENT, connects=False,
        native=("markupsafe",),
    ),
    Client(
        "jsonschema", servers.closed_port, "jsonschema", "jsonschema", NO_CLIENT, connects=False,
        native=("rpds-py",),
    ),
    Client(
        "pyyaml", servers.closed_port, "yaml", "yaml", NO_CLIENT, connects=False,
        native=("pyyaml",), note="with LibYAML",
    ),
    Client(
        "jiter", servers.closed_port, "jiter", "jiter", NO_CLIENT, connects=False,
        native=("jiter",),
    ),
    Client(
        "msgpack", servers.closed_port, "msgpack", "msgpack", NO_CLIENT, connects=False,
        native=("msgpack",),
    ),
    Client(
        "regex", servers.closed_port, "regex", "regex", NO_CLIENT, connects=False,
        native=("regex",),
    ),
    Client(
        "cryptography", servers.closed_port, "cryptography.x509", "cryptography", NO_CLIENT,
        connects=False, native=("cryptography", "cffi"), note="with OpenSSL",
    ),
    Client(
        "numpy", servers.closed_port, "numpy", "numpy", NO_CLIENT, connects=False,
        native=("numpy",),
    ),
    Client(
        "orjson", servers.closed_port, "orjson", "orjson", NO_CLIENT, connects=False,
        native=("orjson",),
    ),
    Client(
        "tiktoken", servers.closed_port, "tiktoken", "tiktoken", NO_CLIENT, connects=False,
        native=("tiktoken", "regex"),
    ),
    Client(
        "uuid-utils", servers.closed_port, "uuid_utils", "uuid_utils", NO_CLIENT, connects=False,
        native=("uuid-utils",),
    ),
    Client(
        "zstandard", servers.closed_port, "zstandard", "zstandard", NO_CLIENT, connects=False,
        native=("zstandard",),
    ),
    Client(
        "xxhash", servers.closed_port, "xxhash", "xxhash", NO_CLIENT, connects=False,
        native=("xxhash",),
    ),
]  # fmt: skip

YES = "yes"
NONE = "-"
# The columns: whether a program runs over TLS, and with asyncio.
COLUMNS = {
    "sync": (False, False),
    "sync, TLS": (True, False),
    "async": (False, True),
    "async, TLS": (True, True),
}


@dataclasses.dataclass
class Row:
    """The results of a client's programs."""

    client: Client
    version: str
    cells: dict[str, str]
    # What the programs do in a restored session.
    restored: dict[str, str]
    reasons: list[str]
    missing: bool = False

    def skip(self, reason: str) -> None:
        """Make it the row of a client that cannot be tried here."""
        self.missing = True
        self.cells = self.restored = dict.fromkeys(COLUMNS, "skipped")
        self.reasons = [reason]

    def line(self) -> str:
        cells = " | ".join(self.cells[column] for column in COLUMNS)
        reasons = "; ".join(dict.fromkeys(self.reasons))
        return f"| {self.client.name} | {self.version} | {cells} | {reasons} |"

    def restored_line(self) -> str:
        cells = " | ".join(self.restored[column] for column in COLUMNS)
        return f"| {self.client.name} | {cells} | {self.client.note} |"


class Matrix:
    """The clients' programs and the server_dir they run in."""

    def __init__(
        self,
        factory: eryx.SandboxFactory | None,
        native_factory: eryx.SandboxFactory | None,
        server_dir: ServerDir,
        known: dict[str, str],
    ):
        self.factory = factory
        # With native packages. Each is None if no client needs it.
        self.native_factory = native_factory
        self.server_dir = server_dir
        # The versions of all packages, by their names.
        self.versions = known
        self.network = (
            eryx.NetConfig(max_connections=20, hosts={HOST: ["127.0.0.1"]})
            .allow_internal_host(HOST)
            .with_root_cert(self.server_dir.ca)
            # FTP and DNS clients connect to an address, not to a name.
            .allow_localhost()
            .allow_udp("127.0.0.1:1-65535")
        )
        # 200 TLS connections need more host memory than the default limit.
        self.limits = eryx.ResourceLimits(
            execution_timeout_ms=60_000, max_memory_bytes=2**28, max_host_memory_bytes=2**27
        )
        self.failures: list[str] = []

    async def row(self, client: Client) -> Row:
        version = self.versions.get(client.name.lower(), "of CPython")
        row = Row(client, version, {}, {}, [client.note] if client.note else [])
        if unbuilt := [package for package in client.native if package not in self.versions]:
            row.skip(f"`cargo xtask native {' '.join(unbuilt)}` first")
            return row
        async with contextlib.AsyncExitStack() as stack:
            try:
                ports = await stack.enter_async_context(client.service(self.server_dir))
            except MissingError as missing:
                row.skip(str(missing))
                return row
            for column, (tls, asynchronous) in COLUMNS.items():
                name = client.asynchronous if asynchronous else client.sync
                row.restored[column] = NONE
                if not (HERE / "programs" / f"{name}.py").exists():
                    row.cells[column] = NONE
                    row.reasons.append(name)
                    continue
                start = time.monotonic()
                failure = await self.run(client, name, ports[tls], tls)
                if name in client.unsupported:
                    error, reason = client.unsupported[name]
                    if failure and error in failure:
                        row.cells[column] = NONE
                        row.reasons.append(reason)
                        continue
                    failure = failure or f"it works, although it {reason}"
                print(
                    f"{client.name}: {name}, {'TLS' if tls else 'plaintext'}:",
                    failure or f"{time.monotonic() - start:.1f} s",
                    file=sys.stderr,
                )
                row.cells[column] = "FAILED" if failure else YES
                if failure:
                    self.failures.append(f"{name} ({column}): {failure}")
                elif snapshots.can_be_interrupted(name):
                    ended, failure = await self.run_restored(client, name, ports[tls], tls)
                    row.restored[column] = ended
                    if failure:
                        row.restored[column] = "FAILED"
                        self.failures.append(f"{name} ({column}), restored: {failure}")
        return row

    def sandbox(self, client: Client) -> eryx.Sandbox:
        network = self.network
        if client.checks_names:
            network = network.allow_unverified_tls(True)
        for name, key in client.keys.items():
            secret = eryx.Secret(key, hosts=[HOST], plaintext_hosts=[HOST])
            network = network.with_secret(name, secret)
        factory = self.native_factory if client.native else self.factory
        assert factory
        return factory.create_sandbox(network=network, resource_limits=self.limits)

    async def run(self, client: Client, name: str, port: int, tls: bool) -> str | None:
        """Run a program, and return the reason if it failed."""
        try:
            result = await self.sandbox(client).aexecute(
                "\n".join([*texts(client, name, port, tls), "print('done')"])
            )
        except eryx.EryxError as error:
            return describe(error)
        # Standard error is ignored: libraries print warnings to it.
        if result.stdout != "done\n":
            return f"printed {result.stdout!r} and {result.stderr!r}"
        if client.connects and not snapshots.has_reached(result, port):
            return "it has received nothing from the server"
        return None

    async def run_restored(
        self, client: Client, name: str, port: int, tls: bool
    ) -> tuple[str, str | None]:
        """Interrupt a program for a snapshot. Return how it ends in a session that is restored from
        that, and the reason if it failed."""
        constants, prelude, program = texts(client, name, port, tls)
        library = client.module.partition(".")[0]
        first, second = snapshots.parts(constants, prelude, program, library)
        whole = "\n".join([constants, prelude, program, "print('done')"])
        sandboxes = self.sandbox(client), self.sandbox(client)
        start = time.monotonic()
        try:
            ended, failure = await snapshots.outcome(*sandboxes, first, second, whole, port)
        except eryx.EryxError as error:
            ended, failure = "", describe(error)
        print(
            f"{client.name}: {name}, {'TLS' if tls else 'plaintext'}, restored:",
            failure or f"{ended}, {time.monotonic() - start:.1f} s",
            file=sys.stderr,
        )
        return ended, failure


def texts(client: Client, name: str, port: int, tls: bool) -> list[str]:
    """Return the constants of a program, its prelude, and the program itself."""
    programs = HERE / "programs"
    return [
        f"HOST, PORT, TLS = {HOST!r}, {port}, {tls}",
        (programs / f"{client.prelude}.py").read_text() if client.prelude else "",
        (programs / f"{name}.py").read_text(),
    ]


def describe(error: eryx.EryxError) -> str:
    """Return what a program printed before it ended with an error, and the error."""
    details = getattr(error, "traceback", None) or repr(error)
    return f"{error.stdout}{error.stderr}{details}"


def versions(wheels: list[str]) -> dict[str, str]:
    """Return the versions of wheels by their normalised names (PEP 503)."""
    found = {}
    for wheel in wheels:
        with zipfile.ZipFile(wheel) as archive:
            # A package may contain others, in deeper folders.
            [metadata] = [
                name for name in archive.namelist()
                if name.endswith(".dist-info/METADATA") and name.count("/") == 1
            ]  # fmt: skip
            fields = email.message_from_bytes(archive.read(metadata))
        found[re.sub(r"[-_.]+", "-", fields["Name"]).lower()] = fields["Version"]
    return found


HEAD = f"| library | version | {' | '.join(COLUMNS)} | |"
RESTORED_HEAD = f"| library | {' | '.join(COLUMNS)} | |"


def tables(rows: list[Row]) -> dict[str, list[tuple[Row, str]]]:
    """Return the lines of both tables by the head of the table, each with its row."""
    restored = [row for row in rows if row.missing or set(row.restored.values()) != {NONE}]
    return {
        HEAD: [(row, row.line()) for row in rows],
        RESTORED_HEAD: [(row, row.restored_line()) for row in restored],
    }


def table(head: str, lines: list[tuple[Row, str]]) -> str:
    rule = "|---" * (head.count("|") - 1) + "|"
    return "".join(f"{line}\n" for line in (head, rule, *(line for _, line in lines)))


def find_table(lines: list[str], head: str) -> slice:
    """Return where the table with `head` is in `lines`."""
    start = end = lines.index(head)
    while end < len(lines) and lines[end].startswith("|"):
        end += 1
    return slice(start, end)


def is_same_table(file: pathlib.Path, head: str, rows: list[tuple[Row, str]]) -> bool:
    """Return whether the table in `file` has `rows`, without those that were skipped here."""
    text = file.read_text().splitlines()
    lines = text[find_table(text, head)][2:]
    names = {found.split("|")[1].strip() for found in lines}
    # A client that was skipped may have no line in this table.
    rows = [(row, line) for row, line in rows if not row.missing or row.client.name in names]
    return len(lines) == len(rows) and all(
        found == line or (row.missing and found.startswith(f"| {row.client.name} |"))
        for found, (row, line) in zip(lines, rows, strict=True)
    )


def write_table(file: pathlib.Path, head: str, rows: list[tuple[Row, str]]) -> None:
    """Replace the table in `file`."""
    lines = file.read_text().splitlines()
    lines[find_table(lines, head)] = table(head, rows).splitlines()
    file.write_text("\n".join(lines) + "\n")


def ignore_cancelled(loop: asyncio.AbstractEventLoop, context: dict[str, object]) -> None:
    """Ignore connections that a server cancels when it stops."""
    if not isinstance(context.get("exception"), asyncio.CancelledError):
        loop.default_exception_handler(context)


async def build(wheels: list[str], clients: list[Client]) -> eryx.SandboxFactory | None:
    """Return a factory with the modules of the clients, if there are clients."""
    modules = sorted({client.module for client in clients} - {""})
    if not clients:
        return None
    # All native packages together need more memory than the default limit.
    limits = eryx.ResourceLimits(max_memory_bytes=2**28)
    return await asyncio.to_thread(
        eryx.SandboxFactory, packages=wheels, imports=modules, resource_limits=limits
    )


async def main() -> int:
    asyncio.get_running_loop().set_exception_handler(ignore_cancelled)
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--wheels", nargs="+", required=True, help="folders with the libraries")
    parser.add_argument(
        "--native", nargs="+", default=[], help="folders with native packages and their libraries"
    )
    parser.add_argument(
        "--only-native", action="store_true", help="the clients that need native packages"
    )
    parser.add_argument("only", nargs="*", help="names of clients, instead of all")
    parser.add_argument("--check", type=pathlib.Path, help="compare with this file's table")
    parser.add_argument("--write", type=pathlib.Path, help="put the table into this file")
    args = parser.parse_args()
    wheels = sorted(wheel for folder in args.wheels for wheel in glob.glob(f"{folder}/*.whl"))
    chosen = [client for client in CLIENTS if not args.only or client.name in args.only]
    is_whole = not args.only and not args.only_native
    if args.only_native:
        chosen = [client for client in chosen if client.native]
    if unknown := set(args.only) - {client.name for client in CLIENTS}:
        parser.error(f"there are no clients called {', '.join(sorted(unknown))}")
    native = sorted(wheel for folder in args.native for wheel in glob.glob(f"{folder}/*.whl"))
    known = versions(wheels + native)
    factory = await build(wheels, [client for client in chosen if not client.native])
    native_factory = await build(
        native, [client for client in chosen if client.native and known.keys() >= {*client.native}]
    )
    rows = []
    with tempfile.TemporaryDirectory(prefix="eryx-clients-") as directory:
        server_dir = ServerDir(pathlib.Path(directory))
        server_dir.path.chmod(0o755)
        matrix = Matrix(factory, native_factory, server_dir, known)
        for client in chosen:
            rows.append(await matrix.row(client))
        if is_whole:
            assert factory
            failures = load.failures(factory, matrix.network, matrix.limits, server_dir)
            matrix.failures += [failure async for failure in failures]
    both = tables(rows)
    for head, lines in both.items():
        print(table(head, lines))
    for failure in matrix.failures:
        print(failure, file=sys.stderr)
    skipped = [row for row in rows if row.missing]
    print(
        f"{len(rows)} clients: {len(matrix.failures)} programs failed, {len(skipped)} were skipped"
    )
    for row in skipped:
        print(f"SKIPPED: {row.client.name}: {row.reasons[0]}")
    if args.write:
        for head, lines in both.items():
            write_table(args.write, head, lines)
    if args.check and is_whole:
        for head, lines in both.items():
            if not is_same_table(args.check, head, lines):
                print(f"{args.check} has another table, of which this is the head: {head}")
                print("`cargo xtask client-matrix --write` updates it")
                return 1
    return 1 if matrix.failures else 0


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
