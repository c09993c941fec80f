"""Enums, dataclasses, named tuples and typed dicts. No name of a class travels, only of fields."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from enum import Enum
from typing import Any, NamedTuple

from redisjobs.codec.containers import by_place
from redisjobs.codec.converter import (
    PLAIN_SCALARS,
    Converter,
    Misfit,
    converted,
    not_a,
    same,
    type_name,
)


def enum_wire(member: Enum) -> Any:
    """A member travels by its value, or where this is not plain by its name."""
    return member.value if type(member.value) in PLAIN_SCALARS else member.name


def enum_of(cls: type[Enum]) -> Converter:
    """For members of an enum, and combinations of a flag's."""
    name = type_name(cls)
    by_wire = {enum_wire(member): member for member in cls}
    if len(by_wire) < len(list(cls)):
        raise Misfit(f"the members of {name} cannot be told apart by value or name")

    def encode(value: Any) -> Any:
        if type(value) is not cls:
            raise not_a(name, value)
        return enum_wire(value)

    def decode(wire: Any) -> Enum:
        if type(wire) not in PLAIN_SCALARS:
            raise not_a(f"{name} by its value", wire)
        found = by_wire.get(wire)
        return cls(wire) if found is None else found

    return Converter(name, encode, decode, is_key=True)


class Field(NamedTuple):
    """One field of a class, or key of a typed dict."""

    name: str
    converter: Converter
    required: bool

    def encode_of(self, instance: object) -> Any:
        """What the field of an instance travels as."""
        return self.converter.encode(getattr(instance, self.name))


def dataclass_of(cls: type, fields: list[Field]) -> Converter:
    """For instances of a dataclass. They travel as maps of the fields that its constructor takes.

    What else its constructor makes must come out the same again: it is made again to see.
    """
    name = type_name(cls)
    may_differ = (
        hasattr(cls, "__post_init__")
        or not cls.__dataclass_params__.init  # type: ignore[attr-defined]
        or any(not field.init for field in dataclasses.fields(cls))
    )

    def encode(value: Any) -> dict[str, Any]:
        if type(value) is not cls:
            raise not_a(name, value)
        wire = {field.name: converted(field.encode_of, value, f".{field.name}") for field in fields}
        if may_differ:
            check_same(value, wire, decode, name)
        return wire

    def decode(wire: Any) -> Any:
        return cls(**_decoded_fields(wire, {field.name: field for field in fields}, name))

    return Converter(name, encode, decode)


def check_same(value: object, wire: Any, decode: Callable[[Any], Any], name: str) -> None:
    """Refuses a value that would not come back as itself, by having it come back."""
    again = converted(decode, wire, f" ({name} made again from what travels)")
    if not same(value, again):
        raise Misfit(
            f"this {name} would not come back as itself: what its constructor does not take, or"
            " changes, is lost"
        )


def named_tuple_of(cls: Any, fields: list[Field]) -> Converter:
    """For named tuples. They travel as lists; the worker fills in missing defaults at the end."""
    name = type_name(cls)
    encoders = [field.converter.encode for field in fields]
    decoders = [field.converter.decode for field in fields]

    def encode(value: Any) -> list[Any]:
        if type(value) is not cls:
            raise not_a(name, value)
        return by_place(encoders, value, name)

    def decode(wire: Any) -> Any:
        if type(wire) is not list:
            raise not_a(f"{name} as a list", wire)
        missing = fields[len(wire) :]
        if any(field.required for field in missing):
            raise Misfit(f"it must be {name}, not {len(wire)} values")
        return cls(*by_place(decoders[: len(wire)], wire, name))

    return Converter(name, encode, decode)


def typed_dict_of(cls: Any, fields: list[Field]) -> Converter:
    """For dicts with these keys. They travel as maps."""
    name = type_name(cls)
    by_name = {field.name: field for field in fields}

    def encode(value: Any) -> dict[str, Any]:
        if type(value) is not dict:
            raise not_a(f"dict, a {name}", value)
        _check_names(value, by_name, name)
        return {
            key: converted(by_name[key].converter.encode, item, f".{key}")
            for key, item in value.items()
        }

    def decode(wire: Any) -> dict[str, Any]:
        return _decoded_fields(wire, by_name, name)

    return Converter(name, encode, decode)


def _decoded_fields(wire: Any, by_name: Mapping[str, Field], name: str) -> dict[str, Any]:
    if type(wire) is not dict:
        raise not_a(f"{name} as a map", wire)
    _check_names(wire, by_name, name)
    return {
        key: converted(by_name[key].converter.decode, item, f".{key}") for key, item in wire.items()
    }


def _check_names(given: Mapping[str, Any], by_name: Mapping[str, Field], name: str) -> None:
    unknown = [key for key in given if key not in by_name]
    if unknown:
        raise Misfit(f"{name} has no field {unknown[0]!r:.100}")
    missing = [field.name for field in by_name.values() if field.required]
    missing = [field for field in missing if field not in given]
    if missing:
        raise Misfit(f"{name} lacks {', '.join(map(repr, missing))}")
