"""Runs two hundred untrusted scripts on a Dask cluster, each in its copy of one saved session.

    cargo xtask wheel --release  # Builds eryx. The package of this name on PyPI is another project.
    pip install ../../target/wheels/eryx-*.whl --requirement ../requirements.txt
    python scale_out.py

The factory and the snapshot of the session are sent once to each worker. The machine code of the
factory comes from the cache of the user; on a cluster of several machines, each machine compiles it
once.
"""

import collections

import eryx
from distributed import Client, LocalCluster

# Imported and defined before the scripts start.
SETUP = """
import hashlib, json

def digest(value):
    return hashlib.sha256(json.dumps(value).encode()).hexdigest()
"""

# Runs once, in the session that is saved. The scripts find its names.
PREPARATION = "squares = [n * n for n in range(200)]"

LIMITS = eryx.ResourceLimits(execution_timeout_ms=2000, max_memory_bytes=64 * 2**20)


def script(number: int) -> str:
    """Return the script of a user: one in fifty never ends, and one in fifty allocates too much."""
    if number % 50 == 7:
        return "while True: pass"
    if number % 50 == 31:
        return "data = [bytes(2**20) for _ in range(1000)]"
    return f"print(digest(squares[:{number}])[:8])"


def prepare(factory: eryx.SandboxFactory) -> bytes:
    """Return the snapshot of a session in which the preparation has run."""
    with factory.create_sandbox(resource_limits=LIMITS).session() as session:
        session.execute(PREPARATION)
        return session.snapshot()


def run(factory: eryx.SandboxFactory, snapshot: bytes, source: str) -> str:
    """Run a script on a worker, and return its output or its error."""
    sandbox = factory.create_sandbox(resource_limits=LIMITS)
    try:
        with sandbox.restore(snapshot) as session:
            return session.execute(source).stdout.strip()
    except eryx.EryxError as error:
        return f"({type(error).__name__})"


def main() -> None:
    factory = eryx.SandboxFactory(imports=["hashlib", "json"], setup_code=SETUP)
    cluster = LocalCluster(
        n_workers=2, threads_per_worker=4, processes=True, dashboard_address=None
    )
    with cluster, Client(cluster) as client:
        shared = client.scatter([factory, prepare(factory)], broadcast=True)
        scripts = [script(number) for number in range(200)]
        arguments = [[each] * len(scripts) for each in shared]
        results = client.gather(client.map(run, *arguments, scripts))
    outcomes = collections.Counter(text if text.startswith("(") else "done" for text in results)
    print(f"{len(results)} scripts: {dict(sorted(outcomes.items()))}")
    print(f"number 0 printed {results[0]}, number 199 {results[199]}")


if __name__ == "__main__":
    main()
