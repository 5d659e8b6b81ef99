# HTTP/2 is negotiated in the TLS handshake; without TLS the client must be configured for it.
import httpx

with httpx.Client(http1=TLS, http2=True, follow_redirects=True, timeout=20) as client:

    def fetch(method, path, body=None):
        response = client.request(method, ROOT + path, content=body)
        assert response.http_version == "HTTP/2", response.http_version
        return response.status_code, response.content

    assert fetch("GET", "/") == (200, b"hello")
    # The snapshot is taken here.
    run(fetch)
