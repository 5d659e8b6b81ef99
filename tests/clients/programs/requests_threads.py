import concurrent.futures
import hashlib

import requests

scheme = "https" if TLS else "http"
session = requests.Session()


def fetch(n):
    body = bytes([n]) * (1000 * n)
    size, digest = session.post(f"{scheme}://{HOST}:{PORT}/digest", data=body, timeout=20).json()
    assert (size, digest) == (len(body), hashlib.sha256(body).hexdigest())
    return n


with concurrent.futures.ThreadPoolExecutor(16) as pool:
    assert list(pool.map(fetch, range(40))) == list(range(40))
    # The snapshot is taken here.
    url = f"{scheme}://{HOST}:{PORT}/status"
    statuses = [pool.submit(session.get, f"{url}/{n}", timeout=20) for n in (200, 404)]
    found = {each.result().status_code for each in concurrent.futures.as_completed(statuses)}
    assert found == {200, 404}, found
