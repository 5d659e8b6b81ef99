"""Uses the functions of the embedder with forged handles, names, sizes, depths and amounts."""

import random

from componentize_py_types import Err
from wit_world.imports import functions, poll

Call = functions.Call
rng = random.Random(21)
names = ["echo", "block", "later", "", "none", "\0", "\U0010ffff" * 99, "e" * 100_000]
held = []


def arguments():
    return rng.choice(
        [
            b"[[],{}]",
            b"[[1],{}]",
            b"",
            b"[",
            b"[[]]",
            b"null",
            b"[[1e999],{}]",
            b"[" * 100_000,
            b"[[" + b"[" * 105 + b"]" * 105 + b"],{}]",
            b"[[" + b"[" * 3000 + b"]" * 3000 + b"],{}]",
            b'[["\\ud800"],{}]',
            b'[["' + b"x" * (2 << 20) + b'"],{}]',
            b"[[" + b"[]," * 300_000 + b"0],{}]",
            b'[[],{"a":1,"a":2}]',
            rng.randbytes(rng.randrange(100)),
        ]
    )


refused = 0
for _ in range(3000):
    try:
        kind = rng.random()
        if kind < 0.5 or not held:
            held.append(Call.start(rng.choice(names), arguments()))
        elif kind < 0.7:
            rng.choice(held).finish(rng.choice([0, 1, 1000]))
        elif kind < 0.8:
            chosen = rng.choices(held, k=rng.randrange(60))
            poll.poll([], [], [], [], [], chosen, rng.choice([0, 1, 1000]))
        else:
            held.pop(rng.randrange(len(held))).__exit__(None, None, None)
    except Err:
        refused += 1
print(refused)
