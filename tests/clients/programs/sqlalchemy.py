# Without a database: the pool hands its connections to threads that wait for them.
import threading
import time

import sqlalchemy.exc
from sqlalchemy.pool import QueuePool


class Connection:
    def __init__(self):
        made.append(self)

    def rollback(self):
        pass

    def close(self):
        pass


def use(n):
    with pool.connect():
        time.sleep(0.01)
        done.append(n)


made, done = [], []
pool = QueuePool(Connection, max_overflow=0, pool_size=2, timeout=0.5)
threads = [threading.Thread(target=use, args=(n,)) for n in range(8)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
assert (sorted(done), len(made)) == (list(range(8)), 2)
held = [pool.connect() for _ in range(2)]
try:
    pool.connect()
except sqlalchemy.exc.TimeoutError:
    pass
else:
    raise AssertionError("the pool gave a third connection")
