# Objects of every kind that CPython has a layout of its own for.
import collections
import datetime
import decimal
import enum
import hashlib
import itertools
import json
import random
import re
import sqlite3
import zlib


class Color(enum.Enum):
    RED = 1
    GREEN = 2


class Node:
    __slots__ = ("left", "right", "value")

    def __init__(self, value, left=None, right=None):
        self.value, self.left, self.right = value, left, right


def numbers():
    total = 0
    for n in itertools.count():
        total += yield n + total


generator = numbers()
next(generator)
rows = [{"n": n, "text": str(n) * 3, "big": 7**n} for n in range(300)]
table = {(n, str(n)): {n, n + 1, frozenset([n])} for n in range(200)}
root = None
for n in range(200):
    root = Node(n, root, root)
cycle = [root]
cycle.append(cycle)
queue = collections.deque(range(1000), maxlen=1000)
ordered = collections.OrderedDict((str(n), n) for n in range(100))
seeded = random.Random(7)
pattern = re.compile(r"(a+)(b|c)*?d{2,3}(?P<name>x)")
database = sqlite3.connect(":memory:")
database.execute("create table items (n, text)")
database.executemany("insert into items values (?, ?)", [(n, "x" * n) for n in range(200)])
digest = hashlib.sha256(b"begun")
compressor = zlib.compressobj()
moments = [datetime.datetime(2026, 1, 1) + datetime.timedelta(n) for n in range(50)]
amounts = [decimal.Decimal(n) / 7 for n in range(50)]
buffer = bytearray(300_000)
view = memoryview(buffer)[10:1000]
document = json.dumps(rows[:20])
print("ready")
