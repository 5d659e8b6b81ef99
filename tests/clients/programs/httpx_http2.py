# HTTP/2 is agreed on in the TLS handshake; without TLS the client has to know.
import httpx

with httpx.Client(http1=TLS, http2=True, follow_redirects=True, timeout=20) as client:

    def fetch(method, path, body=None):
        response = client.request(method, ROOT + path, content=body)
        assert response.http_version == "HTTP/2", response.http_version
        return response.status_code, response.content

    run(fetch)
