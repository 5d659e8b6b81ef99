import asyncio

import httpx


async def main():
    async with httpx.AsyncClient(follow_redirects=True, timeout=20) as client:

        async def fetch(method, path, body=None):
            response = await client.request(method, ROOT + path, content=body)
            assert response.http_version == "HTTP/1.1"
            return response.status_code, response.content

        assert await fetch("GET", "/") == (200, b"hello")
        # The snapshot is taken here.
        await run_async(fetch)


asyncio.run(main())
