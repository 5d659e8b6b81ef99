"""All memory there is, in every form, caught and tried again."""

hoard = []
for size in (1 << 27, 1 << 24, 1 << 20, 1 << 12, 1 << 6):
    while True:
        try:
            hoard.append(bytearray(size))
        except MemoryError:
            break
hoard.clear()
print("alive")
