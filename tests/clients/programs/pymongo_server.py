import threading

import pymongo
import pymongo.errors

client = pymongo.MongoClient(HOST, PORT, tls=TLS, serverSelectionTimeoutMS=20_000)
assert client.admin.command("ping")["ok"]
# The snapshot is taken here.
things = client.test.things
before = len(list(things.find()))
threads = [
    threading.Thread(target=things.insert_one, args=({"n": n, "text": "é" * 1000},))
    for n in range(8)
]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
found = list(things.find())[before:]
assert sorted(thing["n"] for thing in found) == list(range(8)), found
assert all(thing["text"] == "é" * 1000 for thing in found)
try:
    client.admin.command("nothing")
except pymongo.errors.OperationFailure as error:
    assert error.code == 59, error
else:
    raise AssertionError("a command that is not there succeeded")
client.close()
