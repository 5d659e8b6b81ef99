import json

import jiter

value = {"a": [1, 2.5, None, True, "é" * 100], "b": {"c": -(2**70)}}
assert jiter.from_json(json.dumps(value).encode()) == value
assert jiter.from_json(b'{"a": "b', partial_mode="trailing-strings") == {"a": "b"}
try:
    jiter.from_json(b"[" * 100_000)
except ValueError as error:
    assert "recursion limit" in str(error), error
else:
    raise AssertionError("it has no limit")
