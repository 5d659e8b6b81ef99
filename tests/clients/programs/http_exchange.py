# The prelude of HTTP clients, which define `fetch(method, path, body)`: it returns status and body.
import asyncio
import hashlib
import json

ROOT = f"{'https' if TLS else 'http'}://{HOST}:{PORT}"
SIZE = 2**20


def exchange():
    status, page = yield "GET", "/"
    assert (status, page) == (200, b"hello"), (status, page)
    status, echoed = yield "POST", "/echo", "é".encode()
    assert (status, echoed) == (200, "é".encode())
    assert (yield "GET", "/redirect") == (200, b"hello")
    assert (yield "GET", "/status/404")[0] == 404
    status, plain = yield "GET", f"/bytes/{SIZE}"
    assert len(plain) == SIZE
    status, compressed = yield "GET", f"/gzip/{SIZE}"
    assert compressed == plain
    status, digest = yield "POST", "/digest", plain
    assert json.loads(digest) == [SIZE, hashlib.sha256(plain).hexdigest()]


def run(fetch):
    steps = exchange()
    step = next(steps)
    while step:
        try:
            step = steps.send(fetch(*step))
        except StopIteration:
            return


async def run_async(fetch):
    steps = exchange()
    step = next(steps)
    while step:
        try:
            step = steps.send(await fetch(*step))
        except StopIteration:
            break
    # Concurrent requests: the server responds when all have arrived.
    answers = await asyncio.gather(*(fetch("GET", "/together/5") for _ in range(5)))
    assert answers == [(200, b"together")] * 5
