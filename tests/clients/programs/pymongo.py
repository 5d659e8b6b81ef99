import bson
import pymongo
import pymongo.errors

document = {"name": "é", "list": [1, 2.5, None, b"\0"], "id": bson.ObjectId()}
assert bson.decode(bson.encode(document)) == document
client = pymongo.MongoClient(HOST, PORT, tls=TLS, serverSelectionTimeoutMS=2000)
try:
    client.admin.command("ping")
except pymongo.errors.ServerSelectionTimeoutError as error:
    assert HOST in str(error), error
else:
    raise AssertionError("reached a server that is not there")
client.close()
