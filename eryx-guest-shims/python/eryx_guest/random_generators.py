"""Seeding of the random number generators that are part of a snapshot, or of a copy of a session.

Without it they would produce the same numbers in every sandbox. That is intended for a generator
with an explicit seed or state. All others are seeded anew when a sandbox runs its first program,
and when a copy of a session wakes, whatever holds them: the generator of the module `random`, and
every other instance of its class.
"""

import functools
import gc
import os
import random
import sys
import types
import uuid
import weakref
from typing import Any

from eryx_guest import numpy_generators

# The bytes of entropy for one generator.
_ENTROPY = 32

# The generators seeded with one call of the host, which returns at most 64 KiB.
_BATCH = 1024

# The states of unseeded generators that are remembered.
_MAX_STATES = 4096

_inner: random.Random = random._inst
_native: Any = random.Random.__mro__[1]
_reseed: Any = _native.seed
_urandom = os.urandom

# The generators of the snapshot to seed in every sandbox, and those of numpy.
_unseeded: list[Any] = [_inner]
_unseeded_numpy: list[Any] = []

# The generators with an explicit seed. Keyed by identity, as a subclass may define its own equality
# and hash.
_explicit: dict[int, weakref.ref[Any]] = {}

# The hashes of states that generators without an explicit seed had: a generator or a copy that is
# restored to one of them has no explicit seed either.
_states: set[int] = set()


# The functions that seed the generators of native packages, by the names of their modules.
_NATIVE_SEEDS = {"uuid_utils._uuid_utils": "reseed"}


def seed_all() -> None:
    """Seeds the generators of the snapshot. Runs no code of a subclass."""
    for start in range(0, len(_unseeded), _BATCH):
        batch = _unseeded[start : start + _BATCH]
        _seed_from(_urandom(_ENTROPY * len(batch)), batch)
    _seed_native(_unseeded_numpy)


def _seed_native(of_numpy: list[Any]) -> None:
    """Seeds the generators of native packages that are imported."""
    if of_numpy:
        numpy_generators.seed(of_numpy)
    for name, function in _NATIVE_SEEDS.items():
        module = sys.modules.get(name)
        if type(module) is types.ModuleType:
            seed = module.__dict__.get(function)
            if type(seed) is types.BuiltinFunctionType:
                try:
                    seed()
                except BaseException:
                    # The program has replaced the function: the package's own cannot fail.
                    continue


def seed_copies() -> None:
    """Seeds the generators without an explicit seed, in a copy of a session.

    That of the module `random` is one of them, also after `random.seed(1)`, as CPython seeds it in
    a forked process. The generators of the snapshot are not among the objects that the garbage
    collector returns.
    """
    _mark(_inner, False)
    objects = gc.get_objects()
    found = [*_unseeded, *(each for each in objects if issubclass(type(each), _native))]
    pending = [_inner, *(each for each in found if id(each) not in _explicit)]
    for start in range(0, len(pending), _BATCH):
        batch = pending[start : start + _BATCH]
        _seed_from(_urandom(_ENTROPY * len(batch)), batch)
    _seed_native([*_unseeded_numpy, *numpy_generators.collect(objects)])


def seed_all_with_zeros() -> None:
    """Seeds the generators while the image is built, where the host has no entropy."""
    _seed_from(bytes(_ENTROPY * len(_unseeded)), _unseeded)


def _seed_from(entropy: bytes, generators: list[Any]) -> None:
    for index, generator in enumerate(generators):
        own = entropy[index * _ENTROPY : (index + 1) * _ENTROPY]
        _reseed(generator, int.from_bytes(own))
        if issubclass(type(generator), random.Random):
            try:
                object.__setattr__(generator, "gauss_next", None)
            except BaseException:
                # A subclass without such an attribute, or with a different one.
                continue


def collect_unseeded(objects: list[Any]) -> None:
    """Finds the generators without an explicit seed among `objects`, which will be in a snapshot.

    Runs no code of a program.
    """
    global _unseeded, _unseeded_numpy
    _unseeded_numpy = numpy_generators.collect(objects)
    _unseeded = [
        each for each in objects if issubclass(type(each), _native) and id(each) not in _explicit
    ]
    # The random node ID of this process, used where there is no network card.
    uuid._node = None  # type: ignore[attr-defined]


def forget_explicit_seeds() -> None:
    """Makes all generators of the image count as unseeded: their seeds come from the build."""
    _explicit.clear()
    _states.clear()


def _mark(generator: Any, explicit: bool) -> None:
    key = id(generator)
    if explicit:
        _explicit[key] = weakref.ref(generator, functools.partial(_drop, key))
    else:
        _explicit.pop(key, None)


def _drop(key: int, _: Any) -> None:
    _explicit.pop(key, None)


def _seed(self: random.Random, a: Any = None, version: int = 2) -> None:
    _STOCK["seed"](self, a, version)
    if a is not None:
        _mark(self, True)
    elif _explicit:
        _mark(self, False)


def _getstate(self: random.Random) -> Any:
    state = _STOCK["getstate"](self)
    if id(self) not in _explicit:
        if len(_states) >= _MAX_STATES:
            _states.clear()
        _states.add(hash(state[1]))
    return state


def _setstate(self: random.Random, state: Any) -> None:
    _STOCK["setstate"](self, state)
    try:
        known = hash(state[1]) in _states
    except Exception:
        known = False
    _mark(self, not known)


def install() -> None:
    """Replaces the methods of `random.Random` and of the module that set a state."""
    numpy_generators.install()
    for name, method in (("seed", _seed), ("getstate", _getstate), ("setstate", _setstate)):
        stock = _STOCK[name]
        replacement: Any = method
        replacement.__name__ = name
        replacement.__qualname__ = stock.__qualname__
        replacement.__module__ = stock.__module__
        replacement.__doc__ = stock.__doc__
        setattr(random.Random, name, replacement)
        setattr(random, name, types.MethodType(replacement, _inner))


_STOCK: dict[str, Any] = {
    name: getattr(random.Random, name) for name in ("seed", "getstate", "setstate")
}
