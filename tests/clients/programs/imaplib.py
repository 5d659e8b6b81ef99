import imaplib
import ssl

if TLS:
    client = imaplib.IMAP4_SSL(HOST, PORT, ssl_context=ssl.create_default_context(), timeout=20)
else:
    client = imaplib.IMAP4(HOST, PORT, timeout=20)
folder = f"folder{TLS}"
letter = b"Subject: imaplib\r\n\r\n" + b"line\r\n" * 10_000
with client:
    client.login("eryx", "secret")
    # The snapshot is taken here.
    assert client.create(folder)[0] == "OK"
    assert client.append(folder, r"\Flagged", None, letter)[0] == "OK"
    assert client.select(folder) == ("OK", [b"1"])
    assert client.search(None, "FLAGGED") == ("OK", [b"1"])
    _, [(_, body), _] = client.fetch("1", "(RFC822)")
    assert body == letter, len(body)
    assert client.store("1", "+FLAGS", r"\Deleted")[0] == "OK"
    assert client.expunge() == ("OK", [b"1"])
    assert client.close()[0] == "OK"
    assert client.delete(folder)[0] == "OK"
