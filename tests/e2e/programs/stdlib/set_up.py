"""Set-up code with objects that run code when they are looked at, in each way there is."""

import contextvars
import gc
import importlib.abc
import sys
import types
import weakref

calls = []


def called(name):
    """Records that code of the program ran."""
    calls.append(name)
    raise RuntimeError(name)


class Proxy:
    """As those of openai, werkzeug and Django: nothing is known before its first use."""

    @property
    def __class__(self):
        return called("__class__")

    def __getattribute__(self, name):
        return called(name)

    __hash__ = __eq__ = __bool__ = __len__ = __iter__ = __repr__ = __str__ = lambda *_: called(
        "method"
    )


class Lazy(types.ModuleType):
    """A module that imports what it stands for."""

    def __getattr__(self, name):
        return called(name)


class Meta(type):
    """A metaclass that answers for its classes."""

    def __instancecheck__(cls, instance):
        return called("instancecheck")

    def __subclasscheck__(cls, kind):
        return called("subclasscheck")

    __hash__ = __eq__ = lambda *_: called("hash of a class")

    @property
    def __mro__(cls):
        return called("mro")


class WithMeta(metaclass=Meta):
    __slots__ = ("value",)


class Text(str):
    __slots__ = ()

    def __hash__(self):
        return called("hash of a text")

    def __eq__(self, other):
        return called("eq of a text")


class Finalised:
    """Garbage in a cycle: its finaliser runs when it is collected."""

    def __init__(self, name):
        self.name, self.me = name, self

    def __del__(self):
        finalised.append((self.name, sys.gettrace() is tracing))


class Finder(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path, target=None):
        if name != "no_such_module":
            called("find_spec")


class Importer:
    """An entry of a cache of the interpreter, with a finaliser."""

    def __del__(self):
        called("finaliser of an importer")


def generator():
    try:
        yield 1
    finally:
        called("end of a generator")


def tracing(frame, event, argument):
    if frame.f_code.co_filename not in ("<setup>", "<script>"):
        traced.append(frame.f_code.co_qualname)


finalised, traced, audited, collections = [], [], [], []
proxy, lazy, with_meta, text = Proxy(), Lazy("lazy"), WithMeta(), Text("text")
werkzeug_like = contextvars.ContextVar("context")
sys.modules["lazy"] = lazy
sys.meta_path.append(Finder())
suspended = generator()
next(suspended)
references = [weakref.ref(Finalised("weak")), weakref.proxy(Importer)]
held = [proxy, lazy, with_meta, suspended]
sys.path_importer_cache["/home/user"] = Importer()
gc.callbacks.append(lambda phase, info: collections.append(phase))
sys.addaudithook(lambda event, arguments: audited.append(event))
for tool in (sys.monitoring.PROFILER_ID,):
    sys.monitoring.use_tool_id(tool, "profiler")
    sys.monitoring.register_callback(
        tool, sys.monitoring.events.PY_START, lambda code, offset: audited.append(code.co_name)
    )
sys.monitoring.set_events(sys.monitoring.PROFILER_ID, sys.monitoring.events.PY_START)
calls.clear()
sys.settrace(tracing)
