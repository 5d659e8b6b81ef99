"""Generators of random numbers, which a snapshot would make the same in every sandbox.

One that was given a seed or a state is the same on purpose. All others are seeded anew when a
sandbox runs its first program: the one of the module `random`, and those that a factory's imports
and set-up code made.
"""

import os
import random
import types
import uuid
import weakref
from typing import Any

# What one of them is seeded with, in bytes.
_ENTROPY = 32

# How many are seeded from one call of the host, which gives at most 64 KiB at a time.
_AT_ONCE = 1024

_inner: random.Random = random._inst
_reseed: Any = random.Random.__mro__[1].seed  # type: ignore[attr-defined]
_urandom = os.urandom

# Those to seed in every sandbox.
_unseeded: list[random.Random] = [_inner]

# Those that are not seeded with a value, while that is noted; by identity, for a subclass may
# compare and hash as it likes.
_noted: dict[int, weakref.ref[random.Random]] | None = None

# The states they have had and may get back, so do copies of them.
_states: set[Any] = set()


def seed() -> None:
    """Seed them. No code of a subclass runs."""
    for start in range(0, len(_unseeded), _AT_ONCE):
        some = _unseeded[start : start + _AT_ONCE]
        _seed_from(_urandom(_ENTROPY * len(some)), some)


def seed_the_same() -> None:
    """Seed them where the host has no randomness to give: while the image is built."""
    _seed_from(bytes(_ENTROPY * len(_unseeded)), _unseeded)


def _seed_from(entropy: bytes, some: list[random.Random]) -> None:
    for position, one in enumerate(some):
        own = entropy[position * _ENTROPY : (position + 1) * _ENTROPY]
        _reseed(one, int.from_bytes(own))
        try:
            object.__setattr__(one, "gauss_next", None)
        except BaseException:
            # A subclass without such an attribute, or with one of its own.
            continue


def watch() -> None:
    """Note from here on which generators are seeded with a value."""
    global _noted
    _noted = {id(one): weakref.ref(one) for one in _unseeded}
    for name, method in _NOTING.items():
        _replace(name, _GENUINE[name], method)


def settle() -> None:
    """Make those that are not part of the snapshot, to be seeded in every sandbox."""
    global _noted, _unseeded
    if _noted is not None:
        alive = (reference() for reference in _noted.values())
        _unseeded = [one for one in alive if one is not None]
        _noted = None
        _states.clear()
        for name, method in _GENUINE.items():
            _replace(name, _NOTING[name], method)
    # A number that was drawn for this process, where there is no network card.
    uuid._node = None  # type: ignore[attr-defined]


def _replace(name: str, old: Any, new: Any) -> None:
    """Exchange a method of the class, and that of the module's generator, unless the set-up code
    has done so."""
    function = getattr(random, name)
    if type(function) is types.MethodType and function.__func__ is old:
        setattr(random, name, types.MethodType(new, _inner))
    if vars(random.Random).get(name) is old:
        setattr(random.Random, name, new)


def _noting_seed(self: random.Random, a: Any = None, version: int = 2) -> None:
    _GENUINE["seed"](self, a, version)
    _note(self, a is None)


def _noting_getstate(self: random.Random) -> Any:
    state = _GENUINE["getstate"](self)
    if _noted is not None and id(self) in _noted:
        _states.add(state)
    return state


def _noting_setstate(self: random.Random, state: Any) -> None:
    _GENUINE["setstate"](self, state)
    _note(self, state in _states)


def _note(generator: random.Random, unseeded: bool) -> None:
    if _noted is None:
        return
    if unseeded:
        _noted[id(generator)] = weakref.ref(generator)
    else:
        _noted.pop(id(generator), None)


_NOTING: dict[str, Any] = {
    "seed": _noting_seed,
    "getstate": _noting_getstate,
    "setstate": _noting_setstate,
}
_GENUINE: dict[str, Any] = {name: getattr(random.Random, name) for name in _NOTING}
