import asyncio

import aiohttp


async def main():
    async with aiohttp.ClientSession() as session:

        async def fetch(method, path, body=None):
            async with session.request(method, ROOT + path, data=body) as response:
                return response.status, await response.read()

        assert await fetch("GET", "/") == (200, b"hello")
        # The snapshot is taken here.
        await run_async(fetch)
        async with session.ws_connect(ROOT + "/websocket") as websocket:
            await websocket.send_str("é")
            assert await websocket.receive_str() == "é"
            await websocket.send_bytes(b"\0" * 100_000)
            assert await websocket.receive_bytes() == b"\0" * 100_000


asyncio.run(main())
