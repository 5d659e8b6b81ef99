"""A fake `eryx:host/functions`: functions that tests put into `offered`."""

import json
import time
from dataclasses import dataclass
from enum import Enum

from componentize_py_types import Err

live = set()
offered = {}
max_value = 1 << 20
descriptions = []


class Kind(Enum):
    PLAIN = 0
    ASYNCHRONOUS = 1


@dataclass
class Description:
    name: str
    kind: Kind
    signature: str
    documentation: str


@dataclass
class Exception:
    exception_type: str
    message: str


class Failure_WouldBlock:  # noqa: N801 - componentize-py's name
    pass


@dataclass
class Failure_Raised:  # noqa: N801
    value: Exception


def available(module):
    return descriptions if module == "tools" else []


def invoke(name, arguments):
    call = Call.start(name, arguments)
    try:
        return call.finish(None)
    finally:
        call.__exit__(None, None, None)


class Call:
    @classmethod
    def start(cls, name, arguments):
        if name not in offered:
            raise Err(Failure_Raised(Exception("AttributeError", f"no {name}")))
        if len(arguments) > max_value:
            raise Err(Failure_Raised(Exception("tools.LimitError", f"{len(arguments)} bytes")))
        self = cls()
        live.add(self)
        args, kwargs = json.loads(arguments)
        self.ready_at = time.monotonic() + kwargs.pop("delay", 0)
        self.outcome = offered[name](*args, **kwargs)
        return self

    def finish(self, timeout):
        left = self.ready_at - time.monotonic()
        if left > 0:
            if timeout == 0:
                raise Err(Failure_WouldBlock())
            time.sleep(left)
        if isinstance(self.outcome, Exception):
            raise Err(Failure_Raised(self.outcome))
        return json.dumps(self.outcome).encode()

    def __exit__(self, *exc_info):
        assert self in live, "closed twice"
        live.discard(self)
