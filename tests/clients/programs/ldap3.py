import ssl

import ldap3

tls = ldap3.Tls(validate=ssl.CERT_REQUIRED, version=ssl.PROTOCOL_TLS_CLIENT) if TLS else None
server = ldap3.Server(HOST, PORT, use_ssl=TLS, tls=tls, connect_timeout=20)
with ldap3.Connection(
    server, "cn=admin,dc=example,dc=com", "secret", auto_bind=True, receive_timeout=20
) as connection:
    # The snapshot is taken here.
    name = f"cn=new {TLS},dc=example,dc=com"
    assert connection.add(name, "person", {"sn": "Née", "description": "x" * 1000}), (
        connection.result
    )
    assert connection.search("dc=example,dc=com", "(sn=Née)", attributes=["sn", "description"])
    [entry] = connection.entries
    assert (entry.sn.value, len(entry.description.value)) == ("Née", 1000)
    assert connection.modify(name, {"sn": [(ldap3.MODIFY_REPLACE, ["Other"])]}), connection.result
    assert connection.search("dc=example,dc=com", "(sn=Other)")
    assert connection.delete(name), connection.result
    assert not connection.search("dc=example,dc=com", "(sn=Other)")
