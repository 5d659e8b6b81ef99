"""Measures the seconds of a request and its response of 20 bytes."""


def main():
    with connect() as connection:
        return call_seconds(lambda: request(connection))
