import asyncio
import json

import grpclib.client
import grpclib.const
import grpclib.encoding.base
import grpclib.exceptions


class Json(grpclib.encoding.base.CodecBase):
    __content_subtype__ = "json"

    def encode(self, message, message_type):
        return json.dumps(message).encode()

    def decode(self, data, message_type):
        return json.loads(data)


async def main():
    channel = grpclib.client.Channel(HOST, PORT, ssl=TLS or None, codec=Json())
    echo = grpclib.client.UnaryUnaryMethod(channel, "/eryx.Echo/One", None, None)
    many = grpclib.client.StreamStreamMethod(channel, "/eryx.Echo/Many", None, None)
    fail = grpclib.client.UnaryUnaryMethod(channel, "/eryx.Echo/Fail", None, None)
    assert await echo({"n": 0}) == {"n": 0}
    # The snapshot is taken here.
    answers = await asyncio.gather(*(echo({"n": n, "text": "é" * 10_000}) for n in range(10)))
    assert answers == [{"n": n, "text": "é" * 10_000} for n in range(10)]
    assert await many([1, 2, 3]) == [1, 2, 3]
    try:
        await fail({})
    except grpclib.exceptions.GRPCError as error:
        assert (error.status, error.message) == (grpclib.const.Status.NOT_FOUND, "nothing here")
    else:
        raise AssertionError("found what is not there")
    channel.close()


asyncio.run(main())
