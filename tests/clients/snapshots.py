"""Programs of the client matrix that continue in another sandbox, from a snapshot of their session.

The comment `MARKER` in a program is where the snapshot is taken: the client is connected by then,
and has used its connection. The rest of the program runs in the session and in a restored one,
where the connection is lost. There the library has to connect again by itself, or to raise its own
error for a lost connection."""

from __future__ import annotations

import pathlib
import re
import textwrap

import eryx

HERE = pathlib.Path(__file__).parent
MARKER = "# The snapshot is taken here."
RECONNECTS = "reconnects"


def can_be_interrupted(name: str) -> bool:
    """Return whether the program has a marker."""
    return MARKER in (HERE / "programs" / f"{name}.py").read_text()


def parts(constants: str, prelude: str, program: str, library: str) -> tuple[str, str]:
    """Return the two programs of a session that do what `program` does."""
    if ending := re.search(r"^\w+\.run\(main\)$|^\w+\.run\(main\(\)\)$", program, re.MULTILINE):
        program = program[: ending.start()].replace(MARKER, "await pause()")
        first = "program = InterruptedTask(main)\nawait program.start()"
        second = f"await program.finish({library!r})"
    else:
        program = f"def program():\n{textwrap.indent(program, '    ')}"
        program = program.replace(MARKER, "yield")
        first = "program = Interrupted(program)\nprogram.start()"
        second = f"program.finish({library!r})"
    interrupted = (HERE / "interrupted.py").read_text()
    return "\n".join([constants, interrupted, prelude, program, first]), second


def has_reached(result: eryx.ExecuteResult, port: int) -> bool:
    """Return whether a program has received something from the server on `port`."""
    connections = result.network.connections
    return any(entry.port == port and entry.received_bytes for entry in connections)


async def outcome(
    sandbox: eryx.Sandbox, other: eryx.Sandbox, first: str, second: str, whole: str, port: int
) -> tuple[str, str | None]:
    """Return how a program ends in a session of `other` that continues one of `sandbox`.

    The second value is the reason if one of them is wrong. `whole` is the program without an
    interruption, `port` that of the server.
    """
    async with sandbox.session() as session:
        printed = (await session.aexecute(first)).stdout
        if printed:
            return "", f"before the snapshot it printed {printed!r}"
        data = await session.asnapshot()
        printed = (await session.aexecute(second)).stdout
        if printed != "finished\n":
            return "", f"the session itself, after the snapshot: {printed}"
    async with await other.arestore(data) as restored:
        result = await restored.aexecute(second)
        ended = result.stdout.removesuffix("\n")
        if "\n" in ended or not ended:
            return "", f"the restored session: {ended}"
        if ended == "finished" and not has_reached(result, port):
            return "", "the restored session has finished without a new connection"
        printed = (await restored.aexecute(whole)).stdout
        if printed != "done\n":
            return "", f"with new connections in the restored session: {printed}"
    return RECONNECTS if ended == "finished" else f"`{ended}`", None
