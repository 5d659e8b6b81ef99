"""An LDAP server with a directory in memory: `ldap_server.py PORT`."""

import io
import sys

from ldaptor.inmemory import fromLDIFFile
from ldaptor.interfaces import IConnectedLDAPEntry
from ldaptor.protocols.ldap.ldapserver import LDAPServer
from twisted.internet import protocol, reactor
from twisted.python.components import registerAdapter

TREE = b"""dn: dc=example,dc=com
objectClass: dcObject
dc: example

dn: cn=admin,dc=example,dc=com
objectClass: person
cn: admin
sn: admin
userPassword: secret

"""


class Directory(protocol.ServerFactory):
    """Serves the same tree to every connection."""

    def __init__(self, root):
        self.root = root

    def buildProtocol(self, address):
        server = LDAPServer()
        server.factory = self
        return server


def listen(root):
    registerAdapter(lambda factory: factory.root, Directory, IConnectedLDAPEntry)
    reactor.listenTCP(int(sys.argv[1]), Directory(root), interface="127.0.0.1")


fromLDIFFile(io.BytesIO(TREE)).addCallbacks(listen, lambda failure: sys.exit(str(failure)))
reactor.run()
