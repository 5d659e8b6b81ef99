import asyncio
import ssl

import pika
from pika.adapters.asyncio_connection import AsyncioConnection


async def main():
    loop = asyncio.get_running_loop()
    declared, over = loop.create_future(), loop.create_future()
    bodies = []

    def opened(connection):
        connection.channel(on_open_callback=lambda channel: declare(channel))

    def declare(channel):
        channel.queue_declare(
            "",
            exclusive=True,
            callback=lambda frame: declared.set_result((channel, frame.method.queue)),
        )

    def failed(connection, error):
        for each in (declared, over):
            if not each.done():
                each.set_exception(error)

    def received(channel, method, properties, body):
        bodies.append(body)
        if len(bodies) == 50:
            over.set_result(None)

    options = pika.SSLOptions(ssl.create_default_context(), HOST) if TLS else None
    connection = AsyncioConnection(
        pika.ConnectionParameters(HOST, PORT, ssl_options=options),
        on_open_callback=opened,
        on_open_error_callback=failed,
        on_close_callback=failed,
    )
    channel, queue = await asyncio.wait_for(declared, 20)
    # The snapshot is taken here.
    channel.basic_consume(queue, received, auto_ack=True)
    for n in range(50):
        channel.basic_publish("", queue, str(n).encode() * 10_000)
    await asyncio.wait_for(over, 20)
    assert bodies == [str(n).encode() * 10_000 for n in range(50)]
    connection.close()


asyncio.run(main())
