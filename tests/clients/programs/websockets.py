from websockets.sync.client import connect

with connect(f"{'wss' if TLS else 'ws'}://{HOST}:{PORT}/", max_size=2**22) as websocket:
    websocket.send("é")
    assert websocket.recv(timeout=20) == "é"
    # The snapshot is taken here.
    websocket.send(bytes(2**20))
    assert websocket.recv(timeout=20) == bytes(2**20)
