# The program runs the network loop itself, as the documentation describes.
import time

import paho.mqtt.client as mqtt

heard = []
client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, client_id=f"eryx-{TLS}")
if TLS:
    client.tls_set()
client.on_connect = lambda client, *_: client.subscribe("eryx/#", qos=1)
client.on_subscribe = lambda client, *_: client.publish("eryx/é", b"x" * 100_000, qos=1)
client.on_message = lambda client, _, message: heard.append((message.topic, len(message.payload)))
client.connect(HOST, PORT, keepalive=20)
end = time.monotonic() + 20
while not heard and time.monotonic() < end:
    code = client.loop(timeout=1)
    assert code == mqtt.MQTT_ERR_SUCCESS, mqtt.error_string(code)
assert heard == [("eryx/é", 100_000)], heard
client.disconnect()
