"""Starts ``eryx mcp`` and connects the client of the official Python SDK to it."""

from __future__ import annotations

import asyncio
import contextlib
import os
import pathlib
import sys
from collections.abc import AsyncIterator

from mcp import Client
from mcp.client.stdio import StdioServerParameters

# The command that the wheel installs beside the interpreter.
ERYX = os.environ.get("ERYX_COMMAND") or str(pathlib.Path(sys.executable).parent / "eryx")

# Ends a test that hangs. No test depends on how long anything takes.
HANG = 120


@contextlib.asynccontextmanager
async def stdio(
    *options: str, mode: str = "auto", env: dict[str, str] | None = None
) -> AsyncIterator[Client]:
    """Start a server with `options` on pipes."""
    parameters = StdioServerParameters(command=ERYX, args=["mcp", *options], env=env)
    async with Client(parameters, mode=mode) as client:
        yield client


@contextlib.asynccontextmanager
async def listening(*options: str, env: dict[str, str] | None = None) -> AsyncIterator[str]:
    """Start a server with `options` on a free port of loopback, and yield its URL."""
    process = await asyncio.create_subprocess_exec(
        ERYX,
        "mcp",
        "--http",
        "127.0.0.1:0",
        *options,
        stderr=asyncio.subprocess.PIPE,
        env={**os.environ, **(env or {})},
    )
    assert process.stderr is not None
    line = (await process.stderr.readline()).decode()
    assert line.startswith("eryx: listening on http://127.0.0.1:"), line
    try:
        yield line.split()[-1]
    finally:
        process.terminate()
        await process.wait()


@contextlib.asynccontextmanager
async def http(*options: str, mode: str = "auto") -> AsyncIterator[Client]:
    """Start a server with `options` on HTTP."""
    async with listening(*options) as url, Client(url, mode=mode) as client:
        yield client


def texts(result) -> list[str]:
    """Return the texts of a result, one for each block."""
    return [block.text for block in result.content]


async def run(client: Client, code: str, **arguments: object) -> list[str]:
    """Run a program that succeeds, and return the texts of the result."""
    result = await client.call_tool("run_python", {"code": code, **arguments})
    assert not result.is_error, result
    return texts(result)


async def fail(client: Client, tool: str = "run_python", **arguments: object) -> list[str]:
    """Make a call that is an error, and return the texts of the result."""
    result = await client.call_tool(tool, arguments)
    assert result.is_error, result
    return texts(result)
