"""Seconds for CONNECTIONS connections side by side, each with COUNT requests one after another."""

import asyncio
import time


async def one():
    reader, writer = await asyncio.open_connection(HOST, PORT)
    for _ in range(COUNT):
        writer.write(REQUEST)
        await reader.readexactly(ANSWER)
    writer.close()
    await writer.wait_closed()


async def main():
    began = time.perf_counter()
    await asyncio.gather(*(one() for _ in range(CONNECTIONS)))
    return time.perf_counter() - began
