"""What a function takes and returns, read from its annotations, and how it travels."""

from __future__ import annotations

import inspect
import typing
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from operator import attrgetter
from typing import Any

from redisjobs.codec.annotations import converter_of, typed_dict_hints
from redisjobs.codec.converter import Converter, Misfit, converted
from redisjobs.codec.packing import (
    NO_ARGUMENTS,
    pack,
    pack_arguments,
    unpack,
    unpack_arguments,
)
from redisjobs.context import Context
from redisjobs.tasks.binding import Binding, Parameter, Parameters

_BY_PLACE = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
_RESULT = "its result"


class Signature:
    """How the arguments and the result of one function travel. Its methods raise Misfit.

    Attributes:
        takes_context: whether its first parameter is the run's Context, which does not travel.
    """

    def __init__(self, parameters: Parameters, result: Converter, *, takes_context: bool) -> None:
        self.takes_context = takes_context
        self._encoding = Binding(parameters, attrgetter("encode"))
        self._decoding = Binding(parameters, attrgetter("decode"))
        self._result = result

    def encode_arguments(self, args: Sequence[Any], kwargs: dict[str, Any]) -> bytes:
        """The payload of a job with these arguments."""
        return pack_arguments(*self._encoding.convert(args, kwargs), self._encoding.place_of)

    def decode_arguments(self, payload: bytes) -> tuple[Sequence[Any], dict[str, Any]]:
        """The arguments of a payload, fit for the function."""
        if payload == NO_ARGUMENTS and self._decoding.needs_nothing:
            return (), {}
        args, kwargs = unpack_arguments(payload)
        return self._decoding.convert(args, kwargs)

    def encode_result(self, value: Any) -> bytes | None:
        """What a job's result is to be; None for None."""
        wire = value
        if type(value) is not self._result.exact:
            wire = converted(self._result.encode, value, _RESULT)
        try:
            return None if wire is None else pack(wire)
        except Misfit as err:
            err.step_out(_RESULT)
            raise

    def decode_result(self, result: bytes | None) -> Any:
        """The value of a job's result."""
        wire = None if result is None else converted(unpack, result, _RESULT)
        return converted(self._result.decode, wire, _RESULT)


def signature_of(fn: Callable[..., Any]) -> Signature:
    """Reads the annotations of a function. What they name must be there by now.

    Raises:
        Misfit: an annotation cannot be resolved, or values of such a type cannot travel.
    """
    hints = _hints_of(fn)
    declared = list(inspect.signature(fn).parameters.values())
    takes_context = bool(
        declared and declared[0].kind in _BY_PLACE and hints.get(declared[0].name) is Context
    )
    parameters = _parameters(declared[takes_context:], hints)
    result = converted(converter_of, hints.get("return", Any), _RESULT)
    return Signature(parameters, result, takes_context=takes_context)


def _parameters(declared: Iterable[inspect.Parameter], hints: Mapping[str, Any]) -> Parameters:
    positional: list[Parameter] = []
    named: dict[str, Parameter] = {}
    more = others = None
    for parameter in declared:
        name, hint = parameter.name, hints.get(parameter.name, Any)
        if parameter.kind is parameter.VAR_KEYWORD and typing.get_origin(hint) is typing.Unpack:
            named.update(_unpacked(hint))
            continue
        place = len(positional) if parameter.kind in _BY_PLACE else None
        converter = _converter(name, hint)
        made = Parameter(name, converter, parameter.default is parameter.empty, place)
        if place is not None:
            positional.append(made)
        if parameter.kind is parameter.VAR_POSITIONAL:
            more = made
        elif parameter.kind is parameter.VAR_KEYWORD:
            others = made
        elif parameter.kind is not parameter.POSITIONAL_ONLY:
            named[name] = made
    return Parameters(tuple(positional), named, more, others)


def _unpacked(hint: Any) -> Iterator[tuple[str, Parameter]]:
    """The keywords of `**kwargs: Unpack[SomeTypedDict]`."""
    for name, of_key, required in typed_dict_hints(typing.get_args(hint)[0]):
        yield name, Parameter(name, _converter(name, of_key), required, None)


def _converter(name: str, hint: Any) -> Converter:
    if hint is Context:
        raise Misfit(f"parameter {name!r}: only the first parameter gets the run's Context")
    made: Converter = converted(converter_of, hint, f"parameter {name!r}")
    return made


def _hints_of(fn: Callable[..., Any]) -> dict[str, Any]:
    names = getattr(inspect.unwrap(fn), "__globals__", {})
    try:
        # Context is often imported for type checkers only.
        return typing.get_type_hints(fn, {"Context": Context, **names})
    except Exception as err:
        raise Misfit(
            f"its annotations cannot be resolved ({err}): what they name must be there at run"
            " time, in its module, and not for type checkers only"
        ) from err
