import anyio


async def main():
    stream = await anyio.connect_tcp(HOST, PORT, tls=TLS)
    await stream.send(b"first")
    assert await stream.receive() == b"first"
    # The snapshot is taken here.
    payload = bytes(range(256)) * 4096
    received = b""
    async with stream, anyio.create_task_group() as tasks:
        # Sends and receives concurrently, more than all buffers can hold.
        tasks.start_soon(stream.send, payload)
        with anyio.fail_after(20):
            while len(received) < len(payload):
                received += await stream.receive()
    assert received == payload


anyio.run(main)
