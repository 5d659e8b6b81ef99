import asyncio

from websockets.asyncio.client import connect


async def main():
    async with connect(f"{'wss' if TLS else 'ws'}://{HOST}:{PORT}/", max_size=2**22) as websocket:
        await websocket.send("é")
        assert await websocket.recv() == "é"
        # The snapshot is taken here.
        await websocket.send(bytes(2**20))
        assert await websocket.recv() == bytes(2**20)
        await (await websocket.ping())


asyncio.run(main())
