"""An FTP server: `ftp_server.py HOME PORT TLS_PORT CHAIN KEY`."""

import sys

import pyftpdlib.authorizers
import pyftpdlib.handlers
import pyftpdlib.ioloop
import pyftpdlib.servers

home, plain, tls, chain, key = sys.argv[1:]
authorizer = pyftpdlib.authorizers.DummyAuthorizer()
authorizer.add_user("eryx", "secret", home, perm="elradfmw")


class Plain(pyftpdlib.handlers.FTPHandler):
    """Without TLS."""


class Encrypted(pyftpdlib.handlers.TLS_FTPHandler):
    """With TLS, which the client has to ask for."""

    certfile = chain
    keyfile = key
    tls_control_required = True
    tls_data_required = True


Plain.authorizer = Encrypted.authorizer = authorizer
loop = pyftpdlib.ioloop.IOLoop()
servers = [
    pyftpdlib.servers.FTPServer(("127.0.0.1", int(port)), handler, ioloop=loop)
    for port, handler in ((plain, Plain), (tls, Encrypted))
]
loop.loop()
