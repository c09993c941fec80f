"""Pydantic's models and dataclasses, by the methods that it gives their classes. It is not imported
here: who has such a class has pydantic.
"""

from __future__ import annotations

import json
from typing import Any

from redisjobs.codec.classes import check_same
from redisjobs.codec.converter import Converter, Misfit, not_a, type_name


def is_model(cls: type) -> bool:
    """Whether it is a class of pydantic's, version 2."""
    return hasattr(cls, "__pydantic_validator__") and hasattr(cls, "__pydantic_serializer__")


def model_wire(value: Any) -> Any:
    """A model as plain data: what its JSON would be."""
    return type(value).__pydantic_serializer__.to_python(
        value, mode="json", by_alias=True, round_trip=True
    )


def model_of(cls: Any) -> Converter:
    """For instances of a model. Each is validated again before it travels, and must be equal."""
    name = type_name(cls)

    def encode(value: Any) -> Any:
        if type(value) is not cls:
            raise not_a(name, value)
        wire = model_wire(value)
        check_same(value, wire, decode, name)
        return wire

    def decode(wire: Any) -> Any:
        try:
            text = json.dumps(wire)
        except TypeError as err:
            raise Misfit(f"it must be {name} as JSON has it: {err}") from err
        return cls.__pydantic_validator__.validate_json(text)

    return Converter(name, encode, decode)
