"""The network of the fake host: its names and its policy."""

from componentize_py_types import Err

from . import types

MAX_CONNECTIONS = 64

UDP = False
"""Whether UDP is allowed."""

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
    """Returns the addresses of a name, or the `Err` to raise."""
    if name in ("denied.test", "localhost"):
        return denied(name)
    if name == "again.test":
        return Err(types.Error_NameTryAgain())
    return NAMES.get(name) or Err(types.Error_NameNotFound())


def check_policy(host, port):
    """Returns the address to connect to, or the `Err` for `finish-connect`.

    Raises `Err` for a host that the policy denies.
    """
    if host in ("denied.test", "localhost", "10.0.0.1", "::2"):
        raise denied(host)
    if host in ("stall.test", "192.0.2.1"):
        return "stall"
    if host.replace(".", "").isdigit() or ":" in host:
        return host
    resolved = resolve(host)
    return resolved if isinstance(resolved, Err) else resolved[0]
