"""Compares the fast paths with the functions of the standard library that they replace."""

import email.message
import email.parser
import http.client
import random
import unittest.mock
import urllib.parse

from eryx_guest.fastpaths import http_headers, urlsplit

fallbacks = 0
stock = http_headers._parse_header_lines


def counted(*arguments):
    global fallbacks
    fallbacks += 1
    return stock(*arguments)


http_headers._parse_header_lines = counted


def state_of(message):
    """Return the whole state of a message, with its defects as text."""
    state = dict(vars(message))
    if message.is_multipart():
        state["_payload"] = list(map(state_of, message.get_payload()))
    state["defects"] = [(type(defect).__name__, str(defect)) for defect in message.defects]
    return type(message).__name__, state


def compare_headers(block):
    lines = block.splitlines(keepends=True)
    assert state_of(http.client._parse_header_lines(lines)) == state_of(stock(lines)), block


BLOCKS = {
    # Parsed by the fast path.
    b"\r\n": 0,
    b"A: b\r\n\r\n": 0,
    b"A:b\r\nA:\r\nA: \r\nA: \t c d \t\r\n\r\n": 0,
    b"!#$%&'*+-.^_`|~09Az: \xff\x00:\x0b\r\n\r\n": 0,
    b"content-type: text/html; charset=utf-8\r\nContent-Length: 3\r\n\r\n": 0,
    # Parsed by the standard library.
    b"": 1,
    b"A: b\r\n": 1,
    b"A: b\n\n": 1,
    b"A: b\r\n c\r\n\r\n": 1,
    b" a: b\r\n\r\n": 1,
    b"A : b\r\n\r\n": 1,
    b": b\r\n\r\n": 1,
    b"A: b\rC: d\r\n\r\n": 1,
    b"From me\r\nA: b\r\n\r\n": 1,
    b"no colon\r\nA: b\r\n\r\n": 1,
    b"A: b\r\n\r\nbody": 1,
    b"\xe9: b\r\n\r\n": 1,
    b"Content-Type: multipart/mixed\r\n\r\n": 1,
    b"CONTENT-TYPE:MULTIPART/mixed; boundary=x\r\n\r\n": 1,
    b"Content-Type: \x0b\xa0multipart/mixed\r\n\r\n": 1,
    b"Content-Type: message/delivery-status\r\n\r\n": 1,
    b"Content-Type: message/rfc822\r\n\r\n": 1,
}
for block, expected in BLOCKS.items():
    fallbacks = 0
    compare_headers(block)
    assert fallbacks == expected, (block, fallbacks)

PIECES = [
    b"A", b"content-type", b"Content-Type", b":", b": ", b" ", b"\t", b"\r\n", b"\r\n", b"\r\n",
    b"\n", b"\r", b"\x0b", b"\x1c", b"\x85", b"\xa0", b"\x00", b"multipart/mixed",
    b"message/rfc822", b"; boundary=x", b"--x", b"text/plain", b"From ", b"value", b"/",
]  # fmt: skip
rng = random.Random(7)
for _ in range(5_000):
    compare_headers(b"".join(rng.choices(PIECES, k=rng.randrange(12))) + b"\r\n\r\n")


class CustomMessage(http.client.HTTPMessage):
    """A message class of the program."""


fallbacks = 0
for kind in (CustomMessage, email.message.Message):
    assert type(http.client._parse_header_lines([b"A: b\r\n", b"\r\n"], kind)) is kind
assert fallbacks == 2

# The fast path is not used while the program has patched a function below it.
for target, name in (
    (email.parser.Parser, "parsestr"),
    (email.parser, "FeedParser"),
    (http.client.HTTPMessage, "set_raw"),
    (http.client, "email"),
):
    fallbacks = 0
    with unittest.mock.patch.object(target, name):
        http.client._parse_header_lines(iter([b"A: b\r\n", b"\r\n"]))
    assert fallbacks == 1, name
assert http.client._parse_header_lines(iter([b"A: b\n", b"\n"])).items() == [("A", "b")]

URLS = [
    "", "x", "http://h", "HTTP://u:p@H:80/a;b?c=d#e", "//h/p", "http://[::1]:8/", "mailto:a@b",
    " http://h/\tx\n", "http://h/?a#b?c", "1a://h", "http:///p", "h" * 5_000,
]  # fmt: skip
stock_split = urlsplit._urlsplit
for url in URLS * 2:
    for scheme in (None, "", "ftp", " FTP\n"):
        for fragments in (True, False, 1, 0, []):
            arguments = (url, scheme, fragments)
            assert urllib.parse._urlsplit(*arguments) == stock_split(*arguments), arguments
for bad in ("http://[", "http://h]", "http://[x]/", "http://a\u2100b/"):
    for _ in range(2):
        try:
            urllib.parse.urlparse(bad)
        except ValueError:
            continue
        raise AssertionError(bad)
assert urllib.parse.urlparse(b"http://h/p").path == b"/p"
assert urllib.parse.urlparse("http://h/p") == urllib.parse.urlparse("http://h/p")
assert urlsplit._cached_urlsplit.cache_info().hits > len(URLS)
urllib.parse.clear_cache()
assert not urlsplit._cached_urlsplit.cache_info().currsize
urllib.parse.urlparse("own_scheme://h/")
with unittest.mock.patch.object(urllib.parse, "scheme_chars", urllib.parse.scheme_chars + "_"):
    assert urllib.parse.urlparse("own_scheme://h/").scheme == "own_scheme"
assert not urllib.parse.urlparse("own_scheme://h/").scheme
assert max(len(url) for url in URLS) > urlsplit._MAX_URL
print("the same")
