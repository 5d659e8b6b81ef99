"""What is measured, in which unit, and what it is to be."""

from __future__ import annotations

import dataclasses
import os

import units
from targets import AtMost, Linear, Ratio, Target
from units import Unit

ERYX, NATIVE, PEER = COLUMNS = ("eryx", "native", "peer")
SANDBOXES = (ERYX, PEER)

# Groups in which two sides take turns. Both run on one processor: otherwise the figures are about
# where the kernel happened to put them, and how long a processor takes to wake up.
ON_ONE = ("exchange", "connect", "keep-alive")


@dataclasses.dataclass(frozen=True)
class Row:
    """One figure of a scene."""

    name: str
    unit: Unit
    targets: tuple[Target, ...] = ()


@dataclasses.dataclass(frozen=True)
class Program:
    """A file of `programs/`, run as it is in each column; its `main` returns the figure."""

    file: str
    secure: bool = False
    asynchronous: bool = False
    # Whether it needs the libraries.
    libraries: bool = False
    constants: dict[str, object] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True)
class Deed:
    """A function of `deeds.py`, run in a column's process; it returns the figures."""

    name: str
    # Whether each round has a process of its own.
    fresh: bool = False
    # It is done in one round of so many, and not in the round that warms up: it takes seconds, and
    # its figures vary little.
    every: int = 1
    arguments: tuple[int, ...] = ()


@dataclasses.dataclass(frozen=True)
class Start:
    """A process, from its start until it prints; each column's own program."""

    programs: dict[str, str]


@dataclasses.dataclass(frozen=True)
class Size:
    """How large a file or a folder is; nothing is run."""


@dataclasses.dataclass(frozen=True)
class Scene:
    """What is done in one step of a round."""

    group: str
    does: Program | Deed | Start | Size
    rows: tuple[Row, ...]
    columns: tuple[str, ...] = COLUMNS


def program(
    group: str,
    name: str,
    unit: Unit,
    file: str,
    *targets: Target,
    **options: bool | dict[str, object],
) -> Scene:
    return Scene(group, Program(file, **options), (Row(name, unit, targets),))  # type: ignore[arg-type]


def at_most(column: str, ratio: float, told: str = "") -> Ratio:
    return Ratio(column, at_most=ratio, told=told)


def at_least(column: str, ratio: float) -> Ratio:
    return Ratio(column, at_least=ratio)


START = "import eryx; print(eryx.Sandbox().execute('print(1)').{}, end='', flush=True)"
CORES = os.cpu_count() or 1
MIB = 2**20
KIB = 2**10

LIFETIMES = [
    Scene(
        "start",
        Start(
            {
                ERYX: START.format("stdout"),
                PEER: START.format("stdout_text"),
                NATIVE: "print(1, flush=True)",
            }
        ),
        (Row("process start to first result", units.MILLISECONDS, (at_most(PEER, 0.4),)),),
    ),
    Scene(
        "sandbox",
        Deed("new_sandbox"),
        (
            Row(
                "new sandbox and first execute",
                units.MICROSECONDS,
                (at_most(PEER, 0.3), at_most(PEER, 0.2, " (0.6 ms where it takes 3 ms)")),
            ),
        ),
        SANDBOXES,
    ),
    Scene(
        "sandbox",
        Deed("session"),
        (Row("execute in a session", units.MICROSECONDS, (at_most(PEER, 0.15),)),),
        SANDBOXES,
    ),
    Scene(
        "sandbox",
        Deed("factory_sandbox"),
        (
            Row(
                "new sandbox with requests imported, and execute",
                units.MICROSECONDS,
                (at_most(PEER, 0.3),),
            ),
        ),
        SANDBOXES,
    ),
]

NETWORK = [
    program(
        "exchange", "request and answer of 20 B, plain", units.MICROSECONDS, "exchange",
        at_most(NATIVE, 1.25), constants={"BATCHES": 10, "COUNT": 50},
    ),
    program(
        "exchange", "request and answer of 20 B, TLS", units.MICROSECONDS, "exchange",
        at_most(NATIVE, 1.1), secure=True, constants={"BATCHES": 10, "COUNT": 50},
    ),
    *(
        program(
            "download", f"download, {read} KiB reads, plain", units.MEGABYTES_PER_SECOND,
            "download", at_least(NATIVE, ratio), constants={"READ": read * KIB, "TOTAL": 64 * MIB},
        )
        for read, ratio in ((4, 0.5), (64, 0.9), (256, 0.9))
    ),
    program(
        "download", "download, 64 KiB reads, TLS", units.MEGABYTES_PER_SECOND, "download",
        at_least(NATIVE, 1.1), secure=True, constants={"READ": 64 * KIB, "TOTAL": 64 * MIB},
    ),
    program(
        "upload", "upload, 256 KiB writes, plain", units.MEGABYTES_PER_SECOND, "upload",
        constants={"PIECE": 256 * KIB, "TOTAL": 64 * MIB},
    ),
    program(
        "upload", "upload, 256 KiB writes, TLS", units.MEGABYTES_PER_SECOND, "upload",
        at_least(NATIVE, 1.1), secure=True, constants={"PIECE": 256 * KIB, "TOTAL": 64 * MIB},
    ),
    program(
        "connect", "connect, plain", units.MICROSECONDS, "connect",
        at_most(NATIVE, 1.5), at_most(PEER, 0.7), constants={"COUNT": 50},
    ),
    *(
        program(
            "connect", f"connect and handshake, {told}", units.MICROSECONDS, "handshake",
            at_most(NATIVE, 1.5), at_most(PEER, 0.7),
            secure=True, constants={"HOW": how, "COUNT": 10},
        )
        for how, told in (
            ("fresh", "fresh context"), ("full", "context kept"), ("resumed", "resumed"),
        )
    ),
    *(
        program(
            "keep-alive", f"keep-alive GET of 1 KiB, {library}", units.MICROSECONDS,
            f"keep_alive_{library.replace('.', '_')}", at_most(NATIVE, 1.4),
            libraries=library != "http.client", constants={"BATCHES": 10, "COUNT": 10},
        )
        for library in ("http.client", "requests", "httpx")
    ),
    program(
        "asyncio", "asyncio, 100 connections of 20 requests", units.MILLISECONDS,
        "asyncio_connections", at_most(NATIVE, 1.5),
        asynchronous=True, constants={"CONNECTIONS": 100, "COUNT": 20},
    ),
]  # fmt: skip

COMPUTING = [
    program("compute", "loop of pure Python", units.MILLISECONDS, "loop", at_most(PEER, 1.0)),
    program("compute", "json", units.MICROSECONDS, "json_documents", at_most(PEER, 1.0)),
    program("compute", "re", units.MICROSECONDS, "re_searches", at_most(PEER, 1.0)),
]

MANY = [
    Scene(
        "memory",
        Deed("idle_sessions", fresh=True, arguments=(100,)),
        (
            Row("memory per idle session, RSS", units.MEBIBYTES, (at_most(PEER, 0.5),)),
            Row("memory per idle session, PSS", units.MEBIBYTES, (AtMost(MIB),)),
        ),
        SANDBOXES,
    ),
    Scene(
        "crowd",
        Deed("crowd", fresh=True, every=4, arguments=(1000,)),
        (
            Row("1,000 sessions with a TLS connection each, RSS", units.MEBIBYTES),
            Row("1,000 sessions with a TLS connection each, PSS", units.MEBIBYTES),
            Row("1,000 sessions with a TLS connection each, descriptors", units.NUMBER),
            Row("request in one of 1,000 sessions, p50", units.MICROSECONDS),
            Row("request in one of 1,000 sessions, p99", units.MICROSECONDS),
        ),
        SANDBOXES,
    ),
    *(
        Scene(
            "throughput",
            Deed("throughput", arguments=(workers,)),
            (
                Row(
                    f"short scripts, {workers} worker{'s' * (workers > 1)}",
                    units.PER_SECOND,
                    (Linear("short scripts, 1 worker", min(workers, CORES)),) * (workers > 1),
                ),
                Row(
                    f"short scripts, {workers} worker{'s' * (workers > 1)}, p99 of one",
                    units.MICROSECONDS,
                ),
            ),
            SANDBOXES,
        )
        for workers in (1, 2, 4, 8)
    ),
]

BUILDING = [
    Scene(
        "build",
        Deed("build", fresh=True, every=4),
        (Row("factory with requests, cold", units.SECONDS),),
        SANDBOXES,
    ),
    Scene(
        "build",
        Deed("build_again", fresh=True),
        (Row("factory with requests, cached", units.MILLISECONDS, (AtMost(0.2),)),),
        SANDBOXES,
    ),
    Scene(
        "size",
        Size(),
        (
            Row("wheel", units.MEGABYTES),
            Row("package as installed", units.MEGABYTES),
            Row("image", units.MEGABYTES),
            Row("machine code of the image", units.MEGABYTES),
        ),
        SANDBOXES,
    ),
]

SCENES: list[Scene] = [*LIFETIMES, *NETWORK, *COMPUTING, *MANY, *BUILDING]
GROUPS = list(dict.fromkeys(scene.group for scene in SCENES))
