"""Types of users' own that the tests of the codec send round, each with values of it."""

from __future__ import annotations

import enum
from collections import namedtuple
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from pathlib import Path, PurePosixPath
from typing import Annotated, Any, Literal, NamedTuple, NewType, NotRequired, Optional, TypedDict
from uuid import UUID
from zoneinfo import ZoneInfo

from pydantic import BaseModel, Field
from pydantic.dataclasses import dataclass as pydantic_dataclass
from typing_extensions import TypeAliasType

UserId = NewType("UserId", int)
Prices = TypeAliasType("Prices", dict[str, Decimal])  # as `type Prices = …` makes
Pair = namedtuple("Pair", "left right")  # one without annotations

BERLIN = ZoneInfo("Europe/Berlin")
AN_ID = UUID("12345678-1234-5678-1234-567812345678")
NOON = datetime(2024, 1, 31, 12, 0, 0, 1)  # noqa: DTZ001 - naive ones travel, too


class Colour(enum.Enum):
    RED = "red"
    GREEN = 2


class Planet(enum.Enum):
    EARTH = (5.97e24, 6.37e6)
    MARS = (6.42e23, 3.39e6)


class Level(enum.IntEnum):
    LOW = 1
    HIGH = 2


class Kind(enum.StrEnum):
    BIG = "big"
    SMALL = "small"


class Access(enum.Flag):
    READ = 1
    WRITE = 2


@dataclass
class Line:
    sku: str
    price: Decimal
    count: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    id: UUID
    placed: datetime
    lines: list[Line] = field(default_factory=list)
    colour: Colour | None = None


@dataclass
class Total:
    """What its constructor makes of what it is given is the same again."""

    parts: tuple[int, ...]
    total: int = field(init=False)

    def __post_init__(self) -> None:
        self.total = sum(self.parts)


@dataclass
class Node:
    name: str
    children: list[Node] = field(default_factory=list)


@dataclass
class Cat:
    name: str
    type: Literal["cat"] = "cat"


@dataclass
class Dog:
    name: str
    type: Literal["dog"] = "dog"


class Point(NamedTuple):
    x: float
    y: float = 0.0


class Movie(TypedDict):
    title: str
    seen: NotRequired[date]


class Person(BaseModel):
    name: str
    born: date
    money: Decimal = Decimal(0)
    weight: float = 1.0
    tags: set[str] = set()
    nick: str = Field(default="", alias="nickName")


class Strict(BaseModel, strict=True):
    id: UUID
    at: datetime
    pair: tuple[int, str]


@pydantic_dataclass
class Address:
    street: str
    since: date


SPANS = [timedelta(0), timedelta.min, timedelta.max, timedelta(days=-1, microseconds=1)]

# Values that come back as themselves for these annotations.
TRAVELLERS: list[tuple[Any, list[Any]]] = [
    (None, [None]),
    (bool, [True, False]),
    (int, [0, -(2**63), 2**64 - 1, True]),
    (float, [0.5, float("inf"), float("nan"), -0.0, 3]),
    (str, ["", "ü\0x", "\U0001f600"]),
    (bytes, [b"", b"\xff\0"]),
    (bytearray, [bytearray(b"x")]),
    (datetime, [NOON, NOON.replace(tzinfo=UTC), NOON.replace(tzinfo=BERLIN)]),
    (datetime, [NOON.replace(tzinfo=timezone(-timedelta(hours=3, seconds=1)))]),
    (datetime, [datetime(2024, 10, 27, 2, 30, fold=fold, tzinfo=BERLIN) for fold in (0, 1)]),
    (date, [date(2024, 1, 31), date.min, date.max]),
    (time, [time(1, 2, 3, 4), time(1, tzinfo=UTC)]),
    (timedelta, [*SPANS, timedelta(hours=36, milliseconds=1), -timedelta(microseconds=1)]),
    (Decimal, [Decimal("1.10"), Decimal("-0"), Decimal("1E+400"), Decimal("Infinity")]),
    (UUID, [AN_ID]),
    (Path, [Path("/a/b"), Path()]),
    (PurePosixPath, [PurePosixPath("a/b")]),
    (Colour, list(Colour)),
    (Planet, list(Planet)),
    (Level, list(Level)),
    (Kind, list(Kind)),
    (Access, [Access.READ, Access.READ | Access.WRITE, Access(0)]),
    (Any, [None, 1, [1, {"a": [b"x", None]}], {1: "x", None: 2.5}]),
    (object, ["x"]),
    (list, [[1, "x"]]),
    (list[int], [[], [1, 2]]),
    (list[datetime], [[NOON]]),
    (Sequence[str], [["a"]]),
    (Iterable[Decimal], [[Decimal(1)]]),
    (set[int], [{1, 2}, set()]),
    (frozenset[UUID], [frozenset({AN_ID})]),
    (set[tuple[int, str]], [{(1, "a")}]),
    (tuple, [(1, "x")]),
    (tuple[int, ...], [(), (1, 2)]),
    (tuple[int, date], [(1, date(2024, 1, 1))]),
    (tuple[()], [()]),
    (dict, [{"a": 1, 2: [3]}]),
    (dict[str, Decimal], [{"a": Decimal("1.0")}, {}]),
    (dict[int, str], [{1: "a", -5: "b"}]),
    (dict[date, set[Colour]], [{date(2024, 1, 1): {Colour.RED}}]),
    (dict[tuple[int, int], str], [{(1, 2): "a", (3, 4): "b"}, {}]),
    (Mapping[UUID, Line], [{AN_ID: Line("a", Decimal(1))}]),
    (Optional[int], [None, 5]),  # noqa: UP045 - people write it
    (datetime | None, [None, NOON]),
    (int | str, [1, "1"]),
    (str | datetime, ["soon", NOON]),
    (datetime | date, [NOON, date(2024, 1, 31)]),
    (Decimal | UUID | str, [Decimal("1.5"), AN_ID, "x"]),
    (timedelta | int | None, [timedelta(1), 1, None]),
    (list[int] | dict[str, int], [[1], {"a": 1}]),
    (Cat | Dog, [Cat("Tom"), Dog("Rex")]),
    (str | Path, ["x"]),
    (Literal[1, "a", None], [1, "a", None]),
    (Literal[Colour.RED], [Colour.RED]),
    (UserId, [7]),
    (Prices, [{"a": Decimal("1.0")}]),
    (Annotated[int, "of age"], [7]),
    (Line, [Line("a", Decimal("1.10"), 2)]),
    (Order, [Order(id=AN_ID, placed=NOON, lines=[Line("a", Decimal(1))], colour=Colour.RED)]),
    (Total, [Total((1, 2, 3))]),
    (Node, [Node("a", [Node("b", [Node("c")]), Node("d")])]),
    (Point, [Point(1.0, 2.0)]),
    (Pair, [Pair(1, [2])]),
    (Movie, [Movie(title="M"), Movie(title="M", seen=date(2024, 1, 1))]),
    (Person, [Person(name="a", born=date(2000, 1, 1), tags={"x"}, nickName="b")]),
    (Person, [Person(name="a", born=date(2000, 1, 1), money=Decimal("1.10"))]),
    (Person, [Person(name="a", born=date(2000, 1, 1), weight=float("nan"))]),
    (list[Person] | None, [[Person(name="a", born=date(2000, 1, 1))]]),
    (Strict, [Strict(id=AN_ID, at=NOON, pair=(1, "a"))]),
    (Address, [Address("a", date(2000, 1, 1))]),
]
