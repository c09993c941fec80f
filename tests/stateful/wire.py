"""What a call asks for, read back from its words as the header of its script names them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from redisjobs.operations.operation import Argument, Call


@dataclass(frozen=True)
class NewJob:
    id: str
    kind: str
    when: str
    record: bytes = field(repr=False)


@dataclass(frozen=True)
class AskEnqueue:
    producer: str
    number: int
    jobs: list[NewJob]
    finished_kinds: list[str]


@dataclass(frozen=True)
class AskClaim:
    worker: str
    kinds: list[str]
    limit: int
    free: int
    ahead: dict[str, int]
    max_losses: int
    guarded_room: int
    passed_before: int
    minds: bool
    emptying: tuple[str, str] | None
    occupied: list[str]


@dataclass(frozen=True)
class Outcome:
    delivery: str
    kind: str
    letter: str
    attempts: int
    delay_us: int
    body: bytes = field(repr=False)

    @property
    def id(self) -> str:
        return id_of(self.delivery)


@dataclass(frozen=True)
class AskSettle:
    worker: str
    outcomes: list[Outcome]


@dataclass(frozen=True)
class AskRelease:
    """`deliveries`: the last handed out first."""

    worker: str
    deliveries: list[str]
    kinds: list[str]


@dataclass(frozen=True)
class AskReap:
    worker: str
    judged: str
    most: int
    max_losses: int
    no_body: bytes = field(repr=False)
    kinds: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class AskRegister:
    worker: str
    lease_us: int
    settings: dict[str, int]
    held_before: list[str]
    info: bytes = field(repr=False)


@dataclass(frozen=True)
class AskBeat:
    worker: str
    lease_us: int
    info: bytes = field(repr=False)


@dataclass(frozen=True)
class AskUnregister:
    worker: str


@dataclass(frozen=True)
class AskCancel:
    id: str
    kind: str
    no_body: bytes = field(repr=False)


@dataclass(frozen=True)
class AskRetry:
    id: str
    kind: str


@dataclass(frozen=True)
class AskDelete:
    id: str
    kind: str


@dataclass(frozen=True)
class AskGet:
    id: str


@dataclass(frozen=True)
class AskSweep:
    most: int
    kinds: list[str]


@dataclass(frozen=True)
class AskHeld:
    """The plain command that lists a worker's deliveries."""

    worker: str


@dataclass(frozen=True)
class AskToken:
    """The plain command that takes a token off a bell."""

    kind: str


Asked: TypeAlias = (
    AskEnqueue | AskClaim | AskSettle | AskRelease | AskReap | AskRegister | AskBeat | AskUnregister
    | AskCancel | AskRetry | AskDelete | AskGet | AskSweep | AskHeld | AskToken
)  # fmt: skip


def id_of(delivery: str) -> str:
    """The job's id in `<token>:<id>`."""
    return delivery.split(":", 1)[1]


def text(value: Argument) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)


def raw(value: Argument) -> bytes:
    return value if isinstance(value, bytes) else str(value).encode()


def _texts(values: Sequence[Argument]) -> list[str]:
    return [text(value) for value in values]


def _after(key: bytes, what: str) -> str:
    """What a key names behind `}:<what>:`."""
    return key.decode().split(f"}}:{what}:", 1)[1]


def _enqueue(keys: Sequence[bytes], words: Sequence[Any]) -> AskEnqueue:
    jobs: list[NewJob] = []
    at = 4
    for _ in range(int(words[1])):
        kind, count = text(words[at]), int(words[at + 1])
        at += 2
        for place in range(at, at + 3 * count, 3):
            jobs.append(NewJob(text(words[place]), kind, text(words[place + 2]), words[place + 1]))
        at += 3 * count
    return AskEnqueue(_after(keys[1], "request"), int(words[0]), jobs, _texts(words[at:]))


def _claim(keys: Sequence[bytes], words: Sequence[Any]) -> AskClaim:
    kinds = [_after(key, "due") for key in keys[7::3]]
    place = int(words[9])
    ahead = words[10 : 10 + len(kinds)]
    return AskClaim(
        worker=text(words[0]),
        kinds=kinds,
        limit=int(words[1]),
        free=int(words[2]),
        ahead={kind: int(count) for kind, count in zip(kinds, ahead, strict=True)},
        max_losses=int(words[4]),
        guarded_room=int(words[5]),
        passed_before=int(words[6]),
        minds=int(words[7]) > 0,
        emptying=(kinds[place - 1], text(words[8])) if place else None,
        occupied=_texts(words[10 + len(kinds) :]),
    )


def _settle(keys: Sequence[bytes], words: Sequence[Any]) -> AskSettle:
    outcomes: list[Outcome] = []
    at = 2
    for _ in range(int(words[0])):
        letter, kind, count = text(words[at]), text(words[at + 1]), int(words[at + 3])
        width, common = int(words[at + 4]), text(words[at + 5])
        at += 6
        for _ in range(count):
            delivery, *more = words[at : at + width]
            attempts, delay_us, body = more if width == 4 else (common, 0, *(more or [b""]))
            outcomes.append(
                Outcome(text(delivery), kind, letter, int(attempts), int(delay_us), raw(body))
            )
            at += width
    return AskSettle(_after(keys[2], "processing"), outcomes)


def _release(keys: Sequence[bytes], words: Sequence[Any]) -> AskRelease:
    count = int(words[0])
    worker = _after(keys[1], "processing")
    return AskRelease(worker, _texts(words[1 : 1 + count]), _texts(words[1 + count :]))


def _reap(_: Sequence[bytes], words: Sequence[Any]) -> AskReap:
    worker, judged, most, max_losses, no_body, *kinds = words
    return AskReap(
        text(worker), text(judged), int(most), int(max_losses), raw(no_body), _texts(kinds)
    )


def _register(_: Sequence[bytes], words: Sequence[Any]) -> AskRegister:
    ends = 5 + 2 * int(words[4])
    settings = {
        text(name): int(value) for name, value in zip(words[5:ends:2], words[6:ends:2], strict=True)
    }
    return AskRegister(text(words[0]), int(words[1]), settings, _texts(words[ends:]), raw(words[2]))


def _sweep(keys: Sequence[bytes], words: Sequence[Any]) -> AskSweep:
    return AskSweep(int(words[0]), [key.decode().split(":", 4)[4] for key in keys[3::4]])


_READERS: dict[str, Callable[[Sequence[bytes], Sequence[Any]], Asked]] = {
    "enqueue": _enqueue,
    "claim": _claim,
    "settle": _settle,
    "release": _release,
    "reap": _reap,
    "register": _register,
    "sweep": _sweep,
    "beat": lambda _, words: AskBeat(text(words[0]), int(words[1]), raw(words[2])),
    "unregister": lambda _, words: AskUnregister(text(words[0])),
    "cancel": lambda _, words: AskCancel(text(words[0]), text(words[1]), raw(words[2])),
    "retry": lambda _, words: AskRetry(text(words[0]), text(words[1])),
    "delete": lambda _, words: AskDelete(text(words[0]), text(words[1])),
    "get": lambda _, words: AskGet(text(words[0])),
}


def read_call(call: Call) -> Asked:
    """What this call asks for."""
    if call.script is not None:
        return _READERS[call.script](call.keys, call.arguments)
    name, key = call.arguments[:2]
    if name == "LRANGE":
        return AskHeld(_after(raw(key), "processing"))
    return AskToken(_after(raw(key), "bell"))
