import msgpack
from msgpack import _cmsgpack

value = {"a": [1, 2.5, None, True, "é", b"\0"], "b": 2**63}
assert msgpack.Packer is _cmsgpack.Packer
assert msgpack.unpackb(msgpack.packb(value)) == value
