"""Lists, sets, tuples and dicts of other types."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from redisjobs.codec.converter import Converter, Misfit, converted, not_a, type_name

_Convert = Callable[[Any], Any]


def each(convert: _Convert, exact: type | None, items: Iterable[Any]) -> list[Any]:
    """All items converted; a misfit says which one it was."""
    made = list(items)
    if exact is not None and set(map(type, made)) <= {exact}:
        return made
    return [converted(convert, item, place) for place, item in enumerate(made)]


def list_of(item: Converter) -> Converter:
    """For lists. A tuple is refused, since it would come back as a list."""
    name = f"list[{item.name}]"

    def encode(value: Any) -> list[Any]:
        if type(value) is not list:
            raise _other_container(name, value)
        return each(item.encode, item.exact, value)

    def decode(wire: Any) -> list[Any]:
        return each(item.decode, item.exact, _checked_list(wire, name))

    return Converter(name, encode, decode)


def set_of(cls: type[set[Any]] | type[frozenset[Any]], item: Converter) -> Converter:
    """For sets and frozensets. They travel as lists."""
    name = f"{cls.__name__}[{item.name}]"

    def encode(value: Any) -> list[Any]:
        if type(value) is not cls:
            raise _other_container(name, value)
        return each(item.encode, item.exact, value)

    def decode(wire: Any) -> Any:
        return cls(each(item.decode, item.exact, _checked_list(wire, name)))

    return Converter(name, encode, decode)


def any_length_tuple(item: Converter) -> Converter:
    """For `tuple[item, ...]`."""
    name = f"tuple[{item.name}, ...]"

    def encode(value: Any) -> list[Any]:
        if type(value) is not tuple:
            raise _other_container(name, value)
        return each(item.encode, item.exact, value)

    def decode(wire: Any) -> tuple[Any, ...]:
        return tuple(each(item.decode, item.exact, _checked_list(wire, name)))

    return Converter(name, encode, decode)


def tuple_of(items: tuple[Converter, ...]) -> Converter:
    """For tuples of a fixed length, each place with a type of its own."""
    name = f"tuple[{', '.join(item.name for item in items) or '()'}]"

    def encode(value: Any) -> list[Any]:
        if type(value) is not tuple:
            raise _other_container(name, value)
        return by_place([item.encode for item in items], value, name)

    def decode(wire: Any) -> tuple[Any, ...]:
        return tuple(by_place([item.decode for item in items], _checked_list(wire, name), name))

    return Converter(name, encode, decode)


def by_place(converts: list[_Convert], values: Any, name: str) -> list[Any]:
    """Each value converted by the function at its place. They must be as many."""
    if len(values) != len(converts):
        raise Misfit(f"it must be {name}, not {len(values)} values")
    return [
        converted(convert, value, place)
        for place, (convert, value) in enumerate(zip(converts, values, strict=True))
    ]


def dict_of(key: Converter, value: Converter) -> Converter:
    """For dicts. Where a key does not fit in a msgpack map they travel as a list of pairs."""
    name = f"dict[{key.name}, {value.name}]"

    def encode(mapping: Any) -> Any:
        if type(mapping) is not dict:
            raise _other_container(name, mapping)
        keys = _part(".keys()", key.encode, key.exact, mapping)
        values = _part(".values()", value.encode, value.exact, mapping.values())
        if key.is_key:
            return dict(zip(keys, values, strict=True))
        return [list(pair) for pair in zip(keys, values, strict=True)]

    def decode(wire: Any) -> dict[Any, Any]:
        pairs = list(wire.items()) if type(wire) is dict else _checked_pairs(wire, name)
        keys = _part(".keys()", key.decode, key.exact, [pair[0] for pair in pairs])
        values = _part(".values()", value.decode, value.exact, [pair[1] for pair in pairs])
        return dict(zip(keys, values, strict=True))

    return Converter(name, encode, decode)


def _checked_pairs(wire: Any, name: str) -> list[Any]:
    if type(wire) is not list or not all(type(pair) is list and len(pair) == 2 for pair in wire):
        raise not_a(f"{name} as a map or a list of pairs", wire)
    return wire


def _part(step: str, convert: _Convert, exact: type | None, items: Iterable[Any]) -> list[Any]:
    try:
        return each(convert, exact, items)
    except Misfit as err:
        err.step_out(step)
        raise


def _checked_list(wire: Any, name: str) -> list[Any]:
    if type(wire) is not list:
        raise not_a(f"{name} as a list", wire)
    return wire


def _other_container(name: str, value: object) -> Misfit:
    found = type(value)
    if found in (list, tuple, set, frozenset, dict) or not isinstance(
        value, list | tuple | set | frozenset | dict
    ):
        return not_a(name, value)
    return Misfit(
        f"it must be {name}, not {type_name(found)}, which would not come back as itself: pass a"
        f" plain {name.partition('[')[0]}, or annotate it"
    )
