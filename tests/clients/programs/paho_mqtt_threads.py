import queue
import threading

import paho.mqtt.client as mqtt

messages, subscribed = queue.Queue(), threading.Event()
client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, client_id=f"eryx-threads-{TLS}")
if TLS:
    client.tls_set()
client.on_connect = lambda client, *_: client.subscribe("eryx-threads/#", qos=1)
client.on_subscribe = lambda *_: subscribed.set()
client.on_message = lambda client, _, message: messages.put(len(message.payload))
client.connect(HOST, PORT, keepalive=20)
client.loop_start()
assert subscribed.wait(20)
# The snapshot is taken here.
for size in (1, 100_000):
    client.publish("eryx-threads/é", b"x" * size, qos=1).wait_for_publish(20)
assert [messages.get(timeout=20) for _ in range(2)] == [1, 100_000]
client.disconnect()
client.loop_stop()
assert threading.active_count() == 1
