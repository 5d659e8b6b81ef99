"""A fake `eryx:net/resolver`."""

import contextlib
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


def resolve(name, port, family):
    lookup = Lookup.start(name, port, family)
    with contextlib.closing(lookup):
        return " ".join(lookup.finish(None))


class Lookup:
    @classmethod
    def start(cls, name, port, family):
        resolved = network.resolve(name)
        started.append((name, port, family.name))
        if isinstance(resolved, Err) and isinstance(resolved.value, types.Error_Denied):
            raise resolved
        self = cls()
        live.add(self)
        self.result = resolved
        if not isinstance(resolved, Err) and family is not Family.ANY:
            matching = [a for a in resolved if (":" in a) == (family is Family.IPV6)]
            self.result = matching or Err(types.Error_NameWithoutAddress())
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
        if isinstance(self.result, Err):
            raise Err(self.result.value)
        return self.result

    def __exit__(self, *exc_info):
        assert self in live, "closed twice"
        live.discard(self)

    def close(self):
        self.__exit__()
