"""Seconds for a GET of 1 KiB with requests, on one connection."""

import time

import requests


def main():
    with requests.Session() as client:
        client.trust_env = False
        address = f"http://{HOST}:{PORT}/bytes/1024"
        for _ in range(5):
            client.get(address)
        began = time.perf_counter()
        for _ in range(COUNT):
            if len(client.get(address).content) != 1024:
                raise EOFError("the body is short")
        return (time.perf_counter() - began) / COUNT
