"""Measures the seconds to serialize a document as JSON and to parse it."""

import json
import time


def main():
    rows = [{"id": n, "name": f"name {n}", "tags": ["a", "b"], "ratio": n / 7} for n in range(200)]
    document = {"rows": rows}
    start = time.perf_counter()
    for _ in range(20):
        if len(json.loads(json.dumps(document))["rows"]) != 200:
            raise ValueError("rows are missing")
    return (time.perf_counter() - start) / 20
