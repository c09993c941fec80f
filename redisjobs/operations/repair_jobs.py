"""The part of repair that puts jobs where they belong."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from redisjobs.errors import IncompatibleQueueError, InvalidJobError
from redisjobs.keys import Keys
from redisjobs.operations.check_keys import Stored
from redisjobs.operations.giving_back import NO_KIND
from redisjobs.operations.operation import Argument, Call, Operation, reply_of
from redisjobs.operations.passes import JobsPass, Suspect
from redisjobs.operations.places import MOST_IDS, MOST_LOOKUPS, MOST_TRIES
from redisjobs.operations.refusals import names, readable_kind
from redisjobs.operations.repair_report import RepairReport
from redisjobs.operations.verdicts import Facts, shown
from redisjobs.record import decode_record, encode_state_body


class Seen(NamedTuple):
    """What a repair of jobs saw on its way: the kinds that records name, the greatest token."""

    kinds: Iterable[bytes]
    greatest_token: int


def repair_jobs(keys: Keys, stored: Stored, report: RepairReport) -> Operation[Seen]:
    """Puts every job in the one place in which it belongs."""
    repairing = _JobsRepair(keys, stored, report)
    yield from repairing.run()
    yield from repairing.read_lists()
    return Seen(repairing.kinds_of_records, repairing.greatest_token)


class _JobsRepair(JobsPass):
    def __init__(self, keys: Keys, stored: Stored, report: RepairReport) -> None:
        super().__init__(keys, stored, report)
        self._done = report
        self.kinds_of_records: dict[bytes, None] = {}
        # What the script is told: kinds with keys, names that no kind can have, workers. What
        # nobody can read goes to the first kind.
        odd = [kind for kind in stored.kinds if readable_kind(kind) is None]
        usable = [kind for kind in stored.kinds if kind not in odd] or [NO_KIND.encode()]
        self._kinds = dict.fromkeys([*usable, *odd])
        self._odd = dict.fromkeys(odd)
        self._workers = dict.fromkeys(stored.lists)

    def heed(self, seen: Iterable[Facts]) -> None:
        seen = list(seen)
        super().heed(seen)
        self.kinds_of_records.update(dict.fromkeys(facts.kind for facts in seen if facts.kind))

    def heed_lists(self, wrong: Sequence[str]) -> Operation[None]:
        if wrong:
            yield from self._repair([])

    def is_misplaced(self, facts: Facts) -> bool:
        stem = b"processing:"
        abandoned = any(
            place.startswith(stem) and place[len(stem) :] not in self.registered
            for place in facts.places
        )
        return abandoned or super().is_misplaced(facts)

    def resolve(self, suspects: Sequence[Suspect]) -> Operation[None]:
        run_ats = yield from self._run_ats(
            [
                suspect.facts.id
                for suspect in suspects
                if suspect.facts.kind and not suspect.facts.letter and not suspect.facts.places
            ]
        )
        rest = [(suspect.facts.id, run_ats.get(suspect.facts.id, "")) for suspect in suspects]
        yield from self._repair(rest)

    def _run_ats(self, ids: Sequence[bytes]) -> Operation[dict[bytes, Argument]]:
        """When jobs that have never run are to do so. Scripts cannot read it in their records."""
        found: dict[bytes, Argument] = {}
        done = 0
        while done < len(ids):
            part = ids[done : done + MOST_IDS]
            call_keys = [self.keys.jobs, self.keys.state, self.keys.meta]
            replies = yield (Call("read_jobs", call_keys, part),)
            reply = reply_of(replies)
            for id, (raw, _, _) in zip(part, reply, strict=False):
                try:
                    record = decode_record(raw or b"")
                except (InvalidJobError, IncompatibleQueueError):
                    continue  # it waits from now on, and whoever claims it says what is wrong
                run_at_us = record.run_at_us
                found[id] = record.created_us + record.delay_us if run_at_us is None else run_at_us
            done += len(reply)
        return found

    def _repair(self, rest: Sequence[tuple[bytes, Argument]]) -> Operation[None]:
        """Mends these ids; at least one call, for what is no delivery."""
        tries = 0
        while tries < MOST_TRIES:
            size = max(1, min(MOST_IDS, MOST_LOOKUPS // (5 * len(self._kinds) + 1)))
            call = self._call(rest[:size])
            code, *values = reply_of((yield (call,)))
            tries += 1
            if code == b"kind":
                for name in values:
                    known = self._odd if readable_kind(name) is None else self._kinds
                    known[name] = None
            elif code == b"worker":
                self._workers.update(dict.fromkeys(values))
            else:
                self._tell(call, rest, values)
                rest, tries = rest[len(values) - 1 :], 0
                if not rest:
                    return

    def _call(self, part: Sequence[tuple[bytes, Argument]]) -> Call:
        keys = self.keys
        call_keys = [
            keys.jobs, keys.state, keys.losses, keys.meta, keys.workers, keys.kinds,
        ]  # fmt: skip
        stems = (*keys.of_kind("")[:2], *keys.all_finished(""))
        call_keys += (stem + kind for kind in self._kinds for stem in stems)
        call_keys += (keys.processing("") + worker for worker in self._workers)
        arguments: list[Argument] = [
            self._done.mode, len(self._kinds), len(self._odd), len(self._workers),
            encode_state_body(0, None, None, None),
            *self._kinds, *self._odd, *self._workers,
        ]  # fmt: skip
        for id, run_at_us in part:
            arguments += (id, run_at_us)
        return Call("repair_jobs", call_keys, arguments)

    def _tell(
        self, call: Call, rest: Sequence[tuple[bytes, Argument]], values: Sequence[Any]
    ) -> None:
        cut = len(self.keys.prefix)
        places = ["", *names(key[cut:] for key in call.keys)]
        junk, *done = values
        for list_at, entry in zip(junk[::2], junk[1::2], strict=True):
            sentence = f"{shown(entry)} in {places[list_at]} was no delivery: dropped"
            self._done.tell("deliveries", sentence)
        for (id, _), (verb, home, *taken) in zip(rest, done, strict=False):
            if verb != b"fits":
                where = ", ".join(places[at] for at in taken)
                self._done.tell("jobs", _sentence(id, verb, places[home], where))


def _sentence(id: bytes, verb: bytes, home: str, taken_out_of: str) -> str:
    job = f"job {shown(id)}"
    also = f", taken out of {taken_out_of}" if taken_out_of else ""
    if verb == b"gone":
        return f"{job} has no record: taken out of {taken_out_of}"
    if verb == b"placed":
        return f"{job} was not where it belongs: put in {home}{also}"
    if verb == b"ended":
        return f"{job} had lost its state: it ended as {home} says{also}"
    stays = f" stays in {home}:" if home else ":"
    return f"{job}{stays} taken out of {taken_out_of}"
