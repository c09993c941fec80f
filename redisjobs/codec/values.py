"""Arguments by their values alone, for a producer that has no task to ask."""

from __future__ import annotations

import dataclasses
from enum import Enum
from pathlib import PurePath
from typing import Any

from redisjobs.codec.classes import enum_wire
from redisjobs.codec.converter import (
    MAX_DEPTH,
    PLAIN_SCALARS,
    Misfit,
    converted,
    type_name,
)
from redisjobs.codec.models import is_model, model_wire
from redisjobs.codec.packing import argument_place, pack_arguments
from redisjobs.codec.scalars import SCALARS
from redisjobs.errors import InvalidJobError


def encode(*args: Any, **kwargs: Any) -> bytes:
    """The payload of a job whose task is to get these arguments.

    `Job("email.send", encode("a@b"))` is the job that `send_email.job("a@b")` makes. This needs no
    code of the task, and so cannot check what it takes: the task's annotations say what the
    arguments come back as. It takes the types that tasks take: None, bool, int (of 64 bits), float,
    str, bytes, datetimes, Decimal, UUID, Path, Enum, dataclasses, NamedTuple, pydantic models, and
    lists, sets, tuples and dicts of these.

    Raises:
        InvalidJobError: an argument is, or holds, something else.
    """
    try:
        return pack_arguments(
            [converted(value_wire, value, argument_place(i)) for i, value in enumerate(args)],
            {name: converted(value_wire, kwargs[name], argument_place(name)) for name in kwargs},
        )
    except Misfit as err:
        raise InvalidJobError(f"encode(): {err}") from err


def value_wire(value: Any, depth: int = 1) -> Any:
    """A value as it travels where no annotation says what it is.

    Raises:
        Misfit: it is, or holds, what cannot travel.
    """
    cls = type(value)
    if cls in PLAIN_SCALARS:
        return value
    if cls in SCALARS:
        return SCALARS[cls].encode(value)
    if isinstance(value, Enum):
        return enum_wire(value)
    if isinstance(value, PurePath):
        return str(value)
    if is_model(cls):
        return model_wire(value)
    if depth > MAX_DEPTH:
        raise Misfit(f"it nests deeper than {MAX_DEPTH} levels, or contains itself")
    return _wire_of_many(value, cls, depth + 1)


def _wire_of_many(value: Any, cls: type, depth: int) -> Any:
    if dataclasses.is_dataclass(cls):
        fields = [field.name for field in dataclasses.fields(cls) if field.init]
        return {name: value_wire(getattr(value, name), depth) for name in fields}
    if cls in (list, tuple, set, frozenset) or (
        isinstance(value, tuple) and hasattr(cls, "_fields")
    ):
        return [value_wire(item, depth) for item in value]
    if cls is dict:
        keys = [value_wire(key, depth) for key in value]
        pairs = zip(keys, [value_wire(item, depth) for item in value.values()], strict=True)
        return dict(pairs) if all(map(_is_key, keys)) else [list(pair) for pair in pairs]
    raise Misfit(f"{type_name(cls)} cannot travel: encode it first, or send its name")


def _is_key(wire: object) -> bool:
    return type(wire) in PLAIN_SCALARS
