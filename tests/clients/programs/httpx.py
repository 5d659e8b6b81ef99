import httpx

with httpx.Client(follow_redirects=True, timeout=20) as client:

    def fetch(method, path, body=None):
        response = client.request(method, ROOT + path, content=body)
        assert response.http_version == "HTTP/1.1"
        return response.status_code, response.content

    assert fetch("GET", "/") == (200, b"hello")
    # The snapshot is taken here.
    run(fetch)
