import asyncio

import redis.asyncio


async def main():
    client = redis.asyncio.Redis(
        host=HOST, port=PORT, ssl=TLS, socket_timeout=20, decode_responses=True
    )
    assert await client.ping()
    # The snapshot is taken here.
    await client.delete("async:list", "async:queue")
    assert await client.rpush("async:list", "a", "é", "c") == 3
    assert await client.lrange("async:list", 0, -1) == ["a", "é", "c"]
    await client.set("async:big", "x" * 2**20)
    assert len(await client.get("async:big")) == 2**20
    # One task waits for a message that another sends.
    waiting = asyncio.create_task(client.blpop("async:queue", timeout=20))
    await client.rpush("async:queue", "job")
    assert list(await waiting) == ["async:queue", "job"]
    async with client.pubsub() as subscriber:
        await subscriber.subscribe("async:news")
        assert (await subscriber.get_message(timeout=20))["type"] == "subscribe"
        assert await client.publish("async:news", "hello") == 1
        assert (await subscriber.get_message(timeout=20))["data"] == "hello"
    await client.aclose()


asyncio.run(main())
