"""Stands in for `eryx:net/resolver`."""

import time
from enum import Enum

from componentize_py_types import Err

from . import network, types

live = set()
started = []


class Family(Enum):
    ANY = 0
    IPV4 = 1
    IPV6 = 2


class Lookup:
    @classmethod
    def start(cls, name, port, family):
        found = network.resolve(name)
        started.append((name, port, family.name))
        if isinstance(found, Err) and isinstance(found.value, types.Error_Denied):
            raise found
        self = cls()
        live.add(self)
        self.found = found
        if not isinstance(found, Err) and family is not Family.ANY:
            kept = [a for a in found if (":" in a) == (family is Family.IPV6)]
            self.found = kept or Err(types.Error_NameNotFound())
        self.ready_at = time.monotonic() + (0.3 if name == "slow.test" else 0)
        return self

    def finish(self, timeout):
        left = self.ready_at - time.monotonic()
        if left > 0:
            if timeout == 0:
                raise Err(types.Error_WouldBlock())
            if timeout is not None and timeout / 1e9 < left:
                time.sleep(timeout / 1e9)
                raise Err(types.Error_TimedOut())
            time.sleep(left)
        if isinstance(self.found, Err):
            raise Err(self.found.value)
        return self.found

    def __exit__(self, *exc_info):
        assert self in live, "given back twice"
        live.discard(self)
