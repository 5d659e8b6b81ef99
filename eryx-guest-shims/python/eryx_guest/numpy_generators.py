"""Seeding of numpy's generators that are part of a snapshot, or of a copy of a session.

numpy draws a seed of 128 bits for each generator that gets none, its global one included. Such a
generator is seeded anew in every sandbox, as those of the module `random` are. A generator with an
explicit seed goes on as it was.
"""

import gc
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

# How many seeds are remembered at least, before those without a generator are forgotten.
_MIN_LIMIT = 4096
_limit = _MIN_LIMIT

# The hashes of the seeds that numpy may have drawn.
_drawn: set[int] = set()

_stock_randbits = secrets.randbits


def install() -> None:
    """Replaces `secrets.randbits`, which numpy calls for a seed."""

    def randbits(k: int) -> int:
        """Generates an int with k random bits."""
        value = _stock_randbits(k)
        if k == _SEED_BITS:
            _remember(value)
        return value

    randbits.__module__ = "secrets"
    randbits.__qualname__ = "randbits"
    secrets.randbits = randbits


def collect(objects: list[Any]) -> list[Any]:
    """Finds the generators without an explicit seed among `objects`, and the states over them.

    Runs no code of a program: the types are those of numpy's extension modules.
    """
    wanted = {id(each) for module, names in _TYPES.items() for each in _classes(module, names)}
    sequences = _classes("numpy.random.bit_generator", ("SeedSequence",))
    if not wanted or not sequences:
        return []
    [sequence] = sequences
    found = [each for each in objects if id(type(each)) in wanted and _is_unseeded(each, sequence)]
    generators = {id(each) for each in found}
    for state in _classes("numpy.random.mtrand", ("RandomState",)):
        found += [
            each
            for each in objects
            if type(each) is state and id(each._bit_generator) in generators
        ]
    return found


def seed(generators: list[Any]) -> None:
    """Seeds what `collect` found."""
    for generator in generators:
        try:
            if type(generator).__name__ == "RandomState":
                _forget_second_number(generator)
                continue
            new = type(generator)()
            # With the sequence, from which `Generator.spawn` takes seeds.
            generator.__setstate__((new.state, new.seed_seq))
        except BaseException:
            # The program has replaced the function: numpy's own cannot fail.
            continue


def _remember(seed: int) -> None:
    global _limit
    if len(_drawn) >= _limit:
        alive: list[Any] = []
        for sequence in _classes("numpy.random.bit_generator", ("SeedSequence",)):
            objects = [each for each in gc.get_objects() if type(each) is sequence]
            # One that is being made has none yet.
            alive += [getattr(each, "entropy", None) for each in objects]
        _drawn.intersection_update({hash(each) for each in alive if type(each) is int})
        _limit = max(_MIN_LIMIT, 2 * len(_drawn))
    _drawn.add(hash(seed))


def _classes(module: str, names: tuple[str, ...]) -> list[Any]:
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


def _forget_second_number(state: Any) -> None:
    """Removes the normally distributed number that `state` has made in advance."""
    content = state.get_state(legacy=False)
    if content["has_gauss"]:
        state.set_state(content | {"has_gauss": 0, "gauss": 0.0})
