import redis

client = redis.Redis(HOST, PORT, ssl=TLS, socket_timeout=20, decode_responses=True)
assert client.ping()
# The snapshot is taken here.
client.delete("sync:list", "sync:count")
assert client.rpush("sync:list", "a", "é", "c") == 3
assert client.lrange("sync:list", 0, -1) == ["a", "é", "c"]
with client.pipeline() as pipeline:
    for _ in range(100):
        pipeline.incr("sync:count")
    assert pipeline.execute()[-1] == 100
client.set("sync:big", "x" * 2**20)
assert len(client.get("sync:big")) == 2**20
subscriber = client.pubsub()
subscriber.subscribe("sync:news")
assert subscriber.get_message(timeout=20)["type"] == "subscribe"
assert client.publish("sync:news", "hello") == 1
assert subscriber.get_message(timeout=20)["data"] == "hello"
assert client.blpop("sync:nothing", timeout=1) is None
client.close()
