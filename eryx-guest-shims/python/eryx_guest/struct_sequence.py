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
            setattr(cls, name, property(operator.itemgetter(index), doc=doc))

    def __new__(cls, values: Any) -> Self:
        made = tuple.__new__(cls, values)
        if len(made) != cls.n_fields:
            raise TypeError(
                f"{cls._name()}() takes a {cls.n_fields}-sequence ({len(made)}-sequence given)"
            )
        return made

    @classmethod
    def _name(cls) -> str:
        return f"{cls.__module__}.{cls.__name__}"

    def __repr__(self) -> str:
        names = self.__match_args__
        fields = ", ".join(f"{name}={value!r}" for name, value in zip(names, self, strict=True))
        return f"{self._name()}({fields})"

    def __reduce__(self) -> Any:
        return type(self), (tuple(self),)
