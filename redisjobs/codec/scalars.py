"""The types that are one value of msgpack: as they are, or as text."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from pathlib import PurePath
from typing import Any
from uuid import UUID

from redisjobs.codec import times
from redisjobs.codec.converter import Converter, Misfit, check_plain, not_a


def _exact(cls: type, name: str) -> Converter:
    """For what msgpack has itself: only values of just this type, since a subclass would come back
    as its base.
    """

    def check(value: Any) -> Any:
        if type(value) is not cls:
            raise not_a(name, value)
        return value

    return Converter(name, check, check, exact=cls, is_key=True)


def _number(name: str, *types: type) -> Converter:
    """For numbers where Python takes narrower ones too: they travel, and come back, as they are."""

    def check(value: Any) -> Any:
        if type(value) not in types:
            raise not_a(name, value)
        return value

    return Converter(name, check, check, is_key=True)


def as_text(name: str, encode: Callable[[Any], str], decode: Callable[[Any], Any]) -> Converter:
    """For what travels as a str."""
    return Converter(name, encode, decode, is_key=True)


def _text_of(cls: type) -> Converter:
    """For a class that is made from the str of its values."""

    def encode(value: Any) -> str:
        if type(value) is not cls:
            raise not_a(cls.__name__, value)
        return str(value)

    def decode(text: Any) -> Any:
        if type(text) is not str:
            raise not_a(f"{cls.__name__} as str", text)
        try:
            return cls(text)
        except Exception as err:
            raise Misfit(f"it must be the text of a {cls.__name__}") from err

    return as_text(cls.__name__, encode, decode)


def path_of(cls: type[PurePath]) -> Converter:
    """For `Path` and the like, where values are of the machine's own class."""

    def encode(value: Any) -> str:
        if type(value) is not type(cls()):
            raise not_a(cls.__name__, value)
        return str(value)

    def decode(text: Any) -> PurePath:
        if type(text) is not str:
            raise not_a(f"{cls.__name__} as str", text)
        return cls(text)

    return as_text(cls.__name__, encode, decode)._replace(any_text=True)


def _bytearray_to_bytes(value: Any) -> bytes:
    if type(value) is not bytearray:
        raise not_a("bytearray", value)
    return bytes(value)


def _bytearray_from(wire: Any) -> bytearray:
    if type(wire) is not bytes:
        raise not_a("bytes", wire)
    return bytearray(wire)


def _anything(wire: Any) -> Any:
    return wire


NONE = _exact(type(None), "None")
STR = _exact(str, "str")._replace(any_text=True)
ANY = Converter("Any", check_plain, _anything, any_text=True)

SCALARS: dict[Any, Converter] = {
    None: NONE,
    type(None): NONE,
    bool: _exact(bool, "bool"),
    int: _number("int", int, bool),
    float: _number("float", float, int, bool),
    str: STR,
    bytes: _exact(bytes, "bytes"),
    bytearray: Converter("bytearray", _bytearray_to_bytes, _bytearray_from),
    datetime: as_text("datetime", times.datetime_to_text, times.datetime_from_text),
    date: as_text("date", times.date_to_text, times.date_from_text),
    time: as_text("time", times.time_to_text, times.time_from_text),
    timedelta: as_text("timedelta", times.timedelta_to_text, times.timedelta_from_text),
    Decimal: _text_of(Decimal),
    UUID: _text_of(UUID),
}
