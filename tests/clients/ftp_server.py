"""An FTP server: `ftp_server.py HOME PORT TLS_PORT CHAIN KEY`."""

import sys

import pyftpdlib.authorizers
import pyftpdlib.handlers
import pyftpdlib.ioloop
import pyftpdlib.servers

home, plain, tls, chain, key = sys.argv[1:]
authorizer = pyftpdlib.authorizers.DummyAuthorizer()
authorizer.add_user("eryx", "secret", home, perm="elradfmw")


class PlainHandler(pyftpdlib.handlers.FTPHandler):
    """Speaks no TLS."""


class TlsHandler(pyftpdlib.handlers.TLS_FTPHandler):
    """Requires explicit TLS."""

    certfile = chain
    keyfile = key
    tls_control_required = True
    tls_data_required = True


PlainHandler.authorizer = TlsHandler.authorizer = authorizer
loop = pyftpdlib.ioloop.IOLoop()
servers = [
    pyftpdlib.servers.FTPServer(("127.0.0.1", int(port)), handler, ioloop=loop)
    for port, handler in ((plain, PlainHandler), (tls, TlsHandler))
]
loop.loop()
