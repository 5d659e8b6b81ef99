"""The data types of ctypes, without libraries."""

import copy
import ctypes
import ctypes.util
import ctypes.wintypes
import pickle
import struct
from ctypes import POINTER, Structure, c_char, c_char_p, c_int, c_uint16, c_uint32, c_void_p


class Inner(Structure):
    _fields_ = [("x", c_uint16), ("y", c_uint32)]


class Record(Structure):
    _anonymous_ = ("inner",)
    _fields_ = [
        ("kind", ctypes.c_uint8),
        ("name", c_char * 6),
        ("inner", Inner),
        ("items", c_int * 3),
    ]


class Header(ctypes.BigEndianStructure):
    _pack_ = 1
    _layout_ = "ms"
    _fields_ = [("kind", c_uint16), ("size", c_uint32)]


class Flags(ctypes.Union):
    class Bits(Structure):
        _fields_ = [("low", c_uint32, 4), ("middle", c_uint32, 12), ("high", ctypes.c_int32, 16)]

    _fields_ = [("bits", Bits), ("word", c_uint32)]


class Node(Structure):
    pass


Node._fields_ = [("value", c_int), ("next", POINTER(Node))]

record = Record(1, b"abc", (2, 3), (c_int * 3)(7, 8, 9))
assert (record.name, record.x, record.inner.y, list(record.items)) == (b"abc", 2, 3, [7, 8, 9])
record.items[1] = -1
assert ctypes.sizeof(record) == 28
assert Record.inner.offset == 8
assert struct.unpack_from("<i", record, 20) == (-1,)
assert Record.from_buffer_copy(bytes(record)).items[1] == -1
assert copy.copy(record).x == pickle.loads(pickle.dumps(Inner(2, 3))).x == 2

assert bytes(Header(1, 2)) == b"\0\1\0\0\0\2"
assert Header.from_buffer_copy(b"\1\2\3\4\5\6").size == 0x03040506
shared = bytearray(6)
Header.from_buffer(shared).kind = 0x1234
assert shared[:2] == b"\x12\x34"
flags = Flags(word=0xFFF50021)
assert (flags.bits.low, flags.bits.middle, flags.bits.high) == (1, 2, -11)

first, second = Node(1), Node(2)
first.next = ctypes.pointer(second)
second.value = 20
assert first.next.contents.value == 20
assert not second.next
number = c_int(2**31)
assert number.value == -(2**31)
array = (c_int * 3)(1, 2, 3)
pointer = ctypes.cast(array, POINTER(c_int))
pointer[1] += 10
assert (array[:], pointer[:3]) == ([1, 12, 3], [1, 12, 3])
assert bytes(memoryview(array)) == struct.pack("<3i", 1, 12, 3)
rows = ((ctypes.c_int32 * 3) * 2)((1, 2, 3), (4, 5, 6))
assert memoryview(rows).shape == (2, 3) and memoryview(rows).tolist() == [[1, 2, 3], [4, 5, 6]]
assert memoryview(((ctypes.c_int.__ctype_be__ * 2) * 2)()).nbytes == 16
assert memoryview(((ctypes.c_int * 0) * 2)()).nbytes == 0
text = ctypes.create_string_buffer(b"hello", 10)
ctypes.memmove(text, b"HE", 2)
assert (text.value, len(text.raw)) == (b"HEllo", 10)
assert ctypes.string_at(ctypes.addressof(text), 3) == b"HEl"
ctypes.memset(text, ord("z"), 2)
assert text.value == b"zzllo"
assert c_char_p(b"xyz").value == b"xyz"
assert ctypes.cast(c_char_p(b"abc"), POINTER(c_char))[1] == b"b"
assert ctypes.create_unicode_buffer("ä€").value == "ä€"
add = ctypes.CFUNCTYPE(c_int, c_int, c_int)(lambda a, b: a + b)
assert add(2, 3) == 5

ctypes.resize(resized := Inner(), 100)
memoryview(resized).cast("B")[:] = bytes(range(100))
assert (resized.x, ctypes.sizeof(resized), bytes(resized)[99]) == (0x100, 100, 99)


# Fields of anonymous members are fields of the type.
class Outer(Structure):
    class Middle(ctypes.Union):
        _anonymous_ = ("inner",)
        _fields_ = [("inner", Inner), ("bits", Flags.Bits)]

    _anonymous_ = ("middle",)
    _fields_ = [("kind", c_char), ("middle", Middle)]


assert (Outer.x.offset, Outer.y.offset, Outer.bits.offset) == (4, 8, 4)
kind = c_uint32.__name__
assert repr(Outer.y) == f"<ctypes.CField 'y' type={kind}, ofs=8, size=4>", Outer.y
assert Record.y.offset == 12 and not Outer.y.is_anonymous and Outer.inner.is_anonymous
outer = Outer(b"k")
outer.y = 7
assert outer.middle.inner.y == outer.inner.y == 7 and bytes(outer)[8] == 7

noted = Inner(4, 5)
noted.note = "kept"
copied = copy.deepcopy(noted)
assert (copied.y, copied.note) == (5, "kept")
assert noted.__reduce__()[1] == (Inner, ({"note": "kept"}, bytes(noted)))


def deletion(names, statement):
    def delete():
        exec(statement, {**globals(), "it": names})

    return delete


CANNOT = "can't delete attribute"
for target, statement, kind, message in (
    (array, "del it[0]", TypeError, "Array does not support item deletion"),
    (array, "del it[0:1]", TypeError, "Array does not support item deletion"),
    (pointer, "del it[0]", TypeError, "Pointer does not support item deletion"),
    (pointer, "del it.contents", TypeError, "Pointer does not support item deletion"),
    (outer, "del it.kind", TypeError, CANNOT),
    (outer, "del it.y", TypeError, CANNOT),
    (number, "del it.value", TypeError, CANNOT),
    (text, "del it.value", TypeError, CANNOT),
    (text, "del it.raw", AttributeError, "cannot delete attribute"),
):
    try:
        deletion(target, statement)()
    except kind as error:
        assert str(error) == message, (statement, error)
    else:
        raise AssertionError(statement)

# Windows' types can be imported everywhere.
flag = ctypes.wintypes.VARIANT_BOOL(5)
assert (flag.value, bytes(flag), ctypes.sizeof(flag)) == (True, b"\xff\xff", 2)
flag.value = False
assert (flag.value, bytes(flag)) == (False, b"\0\0")

# An address that belongs to nothing is an error, and so is one beyond the end of an object.
for access in (
    lambda: ctypes.string_at(4711),
    lambda: ctypes.memset(text, 0, 1000),
    lambda: c_int.from_address(1),
    lambda: pointer[1000],
    lambda: POINTER(c_int)().contents,
    lambda: c_void_p.in_dll(None, "errno"),
):
    try:
        access()
    except ValueError:
        continue
    raise AssertionError(access)
for load, kind in (
    (lambda: ctypes.CDLL("libc.so.6"), OSError),
    (lambda: ctypes.cdll.LoadLibrary("libm.so"), OSError),
    (lambda: ctypes.pythonapi.Py_IncRef, AttributeError),
):
    try:
        load()
    except kind as error:
        assert "loads no libraries" in str(error)
    else:
        raise AssertionError(load)
assert ctypes.util.find_library("c") is None
print("ok")
