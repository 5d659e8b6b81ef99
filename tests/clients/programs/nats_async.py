import asyncio

import nats


async def main():
    connection = await nats.connect(f"{'tls' if TLS else 'nats'}://{HOST}:{PORT}")

    async def upper(message):
        await message.respond(message.data.upper())

    await connection.subscribe("upper", cb=upper)
    answer = await connection.request("upper", b"hello", timeout=20)
    assert answer.data == b"HELLO"
    # The snapshot is taken here.
    subscription = await connection.subscribe("many")
    for n in range(1000):
        await connection.publish("many", str(n).encode() * 100)
    await connection.flush(timeout=10)
    for n in range(1000):
        assert (await subscription.next_msg(timeout=20)).data == str(n).encode() * 100
    await connection.drain()


asyncio.run(main())
