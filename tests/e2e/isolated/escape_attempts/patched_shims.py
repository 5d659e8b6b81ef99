"""Replaces the functions of the shims that check destinations."""

import eryx_net.dns.hostname
import eryx_net.host
import eryx_net.loopback.port_table

eryx_net.host.exception_for = lambda error: None
eryx_net.host.call = lambda function, *arguments: function(*arguments)
eryx_net.dns.hostname.own_addresses = lambda *arguments: ["127.0.0.1"]

import socket

try:
    socket.create_connection((CANARY_HOST, CANARY))
except Exception as error:
    print(type(error).__name__)
else:
    print("ESCAPED")
