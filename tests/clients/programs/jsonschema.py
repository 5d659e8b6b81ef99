import jsonschema
from rpds import HashTrieMap, HashTrieSet, List

schema = {
    "$defs": {"age": {"type": "integer", "minimum": 0}},
    "type": "object",
    "properties": {"age": {"$ref": "#/$defs/age"}},
    "required": ["age"],
}
validator = jsonschema.Draft202012Validator(schema)
assert validator.is_valid({"age": 3})
errors = [error.message for error in validator.iter_errors({"age": -1})]
assert errors == ["-1 is less than the minimum of 0"], errors
first = HashTrieMap({"a": 1})
second = first.insert("b", 2)
assert dict(first) == {"a": 1} and dict(second) == {"a": 1, "b": 2}
assert HashTrieSet([1, 2]) == HashTrieSet([2, 1]) and list(List([1, 2]).push_front(0)) == [0, 1, 2]
