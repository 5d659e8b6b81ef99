"""The benchmark definitions: workload, unit and target of each."""

from __future__ import annotations

import dataclasses
import os

import units
from targets import AtMost, Linear, OfRow, Ratio, Target
from units import Unit

ERYX, NATIVE, PYERYX = SUBJECTS = ("eryx", "native", "pyeryx")
SANDBOXES = (ERYX, PYERYX)

# The groups in which client and server alternate. Both are pinned to one CPU: otherwise the results
# depend on the CPUs that the kernel chooses, and on how long an idle CPU takes to wake up.
PINNED_GROUPS = ("request-response", "connect", "keep-alive", "nginx")


@dataclasses.dataclass(frozen=True)
class Row:
    """One measurement of a benchmark."""

    name: str
    unit: Unit
    targets: tuple[Target, ...] = ()


@dataclasses.dataclass(frozen=True)
class Program:
    """A file of `programs/`, the same for each subject. Its `main` returns the measurement."""

    file: str
    secure: bool = False
    asynchronous: bool = False
    # Whether it imports the libraries.
    libraries: bool = False
    # Whether it connects to a name. Inspected rows do, as rules and secrets are for names, and so
    # do the rows that they are compared with: libraries take longer for a name than for an address.
    by_name: bool = False
    # What is for the server: nothing, an HTTP rule, or a rule and a secret that requests get.
    inspection: str = ""
    # The listener of nginx (a field of `NginxPorts`); empty for the servers of the harness.
    listener: str = ""
    # Whether `main` returns the 50th and the 99th percentile, instead of the median.
    quantiles: bool = False
    constants: dict[str, object] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True)
class SandboxWorkload:
    """A method of `Workloads`, which runs in the worker process and returns the measurements."""

    name: str
    # Whether each run has a worker process of its own.
    fresh: bool = False
    # Runs in every n-th round only, and not in the warm-up round: it takes seconds, and its
    # measurements vary little.
    every: int = 1
    arguments: tuple[int, ...] = ()


@dataclasses.dataclass(frozen=True)
class ProcessStart:
    """A process, timed from its start until it prints. Each subject has its own program."""

    programs: dict[str, str]


@dataclasses.dataclass(frozen=True)
class ArtifactSizes:
    """The sizes of files and folders. Nothing is run."""


@dataclasses.dataclass(frozen=True)
class Benchmark:
    """A workload, and the rows that it measures."""

    group: str
    workload: Program | SandboxWorkload | ProcessStart | ArtifactSizes
    rows: tuple[Row, ...]
    subjects: tuple[str, ...] = SUBJECTS


def program(
    group: str,
    name: str,
    unit: Unit,
    file: str,
    *targets: Target,
    **options: bool | str | dict[str, object],
) -> Benchmark:
    return Benchmark(group, Program(file, **options), (Row(name, unit, targets),))  # type: ignore[arg-type]


def at_most(subject: str, ratio: float, note: str = "") -> Ratio:
    return Ratio(subject, at_most=ratio, note=note)


def at_least(subject: str, ratio: float) -> Ratio:
    return Ratio(subject, at_least=ratio)


def nginx(
    name: str, file: str, *targets: Target, listener: str = "plain", **options: object
) -> Benchmark:
    """Return a benchmark against nginx of the time that a program takes."""
    program = Program(
        file,
        secure=listener != "plain",
        by_name=True,
        listener=listener,
        quantiles=True,
        **options,  # type: ignore[arg-type]
    )
    rows = (
        Row(f"nginx: {name}", units.MICROSECONDS, targets),
        Row(f"nginx: {name}, p99", units.MICROSECONDS),
    )
    return Benchmark("nginx", program, rows)


def inspected(benchmark: Benchmark, inspection: str, **bound: float) -> Benchmark:
    """Return a benchmark of a program on an inspected host, with a bound relative to the same on
    another host."""
    assert isinstance(benchmark.workload, Program)
    [row] = benchmark.rows
    target = (OfRow(row.name, "uninspected", **bound),) if bound else ()
    return Benchmark(
        benchmark.group,
        dataclasses.replace(benchmark.workload, inspection=inspection),
        (Row(f"{row.name}, {INSPECTIONS[inspection]}", row.unit, target),),
        (ERYX,),
    )


def with_inspected(benchmarks: list[Benchmark]) -> list[Benchmark]:
    """Return the benchmarks, and after those in `INSPECTED` the same on an inspected host: directly
    one after the other in each round, so that both meet the same load."""
    pairs = []
    for benchmark in benchmarks:
        pairs.append(benchmark)
        for inspection, bound in INSPECTED.get(benchmark.rows[0].name, {}).items():
            pairs.append(inspected(benchmark, inspection, **bound))
    return pairs


START = "import eryx; print(eryx.Sandbox().execute('print(1)').{}, end='', flush=True)"
CORES = os.cpu_count() or 1
MIB = 2**20
KIB = 2**10

LIFETIMES = [
    Benchmark(
        "start",
        ProcessStart(
            {
                ERYX: START.format("stdout"),
                PYERYX: START.format("stdout_text"),
                NATIVE: "print(1, flush=True)",
            }
        ),
        (Row("process start to first result", units.MILLISECONDS, (at_most(PYERYX, 0.4),)),),
    ),
    Benchmark(
        "sandbox",
        SandboxWorkload("new_sandbox"),
        (
            Row(
                "new sandbox and first execute",
                units.MICROSECONDS,
                (at_most(PYERYX, 0.3), at_most(PYERYX, 0.2, " (0.6 ms where it takes 3 ms)")),
            ),
        ),
        SANDBOXES,
    ),
    Benchmark(
        "sandbox",
        SandboxWorkload("session_execute"),
        (Row("execute in a session", units.MICROSECONDS, (at_most(PYERYX, 0.15),)),),
        SANDBOXES,
    ),
    Benchmark(
        "sandbox",
        SandboxWorkload("values"),
        (
            Row(
                "new sandbox and first execute, with a value",
                units.MICROSECONDS,
                (OfRow("new sandbox and first execute", "without a value", at_most=1.3),),
            ),
            Row(
                "execute in a session, with a value",
                units.MICROSECONDS,
                (OfRow("execute in a session", "without a value", at_most=1.3),),
            ),
        ),
        (ERYX,),
    ),
    Benchmark(
        "sandbox",
        SandboxWorkload("fork"),
        (
            Row(
                "fork of a session with 9 imports and 5,000 objects",
                units.MILLISECONDS,
                (AtMost(0.002),),
            ),
        ),
        (ERYX, NATIVE),
    ),
    Benchmark(
        "sandbox",
        SandboxWorkload("snapshots"),
        (
            Row("snapshot of it", units.MILLISECONDS),
            Row("size of the snapshot", units.KILOBYTES),
            Row("restoration of it", units.MILLISECONDS),
        ),
        SANDBOXES,
    ),
    Benchmark(
        "sandbox",
        SandboxWorkload("factory_sandbox"),
        (
            Row(
                "new sandbox with requests imported, and execute",
                units.MICROSECONDS,
                (at_most(PYERYX, 0.3),),
            ),
        ),
        SANDBOXES,
    ),
]

NETWORK = [
    program(
        "request-response", "request and response of 20 B, plain", units.MICROSECONDS,
        "request_response",
        at_most(NATIVE, 1.25), constants={"BATCHES": 10, "COUNT": 50},
    ),
    program(
        "request-response", "request and response of 20 B, TLS", units.MICROSECONDS,
        "request_response",
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
        constants={"CHUNK": 256 * KIB, "TOTAL": 64 * MIB},
    ),
    program(
        "upload", "upload, 256 KiB writes, TLS", units.MEGABYTES_PER_SECOND, "upload",
        at_least(NATIVE, 1.1), secure=True, constants={"CHUNK": 256 * KIB, "TOTAL": 64 * MIB},
    ),
    program(
        "connect", "connect, plain", units.MICROSECONDS, "connect",
        at_most(NATIVE, 1.5), at_most(PYERYX, 0.7), constants={"COUNT": 50},
    ),
    *(
        program(
            "connect", f"connect and handshake, {label}", units.MICROSECONDS, "tls_handshake",
            at_most(NATIVE, 1.5), at_most(PYERYX, 0.7),
            secure=True, constants={"MODE": mode, "COUNT": 10},
        )
        for mode, label in (
            ("fresh", "fresh context"), ("full", "context kept"), ("resumed", "resumed"),
        )
    ),
    *(
        program(
            "keep-alive", f"keep-alive GET of 1 KiB, {library}", units.MICROSECONDS,
            f"keep_alive_{library.replace('.', '_')}", at_most(NATIVE, 1.4),
            libraries=library != "http.client", by_name=True,
            constants={"BATCHES": 10, "COUNT": 10},
        )
        for library in ("http.client", "requests", "httpx")
    ),
    program(
        "keep-alive", "keep-alive GET of 1 KiB, aiohttp", units.MICROSECONDS,
        "keep_alive_aiohttp", at_most(NATIVE, 1.4),
        libraries=True, asynchronous=True, by_name=True, constants={"BATCHES": 10, "COUNT": 10},
    ),
    program(
        "asyncio", "asyncio, 100 connections of 20 requests", units.MILLISECONDS,
        "asyncio_connections", at_most(NATIVE, 1.5),
        asynchronous=True, constants={"CONNECTIONS": 100, "COUNT": 20},
    ),
]  # fmt: skip

# The rows of `NETWORK` that are measured on an inspected host as well, and their bounds.
INSPECTIONS = {"rule": "inspected", "secret": "inspected, with a secret"}
RULE, SECRET = INSPECTIONS
INSPECTED: dict[str, dict[str, dict[str, float]]] = {
    # Every byte of these is searched if there is a secret.
    "download, 64 KiB reads, plain": {RULE: {"at_least": 1 / 1.15}, SECRET: {}},
    "download, 64 KiB reads, TLS": {RULE: {"at_least": 1 / 1.15}, SECRET: {}},
    "upload, 256 KiB writes, plain": {RULE: {"at_least": 1 / 1.15}, SECRET: {}},
    "upload, 256 KiB writes, TLS": {RULE: {"at_least": 1 / 1.15}, SECRET: {}},
    **{
        f"keep-alive GET of 1 KiB, {library}": {RULE: {"at_most": 1.1}, SECRET: {"at_most": 1.1}}
        for library in ("http.client", "requests", "httpx", "aiohttp")
    },
}

# A call is measured alone, as a batch would hide the slow ones.
SINGLE_CALLS = {"BATCHES": 500, "COUNT": 1}
NGINX = [
    nginx(
        "connect by name, plain", "connect", at_most(NATIVE, 1.3), constants={"COUNT": 200},
    ),
    *(
        nginx(
            f"connect and handshake, fresh context, {label}", "tls_handshake",
            at_most(PYERYX, 0.8),
            listener=listener, constants={"MODE": "fresh", "COUNT": 100},
        )
        for listener, label in (("x25519", "X25519"), ("p384", "P-384"))
    ),
    nginx(
        "request and response of 20 B, TLS", "request_response", at_most(NATIVE, 1.0),
        listener="x25519", constants=SINGLE_CALLS,
    ),
    *(
        nginx(
            f"keep-alive GET of 1 KiB, {library}", f"keep_alive_{library.replace('.', '_')}",
            at_most(NATIVE, ratio),
            libraries=library != "http.client", constants=SINGLE_CALLS,
        )
        for library, ratio in (("http.client", 1.0), ("requests", 1.4), ("httpx", 1.5))
    ),
    *(
        program(
            "nginx-download", f"nginx: download, 64 KiB reads, {label}",
            units.MEGABYTES_PER_SECOND, "download", at_least(NATIVE, ratio),
            secure=listener != "plain", listener=listener,
            constants={"READ": 64 * KIB, "TOTAL": 64 * MIB},
        )
        for listener, label, ratio in (("plain", "plain", 1.0), ("x25519", "TLS", 1.2))
    ),
]  # fmt: skip

FUNCTIONS = [
    Benchmark(
        "functions",
        SandboxWorkload("function_calls"),
        (
            Row("call of a plain function", units.MICROSECONDS, (AtMost(25e-6),)),
            Row("call of an async function, awaited", units.MICROSECONDS),
            Row("200 overlapping calls that take 100 ms", units.MILLISECONDS, (AtMost(0.4),)),
            Row("call with 1 MiB each way", units.MILLISECONDS),
        ),
        (ERYX,),
    ),
]

FILES = [
    program(
        "files", name, units.MICROSECONDS, "files", at_most(NATIVE, ratio),
        constants={"OPERATION": operation, "SIZE": size, "COUNT": count},
    )
    for name, operation, size, count, ratio in (
        ("`os.stat`", "stat", 100, 100, 2.0),
        ("`os.path.exists` of a missing file", "missing", 100, 100, 2.0),
        ("open, read and close a file of 100 B", "read", 100, 100, 2.0),
        ("open, read and close a file of 1 MiB", "read", MIB, 5, 1.5),
    )
]  # fmt: skip

COMPUTING = [
    program("compute", "loop of pure Python", units.MILLISECONDS, "loop", at_most(PYERYX, 1.0)),
    program("compute", "json", units.MICROSECONDS, "json_documents", at_most(PYERYX, 1.0)),
    program("compute", "re", units.MICROSECONDS, "re_searches", at_most(PYERYX, 1.0)),
]

MANY = [
    Benchmark(
        "memory",
        SandboxWorkload("idle_sessions", fresh=True, arguments=(100,)),
        (
            Row("memory per idle session, RSS", units.MEBIBYTES, (at_most(PYERYX, 0.5),)),
            Row("memory per idle session, PSS", units.MEBIBYTES, (AtMost(MIB),)),
        ),
        SANDBOXES,
    ),
    Benchmark(
        "many-sessions",
        SandboxWorkload("many_sessions", fresh=True, every=4, arguments=(1000,)),
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
        Benchmark(
            "throughput",
            SandboxWorkload("throughput", arguments=(workers,)),
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
    Benchmark(
        "build",
        SandboxWorkload("build_factory", fresh=True, every=4),
        (Row("factory with requests, cold", units.SECONDS),),
        SANDBOXES,
    ),
    Benchmark(
        "build",
        SandboxWorkload("build_cached_factory", fresh=True),
        (Row("factory with requests, cached", units.MILLISECONDS, (AtMost(0.2),)),),
        SANDBOXES,
    ),
    Benchmark(
        "size",
        ArtifactSizes(),
        (
            Row("wheel", units.MEGABYTES),
            Row("package as installed", units.MEGABYTES),
            Row("image", units.MEGABYTES),
            Row("machine code of the image", units.MEGABYTES),
        ),
        SANDBOXES,
    ),
]

BENCHMARKS: list[Benchmark] = [
    *LIFETIMES,
    *with_inspected(NETWORK),
    *NGINX,
    *FUNCTIONS,
    *FILES,
    *COMPUTING,
    *MANY,
    *BUILDING,
]
GROUPS = list(dict.fromkeys(benchmark.group for benchmark in BENCHMARKS))
