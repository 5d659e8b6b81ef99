import socket

import dns.message
import dns.query
import dns.rcode

where = socket.gethostbyname(HOST)


def ask(name, kind):
    query = dns.message.make_query(name, kind)
    if TLS:
        return dns.query.tls(query, where, 20, PORT, server_hostname=HOST)
    # A truncated reply is requested again over TCP.
    response, cut = dns.query.udp_with_fallback(query, where, 20, PORT)
    ways.append("TCP" if cut else "UDP")
    return response


ways = []

answer = ask("www.zone.example", "A")
assert [str(record) for record in answer.answer[0]] == ["192.0.2.7"]
# The snapshot is taken here.
# More than fits into a datagram.
texts = ask("long.zone.example", "TXT").answer[0]
assert len(texts) == 50
assert ask("nothing.zone.example", "A").rcode() == dns.rcode.NXDOMAIN
if not TLS:
    assert ways == ["UDP", "TCP", "UDP"], ways
    question = dns.message.make_query("secret.zone.example", "A")
    try:
        dns.query.udp(question, "192.0.2.53", 20)
    except PermissionError:
        pass
    else:
        raise AssertionError("it has asked a name server that is not allowed")
