"""A function's parameters, and how arguments for them are converted on their way."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from redisjobs.codec.converter import Converter, Misfit, converted

_Convert = Callable[[Any], Any]


class Parameter(NamedTuple):
    """One parameter. `place` is its index among the positional ones; None: by keyword only."""

    name: str
    converter: Converter
    required: bool
    place: int | None


class Parameters(NamedTuple):
    """All parameters of a function but its context.

    Attributes:
        positional: in their order.
        named: those that may be given by name.
        more: of `*args`, or None.
        others: of `**kwargs`, or None.
    """

    positional: tuple[Parameter, ...]
    named: Mapping[str, Parameter]
    more: Parameter | None
    others: Parameter | None

    @property
    def required(self) -> list[Parameter]:
        """Those that have no default."""
        found = dict.fromkeys((*self.positional, *self.named.values()))
        return [parameter for parameter in found if parameter.required]


class Binding:
    """Converts arguments for these parameters, one way: to what travels, or back."""

    def __init__(self, parameters: Parameters, way: Callable[[Converter], _Convert]) -> None:
        self._parameters = parameters
        self._way = way
        self._required = parameters.required
        self._exact = _exact_types(parameters)

    def convert(
        self, args: Sequence[Any], kwargs: dict[str, Any]
    ) -> tuple[Sequence[Any], dict[str, Any]]:
        """The arguments, converted.

        Raises:
            Misfit: they do not fit the parameters, or one of them is not of its type.
        """
        if not kwargs and tuple(map(type, args)) == self._exact:
            return args, kwargs
        takers = self._takers(args)
        named = {name: self._named(name, args) for name in kwargs}
        for parameter in self._required:
            if not (_is_in(parameter, args) or named.get(parameter.name) is parameter):
                raise Misfit(f"parameter {parameter.name!r} is missing, and has no default")
        return (
            [self._one(taker, value) for taker, value in zip(takers, args, strict=True)],
            {name: self._one(named[name], value) for name, value in kwargs.items()},
        )

    def place_of(self, name: int | str) -> str:
        """How errors call the argument at an index, or of a name."""
        positional, more = self._parameters.positional, self._parameters.more
        if isinstance(name, int) and name < len(positional):
            name = positional[name].name
        elif isinstance(name, int) and more is not None:
            name = f"*{more.name}"
        return f"parameter {name!r}"

    def _one(self, parameter: Parameter, value: Any) -> Any:
        return converted(self._way(parameter.converter), value, f"parameter {parameter.name!r}")

    def _takers(self, args: Sequence[Any]) -> list[Parameter]:
        positional, more = self._parameters.positional, self._parameters.more
        surplus = len(args) - len(positional)
        if surplus > 0 and more is None:
            raise Misfit(
                f"it takes {len(positional)} arguments by position, but {len(args)} were given"
            )
        return [*positional[: len(args)], *([more] * surplus if more is not None else [])]

    def _named(self, name: str, args: Sequence[Any]) -> Parameter:
        parameter = self._parameters.named.get(name)
        if parameter is None:
            if self._parameters.others is None:
                raise Misfit(f"there is no parameter {name!r:.100} to be given by name")
            return self._parameters.others
        if _is_in(parameter, args):
            raise Misfit(f"parameter {name!r} was given twice, by position and by name")
        return parameter


def _is_in(parameter: Parameter, args: Sequence[Any]) -> bool:
    return parameter.place is not None and parameter.place < len(args)


def _exact_types(parameters: Parameters) -> tuple[type, ...] | None:
    """The types of positional arguments that need no look at each: all are there, as they are."""
    if any(parameter.place is None for parameter in parameters.required):
        return None
    types = [parameter.converter.exact for parameter in parameters.positional]
    found = tuple(cls for cls in types if cls is not None)
    return found if len(found) == len(types) else None
