import socket

import dns.message
import dns.query
import dns.rcode

where = socket.gethostbyname(HOST)


def ask(name, kind):
    query = dns.message.make_query(name, kind)
    if TLS:
        return dns.query.tls(query, where, 20, PORT, server_hostname=HOST)
    return dns.query.tcp(query, where, 20, PORT)


answer = ask("www.zone.example", "A")
assert [str(one) for one in answer.answer[0]] == ["192.0.2.7"]
# More than a datagram holds.
texts = ask("long.zone.example", "TXT").answer[0]
assert len(texts) == 50
assert ask("nothing.zone.example", "A").rcode() == dns.rcode.NXDOMAIN
