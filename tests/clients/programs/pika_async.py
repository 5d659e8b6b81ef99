import asyncio
import ssl

import pika
from pika.adapters.asyncio_connection import AsyncioConnection


async def main():
    loop = asyncio.get_running_loop()
    over = loop.create_future()
    heard = []

    def opened(connection):
        connection.channel(on_open_callback=lambda channel: declare(channel))

    def declare(channel):
        channel.queue_declare(
            "", exclusive=True, callback=lambda frame: exchange(channel, frame.method.queue)
        )

    def exchange(channel, queue):
        channel.basic_consume(queue, received, auto_ack=True)
        for n in range(50):
            channel.basic_publish("", queue, str(n).encode() * 10_000)

    def received(channel, method, properties, body):
        heard.append(body)
        if len(heard) == 50:
            over.set_result(None)

    options = pika.SSLOptions(ssl.create_default_context(), HOST) if TLS else None
    connection = AsyncioConnection(
        pika.ConnectionParameters(HOST, PORT, ssl_options=options),
        on_open_callback=opened,
        on_open_error_callback=lambda _, error: over.set_exception(error),
    )
    await asyncio.wait_for(over, 20)
    assert heard == [str(n).encode() * 10_000 for n in range(50)]
    connection.close()


asyncio.run(main())
