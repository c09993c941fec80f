"""Unions and literals. Nothing travels that says which member it was: what came must tell."""

from __future__ import annotations

from enum import Enum
from typing import Any

from redisjobs.codec.classes import enum_wire
from redisjobs.codec.converter import Converter, Misfit, not_a, same, type_name
from redisjobs.codec.scalars import NONE


def optional(inner: Converter) -> Converter:
    """For values or None."""
    name = f"{inner.name} | None"

    def encode(value: Any) -> Any:
        if value is None:
            return None
        wire = inner.encode(value)
        if wire is None:
            raise Misfit(f"this {inner.name} would come back as None")
        return wire

    def decode(wire: Any) -> Any:
        return None if wire is None else inner.decode(wire)

    return Converter(name, encode, decode, is_key=inner.is_key)


def union(members: list[Converter]) -> Converter:
    """For values of several types: the first that what came fits. A str, or path, is tried last:
    where it is nothing else, like a date or a UUID.
    """
    if NONE in members:
        return optional(union([member for member in members if member is not NONE]))
    if len(members) == 1:
        return members[0]
    name = " | ".join(member.name for member in members)
    in_order = sorted(members, key=lambda member: member.any_text)  # stable

    def encode(value: Any) -> Any:
        problems = []
        for member in members:
            try:
                wire = member.encode(value)
                again = decode(wire)
            except Exception as err:  # noqa: BLE001 - a user's class may raise anything
                problems.append(err)
                continue
            if same(value, again):
                return wire
            raise Misfit(
                f"it would come back as {type_name(type(again))}, since {name} travels without a"
                " name of its type: use types that differ in their fields or form"
            )
        raise _of_no_member(name, value, problems)

    def decode(wire: Any) -> Any:
        problems = []
        for member in in_order:
            try:
                return member.decode(wire)
            except Exception as err:  # noqa: BLE001 - a user's class may raise anything
                problems.append(err)
        raise _of_no_member(name, wire, problems)

    return Converter(name, encode, decode, is_key=all(member.is_key for member in members))


def _of_no_member(name: str, value: object, problems: list[Exception]) -> Misfit:
    misfit = not_a(name, value)
    inner = [err for err in problems if isinstance(err, Misfit) and err.place]
    if inner:  # of the right type, but something in it does not fit
        misfit.problem += f" ({inner[0]})"
    return misfit


def literal(choices: tuple[Any, ...]) -> Converter:
    """For a few values: None, bool, int, str, bytes, or members of enums."""
    name = f"Literal[{', '.join(map(repr, choices))}]"
    wires = [enum_wire(choice) if isinstance(choice, Enum) else choice for choice in choices]
    wire_of = {(type(choice), choice): wire for choice, wire in zip(choices, wires, strict=True)}
    choice_of = {(type(wire), wire): choice for choice, wire in zip(choices, wires, strict=True)}
    if len(choice_of) < len(wire_of):
        raise Misfit(f"the values of {name} cannot be told apart once they have travelled")

    def encode(value: Any) -> Any:
        return _looked_up(wire_of, value, name)

    def decode(wire: Any) -> Any:
        return _looked_up(choice_of, wire, name)

    return Converter(name, encode, decode, is_key=True)


def _looked_up(table: dict[tuple[type, Any], Any], value: Any, name: str) -> Any:
    try:
        return table[type(value), value]
    except (KeyError, TypeError):  # not there, or not even hashable
        raise Misfit(f"it must be {name}") from None
