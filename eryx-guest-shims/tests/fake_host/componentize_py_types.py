"""The part of componentize-py's runtime that the bindings use."""

from dataclasses import dataclass
from typing import Generic, TypeVar

E = TypeVar("E")


@dataclass(frozen=True)
class Err(Generic[E], Exception):  # noqa: N818 - the generated name
    """The failure case of a Component Model `result`."""

    value: E
