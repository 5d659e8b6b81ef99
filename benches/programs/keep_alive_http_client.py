"""Seconds for a GET of 1 KiB with http.client, on one connection."""

import http.client
import time


def main():
    connection = http.client.HTTPConnection(HOST, PORT)

    def get():
        connection.request("GET", "/bytes/1024")
        body = connection.getresponse().read()
        if len(body) != 1024:
            raise EOFError("the body is short")

    for _ in range(5):
        get()
    began = time.perf_counter()
    for _ in range(COUNT):
        get()
    took = (time.perf_counter() - began) / COUNT
    connection.close()
    return took
