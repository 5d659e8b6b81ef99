import dataclasses
import datetime
import uuid

import orjson


@dataclasses.dataclass
class Item:
    name: str
    sizes: list[float]


value = {
    "text": "Ä \N{SNOWMAN} \n",
    "item": Item("a", [1.5, -0.0, 1e300]),
    "time": datetime.datetime(2026, 11, 29, 12, tzinfo=datetime.UTC),
    "id": uuid.UUID(int=7),
    "none": None,
    "large": [2**63, -(2**63), True],
}
text = orjson.dumps(value, option=orjson.OPT_SORT_KEYS)
assert text.startswith(b'{"id":"00000000-0000-0000-0000-000000000007","item":{"name":"a"'), text
decoded = orjson.loads(text)
assert decoded["time"] == "2026-11-29T12:00:00+00:00" and decoded["text"] == value["text"]
assert decoded["item"]["sizes"] == [1.5, -0.0, 1e300] and decoded["large"] == value["large"]
assert orjson.dumps({1}, default=list) == b"[1]"
for wrong, error in (("[1,", orjson.JSONDecodeError), ("[" * 2000, orjson.JSONDecodeError)):
    try:
        orjson.loads(wrong)
    except error:
        pass
    else:
        raise AssertionError(wrong)
try:
    orjson.dumps(object())
except orjson.JSONEncodeError as error:
    assert "not JSON serializable" in str(error), error
else:
    raise AssertionError("an object")
