import poplib
import ssl

if TLS:
    client = poplib.POP3_SSL(HOST, PORT, context=ssl.create_default_context(), timeout=20)
else:
    client = poplib.POP3(HOST, PORT, timeout=20)
client.user("eryx")
client.pass_("secret")
assert client.stat()[0] == 1, client.stat()
# The snapshot is taken here.
_, lines, size = client.retr(1)
assert b"Subject: in the box" in lines, lines[:5]
assert lines.count(b"line") == 1000
assert lines[-1] == b"..dot", lines[-1]
client.quit()
