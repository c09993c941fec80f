"""One queue on a server beside its model, the operations under way in it, a network that loses."""

from __future__ import annotations

from collections import deque
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from redisjobs.errors import RedisJobsError
from redisjobs.keys import Keys
from redisjobs.operations import claim, giving_back, settle
from redisjobs.operations.operation import command
from redisjobs.transport import Lines
from tests.stateful.claims import check_timekeeping
from tests.stateful.compare import check_unchanged, compare
from tests.stateful.expect import expect
from tests.stateful.model import BrokenError, Model
from tests.stateful.stored import Stored, as_stored, look
from tests.stateful.ticking import BEGINNING_US, TickingLibrary, move_to
from tests.stateful.wire import AskClaim, AskEnqueue, AskRelease, AskSettle, read_call

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import redis

    from redisjobs.operations.operation import Call, Operation
    from tests.stateful.chooser import Chooser
    from tests.stateful.wire import Asked

SECOND_US = 1_000_000
MINUTE_US = 60 * SECOND_US
HOUR_MS = 3_600_000
# How long keys that expire live, by their names.
_LIVES_US = {"request": MINUTE_US, "timekeeper": 2 * SECOND_US, "last-chance": MINUTE_US}
_REFUSALS = (b"exists", b"again", b"kind", b"alive", b"gone", b"no", b"unregistered")
_TRACE = 60
TWO_REAPERS, TWO_SWEEPERS = "two reapers of one worker", "two sweepers"
_WIDTH = 300


@contextmanager
def sized_for_stories() -> Iterator[None]:
    """Few jobs fill a call, so that operations need several also where little is stored.

    No key expires by the real clock: `World` has them expire by the server's.
    """
    before = giving_back.CHUNK, settle.MOST_OUTCOMES, claim.TIMEKEEPER_MS
    giving_back.CHUNK, settle.MOST_OUTCOMES, claim.TIMEKEEPER_MS = 2, 3, HOUR_MS
    try:
        yield
    finally:
        giving_back.CHUNK, settle.MOST_OUTCOMES, claim.TIMEKEEPER_MS = before


@dataclass(frozen=True)
class Habits:
    """What the simulated workers do right; a planted bug lets them do it wrong."""

    reconciles: bool = True
    repeats_settles: bool = True


SOUND = Habits()


class Flight:
    """An operation under way: the calls that it asks for now, and who waits for its end."""

    def __init__(
        self,
        label: str,
        operation: Operation[Any],
        on_end: Callable[[Any], None] | None = None,
        on_error: Callable[[RedisJobsError], None] | None = None,
        on_loss: Callable[[], None] | None = None,
    ) -> None:
        self.label = label
        self._operation = operation
        self._on_end, self._on_error, self._on_loss = on_end, on_error, on_loss
        self._replies: list[Any] = []
        self.calls: deque[Call] = deque()
        self.is_over = False
        self._go_on(None)

    def answered(self, reply: Any) -> None:
        """The reply to the first of its calls came."""
        self.calls.popleft()
        self._replies.append(reply)
        if not self.calls:
            replies, self._replies = self._replies, []
            self._go_on(replies)

    def _go_on(self, replies: list[Any] | None) -> None:
        operation = self._operation
        try:
            calls = next(operation) if replies is None else operation.send(replies)
            self.calls.extend(calls)
        except StopIteration as end:
            self.is_over = True
            if self._on_end:
                self._on_end(end.value)
        except RedisJobsError as err:
            self.is_over = True
            if self._on_error is None:
                raise BrokenError(f"{self.label} failed: {err}") from err
            self._on_error(err)

    def lost(self) -> None:
        """The connection broke: nobody hears of the replies."""
        self.is_over = True
        self._operation.close()
        if self._on_loss:
            self._on_loss()


@dataclass
class Late:
    """Calls that were given up and are still on their way."""

    sent_at: int
    calls: list[Call]


@dataclass
class World:
    """A queue, what is under way in it, and what the model says of it."""

    client: redis.Redis
    name: str
    library: TickingLibrary = field(default_factory=TickingLibrary)
    habits: Habits = SOUND
    max_losses: int = 3

    def __post_init__(self) -> None:
        self.keys = Keys(self.name)
        self.lines = Lines(self.client, self.library)
        self.line = self.lines.new_line(10.0)
        self.model = Model()
        self.stored = Stored()
        self.flights: list[Flight] = []
        self.late: list[Late] = []
        self.ran_to_end: set[str] = set()  # deliveries whose handler ended
        self.trace: deque[tuple[Any, ...]] = deque(maxlen=_TRACE)
        self.steps = 0
        self.met: set[str] = set()  # of what two were under way at once
        self._scripts_there: set[str | None] = {None}
        # Of keys that expire: their value, and since when.
        self._written: dict[str, tuple[object, int]] = {}
        self.move_clock_to(BEGINNING_US)

    def close(self) -> None:
        """Removes what is stored."""
        self.client.delete(*self.client.keys(f"*{{{self.name}}}*") or ["nothing"])
        self.line.close()
        self.lines.close()

    # ------------------------------------------------------------------ calls

    def execute(self, call: Call) -> Any:
        """Carries one call out, and checks its reply and all that is stored.

        Raises:
            BrokenError: with the last steps before it.
        """
        asked = read_call(call)
        before = self.stored
        reply = self._exchange(call)
        self.trace.append((asked, reply))
        self.steps += 1
        try:
            self._check(asked, reply, before)
        except BrokenError as err:
            raise BrokenError(f"{err}\n{self.told()}") from None
        self._note_ages()
        return reply

    def _exchange(self, call: Call) -> Any:
        """The reply to a call, and what is stored after it.

        They come in one round trip, unless the server may have to learn the script first.
        """
        if call.script in self._scripts_there:
            reply, seen = self.line.exchange((call, look(self.keys)))
        else:
            (reply,) = self.line.exchange((call,))
            (seen,) = self.line.exchange((look(self.keys),))
            self._scripts_there.add(call.script)
        self.stored = as_stored(self.keys, seen)
        return reply

    def _check(self, asked: Asked, reply: Any, before: Stored) -> None:
        if isinstance(reply, Exception):
            raise BrokenError(f"{asked}: {reply}")
        self._check_knowledge(asked)
        self.model.begin_call(self.stored.time)
        expect(asked, self.model, reply)
        if _is_refusal(asked, reply):
            check_unchanged(before, self.stored, isinstance(asked, AskEnqueue))
        compare(self.model, self.stored)
        if isinstance(asked, AskClaim):
            check_timekeeping(asked, self.model, reply, self.stored)

    def _check_knowledge(self, asked: Asked) -> None:
        """A worker that is registered never gives back what it has run to an end."""
        if isinstance(asked, AskRelease) and self.model.is_registered(asked.worker):
            held = self.model.processing.get(asked.worker, [])
            for delivery in set(asked.deliveries) & self.ran_to_end:
                if delivery in held:
                    raise BrokenError(f"{delivery!r} has run to its end, but is given back")

    def note(self, *what: object) -> None:
        """Something to be told of, if a check fails."""
        self.trace.append(what)

    def told(self) -> str:
        """The last steps."""
        steps = ("  ->  ".join(str(part)[:_WIDTH] for part in step) for step in self.trace)
        return "\n".join(f"  {step}" for step in steps)

    # ------------------------------------------------------------------ flights

    def begin(self, flight: Flight) -> Flight:
        """Sets an operation on its way."""
        if not flight.is_over:
            self._note_meetings(flight)
            self.flights.append(flight)
        return flight

    def _note_meetings(self, flight: Flight) -> None:
        if flight.label == "sweep":
            if any(other.label == "sweep" for other in self.flights):
                self.met.add(TWO_SWEEPERS)
        elif flight.label.startswith("reap of "):
            victim, _, reaper = flight.label.partition(" by ")
            begun = [other.label.partition(" by ") for other in self.flights]
            if any(what == victim and by != reaper for what, _, by in begun):
                self.met.add(TWO_REAPERS)

    def advance(self, flight: Flight) -> None:
        """Carries out the next call of an operation."""
        flight.answered(self.execute(flight.calls[0]))
        if flight.is_over:
            self._forget(flight)

    def finish(self, flight: Flight) -> None:
        """Carries an operation out to its end."""
        while not flight.is_over:
            self.advance(flight)

    def lose(self, flight: Flight, choose: Chooser) -> None:
        """The connection breaks: what was asked is carried out, is not, or arrives later."""
        calls = list(flight.calls)
        fate = choose.one_of(("the request is lost", "the reply is lost", "late"))
        self.note(fate.upper(), flight.label)
        if fate == "the reply is lost":
            for call in calls[: choose.number(1, len(calls))]:
                self.execute(call)
        elif fate == "late":
            self.late.append(Late(self.model.time, calls))
        self._forget(flight)
        flight.lost()

    def _forget(self, flight: Flight) -> None:
        if flight in self.flights:
            self.flights.remove(flight)

    def arrive(self, late: Late) -> None:
        """Calls that were given up arrive; nobody hears of their replies."""
        self.late.remove(late)
        self.note("ARRIVES")
        for call in late.calls:
            self.execute(call)

    # ------------------------------------------------------------------ time and place

    def move_clock_to(self, time: int) -> None:
        """Moves the server's clock. Keys whose time is over expire."""
        self.model.time = time
        self.note("CLOCK", time)
        # Whoever repeats a call gives up long before its number is forgotten.
        self.late = [
            late
            for late in self.late
            if late.sent_at > time - MINUTE_US // 2
            or not any(call.script == "enqueue" for call in late.calls)
        ]
        moved, *_, seen = self.line.exchange(
            (*next(move_to(self.keys, time)), *self._expire(), look(self.keys))
        )
        assert moved == b"OK", moved
        self.stored = as_stored(self.keys, seen)

    def _note_ages(self) -> None:
        stored = self.stored
        values: dict[str, object] = {
            f"request:{name}": text for name, text in stored.requests.items()
        }
        values |= {f"timekeeper:{kind}": word for kind, word in stored.timekeepers.items()}
        if stored.last_chance:
            values["last-chance"] = stored.last_chance
        written = {name: (value, self.model.time) for name, value in values.items()}
        for name, (value, since) in self._written.items():
            if name in values and values[name] == value:
                written[name] = (value, since)
        self._written = written

    def _expire(self) -> Iterator[Call]:
        for name, (_, since) in list(self._written.items()):
            what, _, more = name.partition(":")
            if self.model.time - since < _LIVES_US[what]:
                continue
            yield command("DEL", self.keys.prefix + name.encode())
            del self._written[name]
            if what == "request":
                del self.model.requests[more]
            elif what == "last-chance":
                self.model.marks.clear()

    def forget_scripts(self) -> None:
        """SCRIPT FLUSH: the server knows no script any more."""
        self.note("SCRIPT FLUSH")
        self.client.script_flush()
        self._scripts_there.clear()


def _is_refusal(asked: Asked, reply: Any) -> bool:
    if isinstance(asked, AskSettle):
        return len(reply) == len(asked.outcomes)
    first = reply
    while isinstance(first, list) and first:
        first = first[0]
    return first in _REFUSALS
