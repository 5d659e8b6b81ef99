"""Measures the seconds of a GET of 1 KiB with httpx, on one connection."""

import httpx


def main():
    with httpx.Client(trust_env=False) as client:
        url = f"http://{HOST}:{PORT}/bytes/1024"

        def get():
            if len(client.get(url).content) != 1024:
                raise EOFError("the body is short")

        return call_seconds(get)
