import asyncio

import pymongo
import pymongo.errors


async def main():
    client = pymongo.AsyncMongoClient(HOST, PORT, tls=TLS, serverSelectionTimeoutMS=20_000)
    assert (await client.admin.command("ping"))["ok"]
    # The snapshot is taken here.
    things = client.test.things
    before = len(await things.find().to_list())
    await things.insert_many([{"n": n, "text": "é" * 1000} for n in range(8)])
    found = (await things.find().to_list())[before:]
    assert sorted(thing["n"] for thing in found) == list(range(8)), found
    try:
        await client.admin.command("nothing")
    except pymongo.errors.OperationFailure as error:
        assert error.code == 59, error
    else:
        raise AssertionError("a command that is not there succeeded")
    await client.close()


asyncio.run(main())
