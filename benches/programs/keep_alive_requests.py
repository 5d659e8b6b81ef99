"""Measures the seconds of a GET of 1 KiB with requests, on one connection."""

import requests


def main():
    with requests.Session() as client:
        client.trust_env = False
        url = f"http://{HOST}:{PORT}/bytes/1024"

        def get():
            if len(client.get(url).content) != 1024:
                raise EOFError("the body is short")

        return call_seconds(get)
