"""From an annotation to the converter of its values."""

from __future__ import annotations

import collections.abc as abc
import dataclasses
import types
import typing
from collections.abc import Callable, Iterator
from enum import Enum
from pathlib import PurePath
from typing import Any

from redisjobs.codec import classes, containers, models, unions
from redisjobs.codec.converter import Converter, Misfit, check_depth, type_name
from redisjobs.codec.scalars import ANY, NONE, SCALARS, path_of

_ANYTHING = (Any, object)
_NEVER_RETURNS = (typing.NoReturn, typing.Never)
_WRAPPERS = (
    typing.Annotated,
    typing.Required,
    typing.NotRequired,
    getattr(typing, "ReadOnly", None),  # of Python 3.13
)
_LISTS = (list, abc.Sequence, abc.MutableSequence, abc.Collection, abc.Iterable)
_SETS = (set, abc.Set, abc.MutableSet)
_DICTS = (dict, abc.Mapping, abc.MutableMapping)


def converter_of(hint: Any) -> Converter:
    """The converter of the values that an annotation allows; it must hold no forward references.

    Raises:
        Misfit: values of such a type cannot travel.
    """
    builder = _Builder()
    made = builder.build(hint)
    return _bounded(made) if builder.recursive else made


def _bounded(made: Converter) -> Converter:
    """For types that hold themselves: refuses at the producer what is too deep for a worker."""

    def encode(value: Any) -> Any:
        wire = made.encode(value)
        check_depth(wire)
        return wire

    return made._replace(encode=encode)


class _Builder:
    """Builds the converter of one annotation, and of the types in it.

    Attributes:
        recursive: whether a type was met inside of itself.
    """

    def __init__(self) -> None:
        self.recursive = False
        self._made: dict[Any, Converter | None] = {}

    def build(self, hint: Any) -> Converter:
        """The converter of an annotation.

        Raises:
            Misfit: values of such a type cannot travel.
        """
        if hint in _ANYTHING:
            return ANY
        if hint in _NEVER_RETURNS:
            return NONE
        if _is_hashable(hint) and hint in SCALARS:
            return SCALARS[hint]
        if isinstance(hint, typing.NewType):
            return self.build(hint.__supertype__)
        if isinstance(hint, typing.TypeVar):
            return self._of_type_var(hint)
        if hasattr(hint, "__value__"):  # `type X = …` of Python 3.12
            return self._once(hint, lambda: self.build(hint.__value__))
        return self._of_origin(hint, typing.get_origin(hint) or hint, typing.get_args(hint))

    def _of_type_var(self, variable: typing.TypeVar) -> Converter:
        if variable.__constraints__:
            return unions.union([self.build(hint) for hint in variable.__constraints__])
        return ANY if variable.__bound__ is None else self.build(variable.__bound__)

    def _of_origin(self, hint: Any, origin: Any, args: tuple[Any, ...]) -> Converter:
        if origin in _WRAPPERS and args:
            return self.build(args[0])
        if origin is typing.Union or origin is types.UnionType:
            return unions.union([self.build(arg) for arg in args])
        if origin is typing.Literal:
            return unions.literal(args)
        if origin in _LISTS:
            return containers.list_of(self._arg(args, 0))
        if origin in _SETS:
            return containers.set_of(set, self._arg(args, 0))
        if origin is frozenset:
            return containers.set_of(frozenset, self._arg(args, 0))
        if origin in _DICTS:
            return containers.dict_of(self._arg(args, 0), self._arg(args, 1))
        if origin is tuple:
            return self._of_tuple(hint, args)
        if isinstance(hint, type) and not args:
            return self._once(hint, lambda: self._of_class(hint))
        raise _cannot_travel(hint)

    def _arg(self, args: tuple[Any, ...], place: int) -> Converter:
        return self.build(args[place]) if args else ANY

    def _of_tuple(self, hint: Any, args: tuple[Any, ...]) -> Converter:
        if hint is tuple or hint is typing.Tuple:  # noqa: UP006 - people write it
            return containers.any_length_tuple(ANY)
        if len(args) == 2 and args[1] is Ellipsis:
            return containers.any_length_tuple(self.build(args[0]))
        return containers.tuple_of(tuple(self.build(arg) for arg in args))

    def _once(self, key: Any, build: Callable[[], Converter]) -> Converter:
        """Builds what may hold itself. Inside of itself it is found by name when it is used."""
        if key in self._made:
            made = self._made[key]
            if made is not None:
                return made
            self.recursive = True
            return Converter(
                type_name(key),
                lambda value: self._finished(key).encode(value),
                lambda wire: self._finished(key).decode(wire),
            )
        self._made[key] = None
        made = self._made[key] = build()
        return made

    def _finished(self, key: Any) -> Converter:
        made = self._made[key]
        assert made is not None  # nothing is converted while it is built
        return made

    def _of_class(self, cls: Any) -> Converter:
        if models.is_model(cls):
            return models.model_of(cls)
        if issubclass(cls, Enum):
            return classes.enum_of(cls)
        if dataclasses.is_dataclass(cls):
            return classes.dataclass_of(typing.cast(type, cls), self._fields(_dataclass_hints(cls)))
        if issubclass(cls, dict) and hasattr(cls, "__required_keys__"):
            return classes.typed_dict_of(cls, self._fields(typed_dict_hints(cls)))
        if issubclass(cls, tuple) and hasattr(cls, "_fields"):
            return classes.named_tuple_of(cls, self._fields(_named_tuple_hints(cls)))
        if issubclass(cls, PurePath):
            return path_of(cls)
        raise _cannot_travel(cls)

    def _fields(self, hints: Iterator[tuple[str, Any, bool]]) -> list[classes.Field]:
        made = []
        for name, hint, required in hints:
            try:
                made.append(classes.Field(name, self.build(hint), required))
            except Misfit as err:
                err.step_out(f".{name}")
                raise
        return made


def _dataclass_hints(cls: Any) -> Iterator[tuple[str, Any, bool]]:
    hints = resolved_hints(cls)
    for field in dataclasses.fields(cls):
        has_default = (
            field.default is not dataclasses.MISSING
            or field.default_factory is not dataclasses.MISSING
        )
        if field.init:
            yield field.name, hints[field.name], not has_default


def _named_tuple_hints(cls: Any) -> Iterator[tuple[str, Any, bool]]:
    hints = resolved_hints(cls)
    for name in cls._fields:
        yield name, hints.get(name, Any), name not in cls._field_defaults


def typed_dict_hints(cls: Any) -> Iterator[tuple[str, Any, bool]]:
    """The keys of a TypedDict, their annotations, and whether they must be there."""
    for name, hint in resolved_hints(cls, include_extras=True).items():
        # `__required_keys__` overlooks these where annotations are postponed.
        marked = typing.get_origin(hint)
        if marked is typing.Required or marked is typing.NotRequired:
            yield name, hint, marked is typing.Required
        else:
            yield name, hint, name in cls.__required_keys__


def resolved_hints(cls: Any, *, include_extras: bool = False) -> dict[str, Any]:
    """The annotations of a class, its forward references resolved.

    Raises:
        Misfit: one cannot be resolved.
    """
    try:
        return typing.get_type_hints(cls, include_extras=include_extras)
    except Exception as err:
        raise Misfit(
            f"the annotations of {type_name(cls)} cannot be resolved ({err}): what they name must"
            " be there at run time, in its module"
        ) from err


def _is_hashable(hint: object) -> bool:
    try:
        hash(hint)
    except TypeError:
        return False
    return True


def _cannot_travel(hint: object) -> Misfit:
    return Misfit(
        f"values of type {type_name(hint)} cannot travel: use plain types, datetimes, Decimal,"
        " UUID, Path, Enum, dataclasses, NamedTuple, TypedDict, pydantic models, and lists, sets,"
        " tuples, dicts and unions of these"
    )
