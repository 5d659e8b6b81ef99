import websocket

connection = websocket.create_connection(f"{'wss' if TLS else 'ws'}://{HOST}:{PORT}/", timeout=20)
connection.send("é")
assert connection.recv() == "é"
# The snapshot is taken here.
connection.send_binary(bytes(2**20))
assert connection.recv() == bytes(2**20)
connection.close()

# The callback interface, run in the calling thread, as its documentation describes.
messages = []
application = websocket.WebSocketApp(
    f"{'wss' if TLS else 'ws'}://{HOST}:{PORT}/",
    on_open=lambda app: app.send("one"),
    on_message=lambda app, message: (messages.append(message), app.close()),
)
application.run_forever()
assert messages == ["one"], messages
