"""Allocates all memory in blocks of several sizes, and catches the errors."""

hoard = []
for size in (1 << 27, 1 << 24, 1 << 20, 1 << 12, 1 << 6):
    while True:
        try:
            hoard.append(bytearray(size))
        except MemoryError:
            break
hoard.clear()
print("alive")
