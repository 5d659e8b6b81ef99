"""Recurses in Python and in C without a recursion limit."""

import sys

sys.setrecursionlimit(2**31 - 1)
nested = []
for _ in range(10**6):
    nested = [nested]
for attempt in (
    lambda: repr(nested),
    lambda: nested == [nested],
    lambda: __import__("pickle").dumps(nested),
    lambda: __import__("copy").deepcopy(nested),
    lambda: eval("(" * 10**5),
    lambda: compile("-" * 10**5 + "1", "", "eval"),
    lambda: __import__("re").compile("(" * 5000 + ")" * 5000),
):
    try:
        attempt()
    except BaseException as error:
        print(type(error).__name__)
