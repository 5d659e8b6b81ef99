import ftplib
import io
import ssl

content = bytes(range(256)) * 4096
client = (
    ftplib.FTP_TLS(context=ssl.create_default_context(), timeout=20)
    if TLS
    else ftplib.FTP(timeout=20)
)
client.connect(HOST, PORT)
client.login("eryx", "secret")
if TLS:
    client.prot_p()
# The snapshot is taken here.
name = f"file-{TLS}"
client.storbinary(f"STOR {name}", io.BytesIO(content))
assert client.size(name) == len(content)
got = []
client.retrbinary(f"RETR {name}", got.append)
assert b"".join(got) == content
assert name in client.nlst()
try:
    client.delete("nothing")
except ftplib.error_perm as error:
    assert str(error).startswith("550")
else:
    raise AssertionError("deleted what is not there")
client.delete(name)
client.quit()
