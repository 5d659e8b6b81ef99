"""Forks and snapshots of sessions."""

import asyncio
import copy
import glob
import os
import subprocess
import sys

import pytest

import eryx
import fake_internet


def stdout(session, program):
    return session.execute(program).stdout


def test_forks_are_independent_and_belong_to_no_sandbox_object():
    session = eryx.Sandbox().session()
    session.execute("x = [0]")
    forks = [session.fork() for _ in range(3)]
    for number, fork in enumerate(forks):
        fork.execute("x.append(n)", inputs={"n": number})
    assert [stdout(fork, "print(x)") for fork in forks] == ["[0, 0]\n", "[0, 1]\n", "[0, 2]\n"]
    session.close()
    assert stdout(forks[0].fork(), "print(x)") == "[0, 0]\n"
    with pytest.raises(eryx.SessionClosedError):
        session.fork()
    with pytest.raises(eryx.SessionClosedError):
        session.snapshot()


def test_copy_is_refused_with_a_pointer_to_fork():
    session = eryx.Sandbox().session()
    for function in (copy.copy, copy.deepcopy):
        with pytest.raises(TypeError, match="fork"):
            function(session)


def test_each_fork_calls_the_callbacks_of_its_own_execution():
    pieces = []
    session = eryx.Sandbox(on_stdout=pieces.append).session()
    session.execute("x = 1; print('first')")
    fork = session.fork()
    fork.execute("print('fork')")
    session.execute("print('session')")
    assert "".join(pieces) == "first\nfork\nsession\n"
    restored = eryx.Sandbox(on_stdout=lambda text: pieces.append(text.upper()))
    restored = restored.restore(session.snapshot())
    restored.execute("print('restored', x)")
    assert pieces[-1].strip() == "RESTORED 1"


def test_forks_run_at_the_same_time_in_asyncio():
    async def main():
        async with eryx.Sandbox().session() as session:
            await session.aexecute("import asyncio; x = 0")
            forks = await asyncio.gather(*(session.afork() for _ in range(4)))
            program = "await asyncio.sleep(0.01); x += n; print(x)"
            results = await asyncio.gather(
                *(fork.aexecute(program, inputs={"n": n}) for n, fork in enumerate(forks))
            )
            data = await session.asnapshot()
            restored = await eryx.Sandbox().arestore(data)
            value = (await restored.aexecute("x", value=True)).value
            return [result.stdout for result in results], value

    assert asyncio.run(main()) == (["0\n", "1\n", "2\n", "3\n"], 0)


def test_a_fork_waits_for_the_program_that_runs():
    async def main():
        session = eryx.Sandbox().session()
        running = asyncio.ensure_future(session.aexecute("import time; time.sleep(0.2); x = 1"))
        await asyncio.sleep(0.05)
        fork = await session.afork()
        await running
        return (await fork.aexecute("print(x)")).stdout

    assert asyncio.run(main()) == "1\n"


def test_a_snapshot_continues_in_another_process(tmp_path):
    session = eryx.Sandbox().session()
    session.execute("x = 41; open('/tmp/a', 'w').write('kept')")
    path = tmp_path / "snapshot"
    path.write_bytes(session.snapshot())
    program = (
        "import eryx, sys\n"
        "session = eryx.Sandbox(env={'NEW': '1'}).restore(open(sys.argv[1], 'rb').read())\n"
        "program = \"import os; print(x + 1, open('/tmp/a').read(), os.environ['NEW'])\"\n"
        "print(session.execute(program).stdout, end='')\n"
    )
    output = subprocess.run(
        [sys.executable, "-c", program, os.fspath(path)], capture_output=True, text=True, check=True
    )
    assert output.stdout == "42 kept 1\n"


def test_data_of_another_type_or_content_is_refused():
    sandbox = eryx.Sandbox()
    with pytest.raises(TypeError, match="data"):
        sandbox.restore("text")
    with pytest.raises(eryx.SnapshotError, match="not a snapshot"):
        sandbox.restore(b"")
    assert issubclass(eryx.SnapshotError, eryx.EryxError)


def test_a_snapshot_of_another_factory_is_refused():
    factory = eryx.SandboxFactory(setup_code="import json", cache=False)
    session = factory.create_sandbox().session()
    session.execute("x = 1")
    data = session.snapshot()
    assert stdout(factory.create_sandbox().restore(data), "print(x)") == "1\n"
    assert stdout(session.fork(), "print(x)") == "1\n"
    with pytest.raises(eryx.SnapshotError, match="factory"):
        eryx.Sandbox().restore(data)


# Connections of the pool of a client are open when the session is forked.
SYNC_CLIENTS = """
import httpx, requests, urllib3
clients = {
    "requests": requests.Session().get,
    "httpx": httpx.Client().get,
    "urllib3": lambda url: urllib3.PoolManager.request(pool, "GET", url),
}
pool = urllib3.PoolManager()
def visit(url):
    for name, get in clients.items():
        response = get(url)
        print(name, getattr(response, "status_code", None) or response.status)
visit(URL)
"""
ASYNC_CLIENTS = """
import aiohttp, httpx
session, client = aiohttp.ClientSession(), httpx.AsyncClient()
async def visit(url):
    async with session.get(url) as response:
        print("aiohttp", response.status, len(await response.read()) > 0)
    print("httpx", (await client.get(url)).status_code)
await visit(URL)
"""


@pytest.mark.parametrize(
    ("imports", "program", "visit"),
    [
        (["requests", "httpx", "urllib3"], SYNC_CLIENTS, "visit(URL)"),
        (["aiohttp", "httpx"], ASYNC_CLIENTS, "await visit(URL)"),
    ],
    ids=["sync", "async"],
)
def test_pools_of_clients_connect_anew_in_a_fork_and_in_a_restored_session(
    port, imports, program, visit
):
    wheels = glob.glob(f"{fake_internet.libraries()}/*.whl")
    factory = eryx.SandboxFactory(packages=wheels, imports=imports)
    network = eryx.NetConfig(allowed_hosts=["127.0.0.1"]).allow_localhost()
    sandbox = factory.create_sandbox(network=network)
    session = sandbox.session()
    url = f"http://127.0.0.1:{port}/page"
    first = session.execute(program, inputs={"URL": url}).stdout
    assert first.count("200") == len(first.splitlines()) >= 2
    fork = session.fork()
    restored = sandbox.restore(session.snapshot())
    for each in (fork, restored, session):
        assert each.execute(visit).stdout == first
