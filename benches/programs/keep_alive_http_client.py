"""Measures the seconds of a GET of 1 KiB with http.client, on one connection."""

import http.client


def main():
    connection = http.client.HTTPConnection(HOST, PORT)

    def get():
        connection.request("GET", "/bytes/1024")
        body = connection.getresponse().read()
        if len(body) != 1024:
            raise EOFError("the body is short")

    seconds = call_seconds(get)
    connection.close()
    return seconds
