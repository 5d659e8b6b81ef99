# What waits: tasks, timers, threads, executors.
import asyncio
import concurrent.futures
import os
import queue
import threading

work = queue.Queue()
done = []
lock = threading.Lock()


def consume():
    while (n := work.get()) is not None:
        with lock:
            done.append(n)


threads = [threading.Thread(target=consume, daemon=True) for _ in range(4)]
for thread in threads:
    thread.start()
executor = concurrent.futures.ThreadPoolExecutor(3)
assert list(executor.map(str, range(9))) == [str(n) for n in range(9)]
timer = threading.Timer(0.01, done.append, ["timer"])
timer.daemon = True
timer.start()
event = asyncio.Event()


async def wait(n):
    await event.wait()
    await asyncio.sleep(0.001)
    return n


tasks = [asyncio.ensure_future(wait(n)) for n in range(20)]
reader, writer = await asyncio.open_connection("127.0.0.1", PORT)
echo = asyncio.ensure_future(reader.read(10))
asyncio.get_running_loop().call_later(0.01, done.append, "later")
await asyncio.sleep(0)
os.register_at_fork(before=lambda: done.append("before"), after_in_child=lambda: done.append("c"))
print("ready")
