"""Uses the unmodified HTTP client of the standard library."""

import urllib.request

PORT = 443

with urllib.request.urlopen(f"https://example.com:{PORT}/", timeout=10) as response:
    print(response.status, response.headers["content-type"])
    print("Example Domain" in response.read().decode())
