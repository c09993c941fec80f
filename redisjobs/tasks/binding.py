"""A function's parameters, and how arguments for them are converted on their way."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from redisjobs.codec.converter import Converter, Misfit, converted


class Parameter(NamedTuple):
    """One parameter.

    Attributes:
        name: its name.
        converter: of its arguments.
        required: whether it has no default.
        position: its index among those that can be given by position; None: only by name.
    """

    name: str
    converter: Converter
    required: bool
    position: int | None


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
        found = {parameter.name: parameter for parameter in self.positional} | dict(self.named)
        return [parameter for parameter in found.values() if parameter.required]


class _Slot(NamedTuple):
    """Where an argument goes: what it needs on the way of a worker's every job, ready to use."""

    position: int | None
    exact: type | None
    convert: Callable[[Any], Any]
    place: str


class Binding:
    """Converts arguments for these parameters, one way: to what travels, or back."""

    def __init__(
        self, parameters: Parameters, way: Callable[[Converter], Callable[[Any], Any]]
    ) -> None:
        def slot(parameter: Parameter) -> _Slot:
            converter, place = parameter.converter, f"parameter {parameter.name!r}"
            return _Slot(parameter.position, converter.exact, way(converter), place)

        self._positional = [slot(parameter) for parameter in parameters.positional]
        self._named = {name: slot(parameter) for name, parameter in parameters.named.items()}
        self._more = None if parameters.more is None else slot(parameters.more)
        self._others = None if parameters.others is None else slot(parameters.others)
        self._required = parameters.required
        self._exact = _exact_types(parameters)

    @property
    def needs_nothing(self) -> bool:
        """Whether it can be called without any argument."""
        return not self._required

    def convert(
        self, args: Sequence[Any], kwargs: dict[str, Any]
    ) -> tuple[Sequence[Any], dict[str, Any]]:
        """The arguments, converted.

        Raises:
            Misfit: they do not fit the parameters, or one of them is not of its type.
        """
        if not kwargs and [*map(type, args)] == self._exact:
            return args, kwargs
        count = len(args)
        slots = self._slots(count)
        named = {name: self._slot_named(name, count) for name in kwargs}
        self._check_presence(count, kwargs)
        return (
            [_taken(slot, value) for slot, value in zip(slots, args, strict=False)],
            {name: _taken(slot, kwargs[name]) for name, slot in named.items()},
        )

    def place_of(self, name: int | str) -> str:
        """How errors call the argument at an index, or of a name."""
        if isinstance(name, int):
            return self._slots(name + 1)[name].place
        return self._slot_named(name, 0).place

    def _check_presence(self, count: int, kwargs: Mapping[str, Any]) -> None:
        named = self._named
        for name, _, _, position in self._required:
            if (position is None or position >= count) and not (name in kwargs and name in named):
                raise Misfit(f"parameter {name!r} is missing, and has no default")

    def _slots(self, count: int) -> list[_Slot]:
        """The slots of so many arguments by position."""
        surplus = count - len(self._positional)
        if surplus <= 0:
            return self._positional
        if self._more is None:
            most = len(self._positional)
            arguments = "argument" if most == 1 else "arguments"
            raise Misfit(f"it takes {most} {arguments} by position, but {count} were given")
        return self._positional + [self._more] * surplus

    def _slot_named(self, name: str, count: int) -> _Slot:
        slot = self._named.get(name)
        if slot is None:
            if self._others is None or type(name) is not str:
                raise Misfit(f"there is no parameter {name!r:.100} to be given by name")
            return self._others
        if slot.position is not None and slot.position < count:
            raise Misfit(f"{slot.place} was given twice, by position and by name")
        return slot


def _taken(slot: _Slot, value: Any) -> Any:
    _, exact, convert, place = slot
    return value if type(value) is exact else converted(convert, value, place)


def _exact_types(parameters: Parameters) -> list[type] | None:
    """The types of positional arguments that need no look at each: all are there, as they are."""
    if any(parameter.position is None for parameter in parameters.required):
        return None
    types = [parameter.converter.exact for parameter in parameters.positional]
    found = [cls for cls in types if cls is not None]
    return found if len(found) == len(types) else None
