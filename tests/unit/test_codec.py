"""What comes back as itself by its annotation, and what is refused before it travels."""

from __future__ import annotations

import collections
import enum
import socket
from collections.abc import Callable
from dataclasses import InitVar, dataclass, field
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from decimal import Decimal
from pathlib import Path
from typing import Any, Literal, NoReturn, Optional

import pytest
from pydantic import BaseModel, field_serializer

from redisjobs.codec.annotations import converter_of
from redisjobs.codec.converter import MAX_DEPTH, Misfit, same
from redisjobs.codec.packing import pack, unpack
from tests.unit import codec_types as types
from tests.unit.codec_types import TRAVELLERS


def there_and_back(hint: Any, value: Any) -> Any:
    converter = converter_of(hint)
    return converter.decode(unpack(pack(converter.encode(value))))


EACH = [(hint, value) for hint, values in TRAVELLERS for value in values]


@pytest.mark.parametrize(("hint", "value"), EACH, ids=[repr(pair)[:60] for pair in EACH])
def test_it_comes_back_as_itself(hint: Any, value: Any) -> None:
    again = there_and_back(hint, value)
    assert same(value, again), again


def test_a_time_in_a_zone_keeps_its_zone_and_its_side_of_the_clocks_change() -> None:
    for fold in (0, 1):
        value = datetime(2024, 10, 27, 2, 30, fold=fold, tzinfo=types.BERLIN)
        again = there_and_back(datetime, value)
        assert (again.tzinfo, again.fold) == (types.BERLIN, fold)
        assert again.utcoffset() == value.utcoffset()


def test_what_travels_is_plain_msgpack_that_other_languages_read() -> None:
    order = types.Order(id=types.AN_ID, placed=types.NOON, colour=types.Colour.RED)
    assert unpack(pack(converter_of(types.Order).encode(order))) == {
        "id": "12345678-1234-5678-1234-567812345678",
        "placed": "2024-01-31T12:00:00.000001",
        "lines": [],
        "colour": "red",
    }
    assert converter_of(timedelta).encode(timedelta(days=1, seconds=90.5)) == "P1DT90.5S"
    in_berlin = types.NOON.replace(tzinfo=types.BERLIN)
    assert converter_of(datetime).encode(in_berlin).endswith("+01:00[Europe/Berlin]")


def test_what_other_languages_write_is_read() -> None:
    assert converter_of(timedelta).decode("PT1H30M") == timedelta(minutes=90)
    assert converter_of(datetime).decode("2024-01-31T12:00:00Z").tzinfo == UTC
    assert converter_of(types.Line).decode({"sku": "a", "price": "1"}).count == 1
    assert converter_of(types.Point).decode([1.5]) == types.Point(1.5)
    timestamp = b"\xd6\xff\0\0\0\x05"  # msgpack's own
    assert converter_of(datetime).decode(unpack(timestamp)) == datetime.fromtimestamp(5, UTC)


class Text(str):
    __slots__ = ()


class Number(float):
    pass


class Items(list[int]):
    pass


class OtherZone(tzinfo):
    def utcoffset(self, when: datetime | None) -> timedelta:
        return timedelta(0)

    dst = utcoffset

    def tzname(self, when: datetime | None) -> str:
        return "other"


class Base(BaseModel):
    a: int = 0


class Derived(Base):
    b: int = 0


class Lossy(BaseModel):
    a: Decimal

    @field_serializer("a")
    def rounded(self, value: Decimal) -> str:
        return f"{value:.1f}"


class Absent(enum.Enum):
    UNKNOWN = None


class Private(BaseModel):
    a: int = 0
    _seen: int = 0


def with_private() -> Private:
    model = Private()
    model._seen = 1
    return model


@dataclass
class Counted:
    """Changes what it is given, each time that it is made."""

    number: int

    def __post_init__(self) -> None:
        self.number += 1


@dataclass
class Secret:
    """Keeps what its constructor does not take."""

    shown: int
    hidden: int = field(default=0, init=False)


@dataclass
class Seeded:
    seed: InitVar[int]
    value: int = 0

    def __post_init__(self, seed: int) -> None:
        self.value += seed


@dataclass
class First:
    x: int


@dataclass
class Second:
    x: int


def hidden() -> Secret:
    secret = Secret(1)
    secret.hidden = 5
    return secret


def cycle() -> list[Any]:
    made: list[Any] = []
    made += [made, made]
    return made


def chain(length: int) -> types.Node:
    made = types.Node("last")
    for _ in range(length):
        made = types.Node("x", [made])
    return made


def in_lists(depth: int) -> Any:
    made: Any = 1
    for _ in range(depth):
        made = [made]
    return made


REFUSED: list[tuple[Any, Any, str]] = [
    (str, 1, "must be str, not int"),
    (str, Text("a"), r"would come back as str: pass str\(…\)"),
    (str, types.Kind.BIG, "would come back as str"),
    (int, "1", "must be int, not str"),
    (int, 1.0, "must be int, not float"),
    (int, types.Level.LOW, "would come back as int"),
    (float, Number(1), "would come back as float"),
    (bool, 1, "must be bool"),
    (bytes, bytearray(b"x"), "must be bytes"),
    (bytes, "x", "must be bytes"),
    (int, 2**64, "int beyond 64 bits"),
    (Any, -(2**63) - 1, "int beyond 64 bits"),
    (str, "\ud800", "lone surrogate"),
    (Any, types.NOON, "datetime.datetime cannot travel where no annotation says"),
    (Any, [{"a": (1,)}], "tuple cannot travel where no annotation says"),
    (Any, {(1, 2): 3}, "tuple cannot travel"),
    (list, [types.AN_ID], "uuid.UUID cannot travel where"),
    (Any, cycle(), "deeper than 100 levels, or contains itself"),
    (Any, in_lists(MAX_DEPTH + 1), "deeper than 100 levels"),
    (types.Node, chain(MAX_DEPTH), "deeper than 100 levels"),
    (list[int], (1, 2), "must be list"),
    (list[int], Items(), "pass a plain list"),
    (list[int], [1, "2"], r"\[1\]: it must be int"),
    (dict[str, int], {"a": "1"}, r"\.values\(\)\[0\]: it must be int"),
    (dict[str, int], {1: 1}, r"\.keys\(\)\[0\]: it must be str"),
    (dict[str, int], collections.OrderedDict(a=1), "pass a plain dict"),
    (set[int], frozenset({1}), "must be set"),
    (tuple[int, str], (1,), "not 1 values"),
    (tuple[int, ...], [1], "must be tuple"),
    (tuple[int, ...], types.Point(1, 2), "pass a plain tuple"),
    (datetime, date(2024, 1, 1), "must be datetime.datetime"),
    (date, types.NOON, "must be datetime.date"),
    (datetime, types.NOON.replace(tzinfo=OtherZone()), "its tzinfo, a OtherZone"),
    (datetime, datetime(2024, 3, 31, 2, 30, tzinfo=types.BERLIN), "the clocks of its zone skip it"),
    (time, time(1, tzinfo=types.BERLIN), "tzinfo of a time"),
    (Decimal, 1, "must be Decimal"),
    (Path, "x", "must be Path"),
    (types.Colour, "red", "must be .*Colour, not str"),
    (Literal[1], True, r"must be Literal\[1\]"),
    (Literal["a"], ["a"], "must be Literal"),
    (str | datetime, "2024-01-31T12:00:00", "would come back as datetime.datetime"),
    (Path | str, "x", "would come back as pathlib"),
    (First | Second, Second(1), "would come back as .*First"),
    (int | str, 1.5, r"must be int \| str, not float"),
    (types.Line | None, types.Line("a", 1), r"\.price: it must be Decimal"),  # type: ignore[arg-type]
    (Absent | None, Absent.UNKNOWN, "would come back as None"),
    (Optional[int], "x", "must be int"),  # noqa: UP045 - people write it
    (types.Order, types.Order(id=types.AN_ID, placed="x"), r"\.placed: it must be datetime"),  # type: ignore[arg-type]
    (types.Movie, {"title": "M", "more": 1}, "has no field 'more'"),
    (types.Movie, {}, "lacks 'title'"),
    (Counted, Counted(1), "would not come back as itself"),
    (Secret, hidden(), "would not come back as itself"),
    (Seeded, Seeded(1), "made again from what travels"),
    (Base, Derived(), "must be .*Base, not .*Derived"),
    (Lossy, Lossy(a=Decimal("1.25")), "would not come back as itself"),
    (Private, with_private(), "would not come back as itself"),
    (types.Person, types.Cat("a"), "must be .*Person"),
]


@pytest.mark.parametrize(
    ("hint", "value", "why"), REFUSED, ids=[f"{hint}-{why}"[:70] for hint, _, why in REFUSED]
)
def test_it_is_refused_before_it_travels(hint: Any, value: Any, why: str) -> None:
    converter = converter_of(hint)
    with pytest.raises(Misfit, match=why):
        pack(converter.encode(value))


@pytest.mark.parametrize(
    "hint",
    [
        socket.socket,
        complex,
        Callable[[], int],
        type,
        collections.Counter,
        list[socket.socket],
        ...,
    ],
)
def test_types_whose_values_cannot_travel_are_refused(hint: Any) -> None:
    with pytest.raises(Misfit, match="cannot travel: use plain types"):
        converter_of(hint)


def test_the_field_of_a_type_that_cannot_travel_is_named() -> None:
    @dataclass
    class Client:
        name: str
        connection: Any

    Client.__annotations__["connection"] = socket.socket
    Client.__annotations__["name"] = str
    with pytest.raises(Misfit, match=r"\.connection: values of type socket.socket cannot"):
        converter_of(Client)


def test_a_function_that_never_returns_has_no_result() -> None:
    assert converter_of(NoReturn) is converter_of(None)


@pytest.mark.parametrize("depth", [1, MAX_DEPTH])
def test_what_nests_as_deep_as_it_may_comes_back(depth: int) -> None:
    assert there_and_back(Any, in_lists(depth)) == in_lists(depth)


def test_the_deepest_tree_that_is_sent_is_read_with_little_stack() -> None:
    # Two levels of msgpack, a map and a list, for each node but the last.
    deepest = chain(MAX_DEPTH // 2 - 1)
    assert there_and_back(types.Node, deepest) == deepest
