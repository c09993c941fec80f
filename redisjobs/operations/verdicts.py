"""What is wrong with facts that were seen in a queue, in sentences.

Pure: what it is handed was seen at one moment.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from redisjobs.errors import IncompatibleQueueError, InvalidJobError
from redisjobs.keys import FINISHED_STATUSES, SCHEMA_VERSION
from redisjobs.operations.refusals import readable_kind
from redisjobs.operations.workers import SeenWorker, read_info
from redisjobs.record import decode_record, decode_state
from redisjobs.states import STATE_OF_LETTER

MOST_SENTENCES = 1000
MOST_DIGITS_OF_TOKEN = 16  # with more it outgrows a double
LEASES_UNTIL_LONG_LAPSED = 3
# The lease of a worker that does not say how long its own is.
ASSUMED_LEASE_MS = 15_000

SETTINGS_OF_META = (b"retention_us", b"retention_limit", b"failed_retention_us", b"failed_limit")


class ReportFullError(Exception):
    """More is wrong than anybody would read."""


class Report(list[str]):
    """Sentences, and how many of what were looked at for them."""

    def __init__(self) -> None:
        super().__init__()
        self.examined: dict[str, int] = {}
        self._said: set[str] = set()

    def note(self, what: str, number: int) -> None:
        """Adds to what was examined."""
        self.examined[what] = self.examined.get(what, 0) + number


class CheckReport(Report):
    """The broken invariants, a sentence each; empty when the queue is sound.

    Attributes:
        examined: how many of what were looked at: keys, kinds, workers, held, jobs, waiting,
            finished, states, losses.
    """

    def add(self, sentences: Iterable[str]) -> None:
        """Adds sentences, each once.

        Raises:
            ReportFullError: there are too many of them.
        """
        for sentence in sentences:
            if sentence in self._said:
                continue
            if len(self) == MOST_SENTENCES:
                raise ReportFullError
            self._said.add(sentence)
            self.append(sentence)


def shown(name: bytes) -> str:
    """An id, kind or worker as text in quotes."""
    return repr(name.decode(errors="backslashreplace"))


def _listed(places: Sequence[bytes]) -> str:
    return ", ".join(place.decode(errors="backslashreplace") for place in places)


class Facts(NamedTuple):
    """What is stored of one id. Places are keys without the queue's prefix.

    Attributes:
        kind: that its record names; b"" if it names none; None: there is no record.
        letter: of its state; b"" if it has none, b"?" if that cannot be read.
        past: whether its record's time is over, so that it counts as absent.
        lost: whether it has an entry among the losses.
        places: the due sets, finished sets and processing lists that have it.
    """

    id: bytes
    kind: bytes | None
    letter: bytes
    past: bool
    lost: bool
    places: tuple[bytes, ...]


def on_job(facts: Facts) -> list[str]:
    """Whether a job is in the one place in which it belongs."""
    state = STATE_OF_LETTER.get(facts.letter)
    if facts.kind is None:
        return _on_remains(facts)
    if readable_kind(facts.kind) is None or (facts.letter and state is None):
        return []  # where it belongs cannot be told; that it cannot be read is said elsewhere
    job = f"job {shown(facts.id)} of kind {shown(facts.kind)}"
    if state is None or not state.terminal:
        return _on_pending(job, facts.places, b"due:" + facts.kind)
    home = b"finished:%b:%b" % (state.status.lower().encode(), facts.kind)
    found = []
    if facts.places != (home,):
        where = _listed(facts.places) or "no set or list"
        found.append(
            f"I1: {job} ended as {state.status} and belongs in {_listed([home])} alone,"
            f" but is in {where}"
        )
    if facts.lost:
        found.append(f"losses: {job} ended as {state.status}, but its losses are still counted")
    return found


def _on_remains(facts: Facts) -> list[str]:
    job = f"job {shown(facts.id)} has no record"
    remains = [
        *facts.places,
        *([b"state"] if facts.letter else []),
        *([b"losses"] if facts.lost else []),
    ]
    if not remains:
        return []
    name = "losses" if remains == [b"losses"] else "I1"
    return [f"{name}: {job}, but is still in {_listed(remains)}"]


def _on_pending(job: str, places: Sequence[bytes], due: bytes) -> list[str]:
    if not places:
        return [f"I1: {job} has not ended, but is in no due set and in no processing list"]
    if len(places) > 1:
        return [
            (
                f"I1: {job} has not ended and belongs in one place,"
                f" but is in {len(places)}: {_listed(places)}"
            )
        ]
    place = places[0]
    if place == due or place.startswith(b"processing:"):
        return []
    if place.startswith(b"due:"):
        return [f"kinds: {job} waits in {_listed(places)}, the due set of another kind"]
    return [f"I1: {job} has not ended, but is in {_listed(places)}"]


def on_record(name: bytes, raw: bytes) -> list[str]:
    """Whether a record can be read."""
    try:
        kind = decode_record(raw).kind
        if readable_kind(kind.encode()) is not None:
            return []
        reason = f"it names {kind!r}, which no kind can be" if kind else "it names no kind"
    except (InvalidJobError, IncompatibleQueueError) as err:
        reason = str(err)
    return [f"records: the record of job {shown(name)} is unusable: {reason}"]


def on_state(name: bytes, raw: bytes) -> list[str]:
    """Whether a state can be read."""
    try:
        decode_state(raw)
    except InvalidJobError as err:
        return [f"records: the state of job {shown(name)} is unusable: {err}"]
    return []


def on_losses(name: bytes, raw: bytes) -> list[str]:
    """Whether a count of losses is one."""
    if raw.isdigit() and int(raw) > 0:
        return []
    return [f"losses: those of job {shown(name)} are {shown(raw)}, which is no count"]


def on_delivery(place: bytes, delivery: bytes) -> list[str]:
    """Whether an entry of a processing list is a token and an id."""
    token, _, name = delivery.partition(b":")
    if token.isdigit() and len(token) <= MOST_DIGITS_OF_TOKEN and name:
        return []
    return [
        (
            f"I1: {shown(delivery)} in {_listed([place])} is no delivery:"
            " it should be a token and an id"
        )
    ]


def on_token(counter: int, greatest: int) -> list[str]:
    """Whether a token was given that the counter has not reached yet: it was set back."""
    if greatest <= counter:
        return []
    return [
        (
            f"tokens: the counter is at {counter:,}, but token {greatest:,} is in a processing"
            " list: later deliveries would have lower tokens than earlier ones"
        )
    ]


def on_meta(meta: Mapping[bytes, bytes]) -> list[str]:
    """Whether the numbers that scripts rely on are there to be used."""
    found = [
        f"meta: {name.decode()} is {shown(meta[name])}, which is no whole number"
        for name in (b"schema", b"token", *SETTINGS_OF_META)
        if name in meta and not meta[name].isdigit()
    ]
    schema = meta.get(b"schema", b"")
    if schema.isdigit() and int(schema) > SCHEMA_VERSION:
        found.append(
            f"schema: the data has schema {int(schema)}, this release of redisjobs knows up to"
            f" {SCHEMA_VERSION}: upgrade it to check this queue"
        )
    return found


class KindFacts(NamedTuple):
    """What is stored of one kind.

    `kept` and `totals`: per finished status, in the order of FINISHED_STATUSES; then the total of
    retries.
    """

    kind: bytes
    is_listed: bool
    has_due: bool
    has_bell: bool
    kept: Sequence[int]
    totals: Sequence[bytes | None]


def on_kind(facts: KindFacts) -> Iterator[str]:
    """Whether a kind's keys belong together."""
    if not facts.is_listed and (facts.has_due or any(facts.kept)):
        sets = [b"due:" + facts.kind] if facts.has_due else []
        for status, kept in zip(FINISHED_STATUSES, facts.kept, strict=True):
            if kept:
                sets.append(b"finished:%b:%b" % (status.lower().encode(), facts.kind))
        yield f"I8: {_listed(sets)} stays behind: kinds does not have {shown(facts.kind)}"
    if facts.has_bell and not facts.has_due:
        yield f"I8: {_listed([b'bell:' + facts.kind])} stays behind: no job of its kind waits"
    outcomes = [*(status.lower() for status in FINISHED_STATUSES), "retried"]
    for outcome, kept, total in zip(outcomes, [*facts.kept, 0], facts.totals, strict=True):
        field = f"{outcome}:{_listed([facts.kind])}"
        if total is not None and not total.isdigit():
            yield f"counts: {field} of totals is {shown(total)}, which is no count"
        elif kept > int(total or 0):
            yield (
                f"counts: {kept:,} in finished:{field}, but by totals only"
                f" {int(total or 0):,} jobs of this kind ever ended so"
            )


def lease_ms(seen: SeenWorker) -> int:
    """How long a worker's lease is, in milliseconds."""
    return read_info(seen.info).lease_ms or ASSUMED_LEASE_MS


def on_worker(seen: SeenWorker, living: Sequence[int]) -> Iterator[str]:
    """Whether a worker's entries belong together, and whether it was reaped when it fell silent.

    `living`: the leases of those that live, in milliseconds. They reap by the longer of both.
    """
    worker = f"worker {shown(seen.name)}"
    if seen.lease_left_us is None:
        if seen.held:
            yield (
                f"I8: {_listed([b'processing:' + seen.name])} stays behind with {seen.held:,}"
                f" deliveries that nobody reaps: {worker} is not registered"
            )
        if seen.info is not None:
            yield f"I8: {worker} stays behind in worker-info: it is not registered"
        return
    if seen.info is None:
        yield f"workers: {worker} is registered, but worker-info does not have it"
    lease_s = max([lease_ms(seen), *living]) / 1000
    silent_s = -seen.lease_left_us / 1e6
    held = f"it holds {seen.held:,} deliveries" if seen.held else "it holds nothing"
    if seen.is_being_reaped:
        if not living:
            yield f"leases: {worker} was being reaped, but no worker is left to go on; {held}"
    elif silent_s > LEASES_UNTIL_LONG_LAPSED * lease_s:
        yield (
            f"leases: the lease of {worker} lapsed {silent_s:,.0f} s ago, which is over"
            f" {LEASES_UNTIL_LONG_LAPSED} leases of {lease_s:g} s, and nobody has reaped it:"
            f" is any worker running? {held}"
        )
