"""Seeding of numpy's generators that are part of a snapshot, or of a copy of a session.

numpy draws a seed of 128 bits for each generator that gets none, its global one included. Such a
generator is seeded anew in every sandbox, as those of the module `random` are. A generator with an
explicit seed goes on as it was.
"""

import secrets
import sys
import types
from typing import Any

# The types of generators, by the names of their modules.
_TYPES = {
    "numpy.random._mt19937": ("MT19937",),
    "numpy.random._pcg64": ("PCG64", "PCG64DXSM"),
    "numpy.random._philox": ("Philox",),
    "numpy.random._sfc64": ("SFC64",),
}

# The bits of the seeds that numpy draws.
_SEED_BITS = 128

# The seeds that are remembered.
_MAX_SEEDS = 4096

# The hashes of the seeds that numpy may have drawn.
_drawn: set[int] = set()

_stock_randbits = secrets.randbits


def install() -> None:
    """Replaces `secrets.randbits`, which numpy calls for a seed."""

    def randbits(k: int) -> int:
        """Generates an int with k random bits."""
        value = _stock_randbits(k)
        if k == _SEED_BITS:
            if len(_drawn) >= _MAX_SEEDS:
                _drawn.clear()
            _drawn.add(hash(value))
        return value

    randbits.__module__ = "secrets"
    randbits.__qualname__ = "randbits"
    secrets.randbits = randbits


def collect(objects: list[Any]) -> list[Any]:
    """Finds the generators and the global state without an explicit seed among `objects`.

    Runs no code of a program: the types are those of numpy's extension modules.
    """
    wanted = {id(each) for module, names in _TYPES.items() for each in _classes(module, names)}
    sequences = _classes("numpy.random.bit_generator", ("SeedSequence",))
    if not wanted or not sequences:
        return []
    [sequence] = sequences
    return [each for each in objects if id(type(each)) in wanted and _is_unseeded(each, sequence)]


def seed(generators: list[Any]) -> None:
    """Seeds generators that `collect` found."""
    for generator in generators:
        try:
            new = type(generator)()
            # With the sequence, from which `Generator.spawn` takes seeds.
            generator.__setstate__((new.state, new.seed_seq))
        except BaseException:
            # It is not that of numpy, which cannot fail.
            continue
    _forget_second_number(generators)


def _classes(module: str, names: tuple[str, ...]) -> list[type]:
    found = sys.modules.get(module)
    if type(found) is not types.ModuleType:
        return []
    classes = (found.__dict__.get(name) for name in names)
    return [each for each in classes if type(each) is type]


def _is_unseeded(generator: Any, sequence: type) -> bool:
    # A generator that got a seed as in older versions of numpy has no sequence.
    seeds = generator.seed_seq
    if type(seeds) is not sequence:
        return False
    entropy = seeds.entropy  # type: ignore[attr-defined]
    return type(entropy) is int and hash(entropy) in _drawn


def _forget_second_number(generators: list[Any]) -> None:
    """Removes the normally distributed number that the global generator has made in advance."""
    module = sys.modules.get("numpy.random.mtrand")
    if type(module) is not types.ModuleType:
        return
    try:
        state = module.__dict__["_rand"]
        if not any(state._bit_generator is each for each in generators):
            return
        content = state.get_state(legacy=False)
        if content["has_gauss"]:
            state.set_state(content | {"has_gauss": 0, "gauss": 0.0})
    except BaseException:
        # It is not that of numpy, which cannot fail.
        return
