"""Seconds for a request and its answer of 20 bytes."""


def main():
    with opened() as connection:
        return typical(lambda: exchange(connection))
