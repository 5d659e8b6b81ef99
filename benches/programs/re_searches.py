"""Measures the seconds to find every email address in a text, and to replace every word of it."""

import re
import time


def main():
    text = " ".join(f"word{n} user{n}@host{n % 10}.example.com" for n in range(500))
    address = re.compile(r"[\w.]+@[\w.]+\.\w{2,}")
    word = re.compile(r"\b(\w)(\w*)\b")
    start = time.perf_counter()
    for _ in range(10):
        if len(address.findall(text)) != 500:
            raise ValueError("addresses are missing")
        word.sub(r"\2\1", text)
    return (time.perf_counter() - start) / 10
