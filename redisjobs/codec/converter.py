"""What turns values of one type into plain msgpack and back, and says what does not fit."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields, is_dataclass
from typing import Any, NamedTuple

from redisjobs.errors import message_of

# How deep lists and maps may nest in one value. Msgpack's reader and Python's stack take more.
MAX_DEPTH = 100

# What is the same in Python, in msgpack and in Python again.
PLAIN_SCALARS = frozenset({type(None), bool, int, float, str, bytes})


class Misfit(ValueError):
    """A value that is not of its type, or that would not come back as itself.

    Attributes:
        place: where in the argument or result it is, like "parameter 'order'.lines[3]".
        problem: what is wrong with it, and the way out.
    """

    def __init__(self, problem: str, place: str = "") -> None:
        super().__init__(problem)
        self.problem = problem
        self.place = place

    def step_out(self, step: str | int) -> None:
        """Has it seen from one level further out: an index, or how errors write the place."""
        self.place = (f"[{step}]" if isinstance(step, int) else step) + self.place

    def __str__(self) -> str:
        return f"{self.place}: {self.problem}" if self.place else self.problem


class Converter(NamedTuple):
    """How values of one type travel. `encode` and `decode` raise Misfit, or whatever the code of a
    user's class raises.

    Attributes:
        name: of the type, as errors write it.
        encode: from a value to None, bool, int, float, str, bytes, and lists and dicts of these.
        decode: back from what msgpack made of that.
        exact: every value of just this type, and no other, passes both ways as it is.
        is_key: what it encodes to can be the key of a msgpack map.
        any_text: it decodes every str, whatever else that could be.
    """

    name: str
    encode: Callable[[Any], Any]
    decode: Callable[[Any], Any]
    exact: type | None = None
    is_key: bool = False
    any_text: bool = False


def type_name(hint: object) -> str:
    """A type or annotation as errors write it."""
    if hint is None or hint is type(None):
        return "None"
    if not isinstance(hint, type) or getattr(hint, "__args__", None):
        return str(hint).replace("typing.", "")
    return hint.__qualname__ if hint.__module__ == "builtins" else _full_name(hint)


def _full_name(cls: type) -> str:
    return f"{cls.__module__}.{cls.__qualname__}"


def not_a(name: str, value: object) -> Misfit:
    """The misfit of a value of another type than the one of this name."""
    found = type(value)
    problem = f"it must be {name}, not {type_name(found)}"
    plain = next((base for base in found.__mro__[1:] if base in PLAIN_SCALARS), None)
    if plain is not None and found is not bool and type_name(plain) == name:
        problem += f", which would come back as {name}: pass {name}(…), or annotate it"
    return Misfit(problem)


def converted(convert: Callable[[Any], Any], value: Any, step: str | int) -> Any:
    """The value converted. Whatever goes wrong is a Misfit, at this step on the way to it."""
    try:
        return convert(value)
    except Misfit as err:
        err.step_out(step)
        raise
    except Exception as err:
        misfit = Misfit(_why(err))
        misfit.step_out(step)
        raise misfit from err


def _why(err: Exception) -> str:
    if isinstance(err, RecursionError):
        return "it nests too deeply, or contains itself"
    return f"{type(err).__name__}: {message_of(err)}"


def same(one: object, other: object) -> bool:
    """Whether two values are of one type and equal. NaN is the same as NaN."""
    if type(one) is not type(other):
        return False
    if isinstance(one, (list, tuple)) and isinstance(other, (list, tuple)):
        return len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    if is_dataclass(one):
        names = [field.name for field in fields(one) if field.compare]
        return all(same(getattr(one, name), getattr(other, name)) for name in names)
    if hasattr(one, "__pydantic_validator__"):
        return same(_parts_of_model(one), _parts_of_model(other))
    return bool(one == other) or bool(one != one and other != other)  # NaN is not


def _parts_of_model(model: object) -> list[object]:
    parts = ("__dict__", "__pydantic_extra__", "__pydantic_private__")
    return [getattr(model, part, None) for part in parts]


def check_depth(wire: object) -> None:
    """Refuses what nests deeper than `MAX_DEPTH`, or contains itself."""
    for _ in _walk(wire):
        pass


def check_plain(value: object) -> Any:
    """The value, if it comes back as itself without an annotation.

    Raises:
        Misfit: it holds something else than plain scalars, lists and dicts.
    """
    for item in _walk(value):
        if type(item) not in PLAIN_SCALARS:
            name = type_name(type(item))
            raise Misfit(
                f"{name} cannot travel where no annotation says what it is, since it would not"
                f" come back as itself: annotate it as {name}, or pass only None, bool, int,"
                " float, str, bytes, list and dict"
            )
    return value


def _walk(value: object) -> Any:
    """All that is no list and no dict in a value, and the keys of its dicts."""
    stack = [(value, 1)]
    while stack:
        item, depth = stack.pop()
        if type(item) is not list and type(item) is not dict:
            yield item
            continue
        if depth > MAX_DEPTH:
            raise Misfit(f"it nests deeper than {MAX_DEPTH} levels, or contains itself")
        if isinstance(item, dict):
            yield from item
            item = list(item.values())
        stack.extend((child, depth + 1) for child in item)
