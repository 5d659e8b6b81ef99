# The scenario that every client runs. The adapter in front of it defines:
#   get(path, timeout=5) and post(path, json=None, content=None), which return (status, body);
#   TIMEOUT, TLS_FAILURE and REFUSED, the library's own exceptions;
#   KEEPS_CONNECTIONS, whether the library reuses connections.
# ROOT is the URL of the server, TRUSTED whether its certificate is trusted.
import hashlib
import json


def connection():
    return json.loads(get("/connection")[1])["number"]


SIZE = 8 * 2**20
if TRUSTED:
    status, page = get("/")
    assert (status, b"Example Domain" in page) == (200, True)
    status, echoed = post("/echo", json={"a": [1, "é"]})
    assert (status, json.loads(echoed)) == (200, {"a": [1, "é"]})
    assert get("/redirect/3") == (200, page)
    assert get("/status/404")[0] == 404
    gzipped = get("/gzip/100000")[1]
    assert len(gzipped) == 100000
    plain = get("/bytes/100000")[1]
    assert gzipped == plain == get("/chunked/100000")[1]
    for path in (f"/bytes/{SIZE}", f"/chunked/{SIZE}"):
        body = get(path)[1]
        assert len(body) == SIZE
        assert body.startswith(plain)
    uploaded = json.loads(post("/upload", content=body)[1])
    assert uploaded == {"length": SIZE, "sha256": hashlib.sha256(body).hexdigest()}
    # Consecutive requests share a connection if the library reuses connections.
    assert (connection() == connection()) is KEEPS_CONNECTIONS
    try:
        get("/wait/3000", timeout=0.2)
    except TIMEOUT as error:
        print("timeout", type(error).__name__)
    assert get("/wait/1") == (200, b"ok")
    try:
        get("http://forbidden.example/")
    except REFUSED as error:
        text = str(error)
        assert "forbidden.example" in text, text
        assert "allowed_hosts" in text, text
        print("refused", type(error).__name__)
else:
    try:
        get("/")
    except TLS_FAILURE as error:
        assert "CERTIFICATE_VERIFY_FAILED" in str(error), error
        print("untrusted", type(error).__name__)
print("done")
