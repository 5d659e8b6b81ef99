import ssl

import pika

options = pika.SSLOptions(ssl.create_default_context(), HOST) if TLS else None
parameters = pika.ConnectionParameters(HOST, PORT, ssl_options=options, socket_timeout=20)
with pika.BlockingConnection(parameters) as connection:
    channel = connection.channel()
    channel.confirm_delivery()
    queue = channel.queue_declare("", exclusive=True).method.queue
    # The snapshot is taken here.
    for n in range(50):
        channel.basic_publish("", queue, str(n).encode() * 10_000)
    bodies = []
    for method, _, body in channel.consume(queue, inactivity_timeout=20):
        bodies.append(body)
        channel.basic_ack(method.delivery_tag)
        if len(bodies) == 50:
            break
    channel.cancel()
    assert bodies == [str(n).encode() * 10_000 for n in range(50)]
    try:
        channel.queue_declare("nothing", passive=True)
    except pika.exceptions.ChannelClosedByBroker as error:
        assert error.reply_code == 404, error
    else:
        raise AssertionError("declared what is not there")
