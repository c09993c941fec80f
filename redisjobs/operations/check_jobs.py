"""The part of check that looks at jobs.

The queue moves meanwhile. So a pass, in chunks, only suspects: it asks where ids stand and compares
with what it saw of the processing lists before. What looks wrong is looked at again, in all places
at one moment, before it is reported.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

from redisjobs.keys import Keys
from redisjobs.operations.check_keys import Stored
from redisjobs.operations.operation import Operation, command, reply_of
from redisjobs.operations.places import look_everywhere, look_near
from redisjobs.operations.scanning import Walk, all_names
from redisjobs.operations.verdicts import (
    CheckReport,
    Facts,
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


def examine_jobs(keys: Keys, stored: Stored, report: CheckReport) -> Operation[None]:
    """Looks at every id in every place of the queue."""
    return _JobsExamination(keys, stored, report).run()


class _JobsExamination:
    def __init__(self, keys: Keys, stored: Stored, report: CheckReport) -> None:
        self._keys = keys
        self._stored = stored
        self._report = report
        # Places that have an id, once for each delivery, when the processing lists were last read.
        self._held: dict[bytes, list[bytes]] = {}
        self._suspects: dict[bytes, Facts] = {}
        # What is wrong with what is stored for an id, wherever its job is.
        self._contents: dict[bytes, list[str]] = {}
        self._expected_kinds: dict[bytes, None] = {}

    def run(self) -> Operation[None]:
        keys, report = self._keys, self._report
        report.add((yield from self._read_lists()))
        report.note("held", sum(map(len, self._held.values())))
        yield from self._examine(list(self._held))
        yield from self._walk_hash("jobs", keys.jobs, on_record)
        for key, kind in self._stored.sets.items():
            yield from self._walk_set(key, kind)
        yield from self._walk_hash("states", keys.state, on_state)
        yield from self._walk_hash("losses", keys.losses, on_losses)
        yield from self._resolve()

    def _read_lists(self) -> Operation[list[str]]:
        """Reads all processing lists, in parts. Returns what in them is no delivery."""
        registered = yield from all_names(Walk("ZSCAN", self._keys.workers), 2)
        stem, cut = self._keys.processing(""), len(self._keys.prefix)
        rest = [(stem + worker, 0) for worker in dict.fromkeys([*self._stored.lists, *registered])]
        self._held = {}
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
                    wrong += on_delivery(place, delivery)
                    self._held.setdefault(delivery.partition(b":")[2], []).append(place)
                if len(deliveries) == MOST_DELIVERIES:
                    rest.append((key, first + MOST_DELIVERIES))
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
        place = key[len(self._keys.prefix) :]
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
        seen = yield from look_near(self._keys, names, kinds or self._expected_kinds)
        self._expect(seen)
        for facts in seen:
            if place is not None and place not in facts.places:
                facts = facts._replace(places=(*facts.places, place))
            if wrong and facts.id in wrong:
                self._contents.setdefault(facts.id, []).extend(wrong[facts.id])
            if self._is_suspect(facts):
                self._suspects[facts.id] = facts
        if len(self._suspects) >= MOST_SUSPECTS:
            yield from self._resolve()

    def _expect(self, seen: Iterable[Facts]) -> None:
        """Most jobs are of the kinds of those before them."""
        if len(self._expected_kinds) > MOST_KINDS_EXPECTED:
            self._expected_kinds = {}
        self._expected_kinds.update(dict.fromkeys(facts.kind for facts in seen if facts.kind))

    def _is_suspect(self, facts: Facts) -> bool:
        lists = self._held.get(facts.id, ())
        return facts.id in self._contents or bool(
            on_job(facts._replace(places=(*facts.places, *lists)))
        )

    def _resolve(self) -> Operation[None]:
        """Reports what is still wrong with the suspects, by all their places at one moment."""
        if not self._suspects:
            return
        # Most suspects are jobs that were claimed after the lists were read.
        yield from self._read_lists()
        suspects = [name for name, facts in self._suspects.items() if self._is_suspect(facts)]
        contents, self._contents, self._suspects = self._contents, {}, {}
        kinds, lists = self._stored.kinds, self._stored.lists
        for facts in (yield from look_everywhere(self._keys, suspects, kinds, lists)):
            # What has no record any more, or one past its time, counts as absent.
            if facts.kind is not None and not facts.past:
                self._report.add(contents.get(facts.id, ()))
            self._report.add(on_job(facts))
