# The program runs the network loop itself, as the documentation describes.
import time

import paho.mqtt
import paho.mqtt.client as mqtt


def loop_until(happened):
    end = time.monotonic() + 20
    while not happened and time.monotonic() < end:
        code = client.loop(timeout=1)
        if code != mqtt.MQTT_ERR_SUCCESS:
            raise paho.mqtt.MQTTException(mqtt.error_string(code))


messages, subscribed = [], []
client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, client_id=f"eryx-{TLS}")
if TLS:
    client.tls_set()
client.on_connect = lambda client, *_: client.subscribe("eryx/#", qos=1)
client.on_subscribe = lambda *_: subscribed.append(True)
client.on_message = lambda client, _, message: messages.append(
    (message.topic, len(message.payload))
)
client.connect(HOST, PORT, keepalive=20)
loop_until(subscribed)
# The snapshot is taken here.
client.publish("eryx/é", b"x" * 100_000, qos=1)
loop_until(messages)
assert messages == [("eryx/é", 100_000)], messages
client.disconnect()
