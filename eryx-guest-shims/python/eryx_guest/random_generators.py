"""Seeding of the random number generators that are part of a snapshot.

Without it they would produce the same numbers in every sandbox. That is intended for a generator
with an explicit seed or state. All others are seeded when a sandbox runs its first program: the
generator of the module `random`, and those that a factory's imports and set-up code created.
"""

import os
import random
import types
import uuid
import weakref
from typing import Any

# The bytes of entropy for one generator.
_ENTROPY = 32

# The generators seeded with one call of the host, which returns at most 64 KiB.
_BATCH = 1024

_inner: random.Random = random._inst
_reseed: Any = random.Random.__mro__[1].seed  # type: ignore[attr-defined]
_urandom = os.urandom

# The generators to seed in every sandbox.
_unseeded: list[random.Random] = [_inner]

# The generators without an explicit seed, while seeding is tracked. Keyed by identity, as a
# subclass may define its own equality and hash.
_tracked: dict[int, weakref.ref[random.Random]] | None = None

# The states of tracked generators: a generator or copy restored to one still has no explicit seed.
_states: set[Any] = set()


def seed_all() -> None:
    """Seeds the generators without an explicit seed. Runs no code of a subclass."""
    for start in range(0, len(_unseeded), _BATCH):
        batch = _unseeded[start : start + _BATCH]
        _seed_from(_urandom(_ENTROPY * len(batch)), batch)


def seed_module() -> None:
    """Seeds the generator of the module `random` anew, as CPython does in a forked process."""
    _seed_from(_urandom(_ENTROPY), [_inner])


def seed_all_with_zeros() -> None:
    """Seeds the generators while the image is built, where the host has no entropy."""
    _seed_from(bytes(_ENTROPY * len(_unseeded)), _unseeded)


def _seed_from(entropy: bytes, generators: list[random.Random]) -> None:
    for index, generator in enumerate(generators):
        own = entropy[index * _ENTROPY : (index + 1) * _ENTROPY]
        _reseed(generator, int.from_bytes(own))
        try:
            object.__setattr__(generator, "gauss_next", None)
        except BaseException:
            # A subclass without such an attribute, or with a different one.
            continue


def track_seeding() -> None:
    """Starts to track which generators get an explicit seed."""
    global _tracked
    _tracked = {id(generator): weakref.ref(generator) for generator in _unseeded}
    for name, method in _TRACKING.items():
        _replace(name, _STOCK[name], method)


def collect_unseeded() -> None:
    """Stops tracking. Generators without an explicit seed will be seeded in every sandbox."""
    global _tracked, _unseeded
    if _tracked is not None:
        alive = (reference() for reference in _tracked.values())
        _unseeded = [generator for generator in alive if generator is not None]
        _tracked = None
        _states.clear()
        for name, method in _STOCK.items():
            _replace(name, _TRACKING[name], method)
    # The random node ID of this process, used where there is no network card.
    uuid._node = None  # type: ignore[attr-defined]


def _replace(name: str, old: Any, new: Any) -> None:
    """Replaces a method of `Random` and of the module's generator, unless the program did."""
    function = getattr(random, name)
    if type(function) is types.MethodType and function.__func__ is old:
        setattr(random, name, types.MethodType(new, _inner))
    if vars(random.Random).get(name) is old:
        setattr(random.Random, name, new)


def _tracking_seed(self: random.Random, a: Any = None, version: int = 2) -> None:
    _STOCK["seed"](self, a, version)
    _track(self, a is None)


def _tracking_getstate(self: random.Random) -> Any:
    state = _STOCK["getstate"](self)
    if _tracked is not None and id(self) in _tracked:
        _states.add(state)
    return state


def _tracking_setstate(self: random.Random, state: Any) -> None:
    _STOCK["setstate"](self, state)
    _track(self, state in _states)


def _track(generator: random.Random, unseeded: bool) -> None:
    if _tracked is None:
        return
    if unseeded:
        _tracked[id(generator)] = weakref.ref(generator)
    else:
        _tracked.pop(id(generator), None)


_TRACKING: dict[str, Any] = {
    "seed": _tracking_seed,
    "getstate": _tracking_getstate,
    "setstate": _tracking_setstate,
}
_STOCK: dict[str, Any] = {name: getattr(random.Random, name) for name in _TRACKING}
