"""Keeps the table of offsets that a test reads, in place of `local_time.wat`."""

table = b""
count = 0


def set(new_table: bytes, new_count: int) -> None:
    """Sets the time zone."""
    global table, count
    table, count = new_table, new_count
