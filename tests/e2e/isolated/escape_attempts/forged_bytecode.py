"""Runs random bytecode."""

import random

rng = random.Random(7)


def victim(a, b):
    return a + b


for _ in range(300):
    code = victim.__code__
    victim.__code__ = code.replace(
        co_code=rng.randbytes(len(code.co_code)), co_stacksize=rng.randrange(100)
    )
    try:
        victim(1, 2)
    except BaseException:
        pass
    victim.__code__ = code
