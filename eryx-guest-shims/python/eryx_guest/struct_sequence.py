"""Struct sequences, as those of CPython's C modules: tuples whose items have names."""

import operator
from typing import Any, ClassVar, Self


class StructSequence(tuple):  # type: ignore[type-arg]
    """The base of a struct sequence: `class struct_x(StructSequence, fields={name: docstring})`."""

    __slots__ = ()
    __match_args__: ClassVar[tuple[str, ...]]
    n_fields: ClassVar[int]
    n_sequence_fields: ClassVar[int]
    n_unnamed_fields = 0

    def __init_subclass__(cls, fields: dict[str, str | None]) -> None:
        cls.__match_args__ = tuple(fields)  # type: ignore[misc] # not in the class body
        cls.n_fields = cls.n_sequence_fields = len(fields)
        for index, (name, doc) in enumerate(fields.items()):
            setattr(cls, name, _Field(operator.itemgetter(index), doc=doc))

    def __new__(cls, sequence: Any, dict: Any = None) -> Self:
        try:
            values = tuple(sequence)
        except TypeError:
            raise TypeError("constructor requires a sequence") from None
        if dict is not None and not isinstance(dict, _dict):
            raise TypeError(f"{cls._name()}() takes a dict as second arg, if any")
        if len(values) != cls.n_fields:
            raise TypeError(
                f"{cls._name()}() takes a {cls.n_fields}-sequence ({len(values)}-sequence given)"
            )
        if dict:
            raise TypeError(f"{cls._name()}() got duplicate or unexpected field name(s)")
        return tuple.__new__(cls, values)

    @classmethod
    def _name(cls) -> str:
        return f"{cls.__module__}.{cls.__name__}"

    def __repr__(self) -> str:
        names = self.__match_args__
        fields = ", ".join(f"{name}={value!r}" for name, value in zip(names, self, strict=True))
        return f"{self._name()}({fields})"

    def __reduce__(self) -> Any:
        return type(self), (tuple(self), {})

    def __replace__(self, /, *values: Any, **changes: Any) -> Self:
        if values:
            raise TypeError("__replace__() takes no positional arguments")
        names = self.__match_args__
        replaced = [changes.pop(name, old) for name, old in zip(names, self, strict=True)]
        if changes:
            raise TypeError(f"Got unexpected field name(s): {list(changes)}")
        return type(self)(replaced)


_dict = dict


class _Field(property):
    """A field, which programs cannot set."""

    def __set__(self, instance: Any, value: Any, /) -> None:
        raise AttributeError("readonly attribute")

    def __delete__(self, instance: Any, /) -> None:
        raise AttributeError("readonly attribute")
