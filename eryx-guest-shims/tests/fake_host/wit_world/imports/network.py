"""The fake host's world: names, and what happens to those who use them."""

from componentize_py_types import Err

from . import types

MAX_CONNECTIONS = 64

UDP = False
"""Whether datagrams are allowed."""

NAMES = {
    "server.test": ["127.0.0.1"],
    "both.test": ["::1", "127.0.0.1"],
    "six.test": ["::1"],
    "slow.test": ["127.0.0.1"],
    "stall.test": ["192.0.2.1"],
}


def denied(name):
    return Err(types.Error_Denied(f"{name} is blocked by the rule 'no {name}'; see blocked_hosts"))


def resolve(name):
    """The addresses of a name, or the `Err` to raise."""
    if name in ("denied.test", "localhost"):
        return denied(name)
    if name == "again.test":
        return Err(types.Error_NameTryAgain())
    return NAMES.get(name) or Err(types.Error_NameNotFound())


def judge(host, port):
    """The address to dial, or an `Err` for finish-connect; raises what is refused at once."""
    if host in ("denied.test", "localhost", "10.0.0.1", "::2"):
        raise denied(host)
    if host in ("stall.test", "192.0.2.1"):
        return "stall"
    if host.replace(".", "").isdigit() or ":" in host:
        return host
    found = resolve(host)
    return found if isinstance(found, Err) else found[0]
