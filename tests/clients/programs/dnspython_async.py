import asyncio
import socket

import dns.asyncquery
import dns.message
import dns.rcode

where = socket.gethostbyname(HOST)


async def ask(name, kind):
    query = dns.message.make_query(name, kind)
    if TLS:
        return await dns.asyncquery.tls(query, where, 20, PORT, server_hostname=HOST)
    response, _ = await dns.asyncquery.udp_with_fallback(query, where, 20, PORT)
    return response


async def main():
    assert (await ask("nothing.zone.example", "A")).rcode() == dns.rcode.NXDOMAIN
    # The snapshot is taken here.
    address, texts, nothing = await asyncio.gather(
        ask("www.zone.example", "A"),
        ask("long.zone.example", "TXT"),
        ask("nothing.zone.example", "A"),
    )
    assert [str(record) for record in address.answer[0]] == ["192.0.2.7"]
    assert len(texts.answer[0]) == 50
    assert nothing.rcode() == dns.rcode.NXDOMAIN


asyncio.run(main())
