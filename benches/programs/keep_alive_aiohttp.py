"""Measures the seconds of a GET of 1 KiB with aiohttp, on one connection."""

import time

import aiohttp


async def main():
    url = f"http://{HOST}:{PORT}/bytes/1024"
    durations = []
    async with aiohttp.ClientSession() as client:
        for _ in range(BATCHES + 1):
            start = time.perf_counter()
            for _ in range(COUNT):
                async with client.get(url) as response:
                    if len(await response.read()) != 1024:
                        raise EOFError("the body is short")
            durations.append((time.perf_counter() - start) / COUNT)
    return sorted(durations[1:])[BATCHES // 2]
