"""Measures the seconds of CONNECTIONS concurrent connections with COUNT requests each, one after
another."""

import asyncio
import time


async def run_connection():
    reader, writer = await asyncio.open_connection(HOST, PORT)
    for _ in range(COUNT):
        writer.write(REQUEST)
        await reader.readexactly(RESPONSE)
    writer.close()
    await writer.wait_closed()


async def main():
    start = time.perf_counter()
    await asyncio.gather(*(run_connection() for _ in range(CONNECTIONS)))
    return time.perf_counter() - start
