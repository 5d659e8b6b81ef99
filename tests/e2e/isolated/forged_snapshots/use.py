# Uses what the sessions have, each part by itself.
import asyncio
import gc
import os
import pickle
import socket
import sys
import threading
import traceback


def attempt(function):
    try:
        return function()
    except Exception as error:
        traceback.format_exception(error)
        return error


def connect():
    socket.create_connection(("127.0.0.1", CANARY), 0.01)
    print("CONNECTED")


async def finish():
    if event := globals().get("event"):
        event.set()
        await asyncio.wait(tasks, timeout=0.05)
        echo.cancel()


gc.collect()
attempt(connect)
for name, value in list(globals().items()):
    attempt(lambda: (name, repr(value)[:50], hash(value)))
    attempt(lambda: pickle.loads(pickle.dumps(value)))
    attempt(lambda: list(value)[:3])
for each in list(gc.get_objects())[:2000]:
    attempt(lambda: (type(each).__name__, len(gc.get_referents(each))))
for use in (
    lambda: generator.send(1),
    lambda: database.execute("select count(*), sum(n), max(text) from items").fetchall(),
    lambda: pattern.search("aabd" * 20),
    lambda: (digest.update(b"x"), digest.hexdigest()),
    lambda: (compressor.compress(document.encode()), compressor.flush()),
    lambda: seeded.random(),
    lambda: sock.recv(1),
    lambda: stream.readline(),
    lambda: far.recv(20),
    lambda: inner.send(b"x"),
    lambda: datagrams.sendto(b"x", ("127.0.0.1", CANARY)),
    lambda: poller.poll(0),
    lambda: os.read(reader, 4),
    lambda: os.read(raw, 4),
    lambda: log.write("x"),
    lambda: list(names),
    lambda: [open(f"/tmp/a/b/{n}").read() for n in os.listdir("/tmp/a/b")],
    lambda: work.put(1),
    lambda: executor.submit(len, "x").result(0.05),
    lambda: timer.join(0.05),
    lambda: threading.Thread(target=print).start(),
    lambda: [thread.is_alive() for thread in threading.enumerate()],
    lambda: sys.modules.values(),
):
    attempt(use)
await finish()
gc.collect()
