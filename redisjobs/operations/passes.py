"""A pass over all jobs of a queue, for check and for repair.

The queue moves meanwhile. So a pass, in chunks, only suspects: it asks where ids stand and compares
with what it saw of the processing lists before. What looks wrong is looked at again, in all places
at one moment, before anything is said or done.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple

from redisjobs.keys import Keys
from redisjobs.operations.check_keys import Stored
from redisjobs.operations.operation import Operation, command, reply_of
from redisjobs.operations.places import look_near
from redisjobs.operations.scanning import Walk, all_names
from redisjobs.operations.verdicts import (
    Facts,
    Report,
    on_delivery,
    on_job,
    on_losses,
    on_record,
    on_state,
)

MOST_SUSPECTS = 500
MOST_DELIVERIES = 500
MOST_LISTS = 100
MOST_KINDS_EXPECTED = 100


class Suspect(NamedTuple):
    """An id that seems to be in wrong places, or to have wrong contents.

    Attributes:
        facts: as they were seen, without the processing lists.
        contents: what is wrong with what is stored for it, wherever its job is.
    """

    facts: Facts
    contents: Sequence[str]


class JobsPass:
    """Looks at every id in every place of the queue. A subclass says what becomes of suspects."""

    def __init__(self, keys: Keys, stored: Stored, report: Report) -> None:
        self.keys = keys
        self.stored = stored
        self._report = report
        self.registered: set[bytes] = set()
        # Places that have an id, once for each delivery, when the processing lists were last read.
        self.held: dict[bytes, list[bytes]] = {}
        self.greatest_token = 0
        self._suspects: dict[bytes, Suspect] = {}
        self._expected_kinds: dict[bytes, None] = {}

    def resolve(self, suspects: Sequence[Suspect]) -> Operation[None]:
        """Looks at these again, in all places at one moment. Each call may have some hundreds."""
        raise NotImplementedError

    def heed_lists(self, wrong: Sequence[str]) -> Operation[None]:
        """The processing lists were read; these sentences say what in them is no delivery."""
        raise NotImplementedError

    def is_misplaced(self, facts: Facts) -> bool:
        """Whether a job seems to be in wrong places; they include the lists."""
        return bool(on_job(facts))

    def run(self) -> Operation[None]:
        """The whole pass."""
        keys = self.keys
        wrong = yield from self.read_lists()
        yield from self.heed_lists(wrong)
        self._report.note("held", sum(map(len, self.held.values())))
        # What is given back goes before what was given back earlier: the last ones first.
        yield from self._examine(list(self.held)[::-1])
        yield from self._walk_hash("jobs", keys.jobs, on_record)
        for key, kind in self.stored.sets.items():
            yield from self._walk_set(key, kind)
        yield from self._walk_hash("states", keys.state, on_state)
        yield from self._walk_hash("losses", keys.losses, on_losses)
        yield from self._resolve()

    def read_lists(self) -> Operation[list[str]]:
        """Reads all processing lists, in parts. Returns what in them is no delivery."""
        registered = yield from all_names(Walk("ZSCAN", self.keys.workers), 2)
        self.registered = set(registered)
        stem, cut = self.keys.processing(""), len(self.keys.prefix)
        rest = [(stem + worker, 0) for worker in dict.fromkeys([*self.stored.lists, *registered])]
        self.held, self.greatest_token = {}, 0
        wrong: list[str] = []
        while rest:
            part = rest[:MOST_LISTS]
            replies = yield tuple(
                command("LRANGE", key, first, first + MOST_DELIVERIES - 1) for key, first in part
            )
            del rest[: len(part)]
            for number, (key, first) in enumerate(part):
                deliveries, place = reply_of(replies, number), key[cut:]
                for delivery in deliveries:
                    wrong += self._note_delivery(place, delivery)
                if len(deliveries) == MOST_DELIVERIES:
                    rest.append((key, first + MOST_DELIVERIES))
        return wrong

    def _note_delivery(self, place: bytes, delivery: bytes) -> list[str]:
        wrong = on_delivery(place, delivery)
        if not wrong:
            token, _, name = delivery.partition(b":")
            self.held.setdefault(name, []).append(place)
            self.greatest_token = max(self.greatest_token, int(token))
        return wrong

    def _walk_hash(
        self, what: str, key: bytes, judge: Callable[[bytes, bytes], list[str]]
    ) -> Operation[None]:
        walk = Walk("HSCAN", key)
        while not walk.ended:
            entries = yield from walk.step()
            names = entries[::2]
            wrong = {
                name: found
                for name, raw in zip(names, entries[1::2], strict=True)
                if (found := judge(name, raw))
            }
            self._report.note(what, len(names))
            yield from self._examine(names, wrong)

    def _walk_set(self, key: bytes, kind: bytes) -> Operation[None]:
        place = key[len(self.keys.prefix) :]
        what = "waiting" if place.startswith(b"due:") else "finished"
        walk = Walk("ZSCAN", key)
        while not walk.ended:
            entries = yield from walk.step()
            self._report.note(what, len(entries) // 2)
            yield from self._examine(entries[::2], place=place, kinds=[kind])

    def _examine(
        self,
        names: Sequence[bytes],
        wrong: Mapping[bytes, list[str]] | None = None,
        *,
        place: bytes | None = None,
        kinds: Iterable[bytes] = (),
    ) -> Operation[None]:
        """Suspects those of these ids that seem to stand in wrong places, or have wrong contents.

        `place`: the set in which they were found. `kinds`: those to expect.
        """
        seen = yield from look_near(self.keys, names, kinds or self._expected_kinds)
        self.heed(seen)
        for facts in seen:
            if place is not None and place not in facts.places:
                facts = facts._replace(places=(*facts.places, place))
            before = self._suspects.get(facts.id)
            contents = [*(before.contents if before else ()), *(wrong or {}).get(facts.id, ())]
            suspect = Suspect(facts, contents)
            if self._is_suspect(suspect):
                self._suspects[facts.id] = suspect
        if len(self._suspects) >= MOST_SUSPECTS:
            yield from self._resolve()

    def heed(self, seen: Iterable[Facts]) -> None:
        """Most jobs are of the kinds of those before them."""
        if len(self._expected_kinds) > MOST_KINDS_EXPECTED:
            self._expected_kinds = {}
        self._expected_kinds.update(dict.fromkeys(facts.kind for facts in seen if facts.kind))

    def _is_suspect(self, suspect: Suspect) -> bool:
        facts = suspect.facts
        lists = self.held.get(facts.id, ())
        return bool(suspect.contents) or self.is_misplaced(
            facts._replace(places=(*facts.places, *lists))
        )

    def _resolve(self) -> Operation[None]:
        if not self._suspects:
            return
        # Most suspects are jobs that were claimed after the lists were read.
        yield from self.read_lists()
        suspects = list(filter(self._is_suspect, self._suspects.values()))
        self._suspects = {}
        if suspects:
            yield from self.resolve(suspects)
