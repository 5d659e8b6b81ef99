import asyncio

import pymongo
import pymongo.errors


async def main():
    client = pymongo.AsyncMongoClient(HOST, PORT, tls=TLS, serverSelectionTimeoutMS=2000)
    try:
        await client.admin.command("ping")
    except pymongo.errors.ServerSelectionTimeoutError as error:
        assert HOST in str(error), error
    else:
        raise AssertionError("reached a server that is not there")
    await client.close()


asyncio.run(main())
