"""repair: mends what an older bug, an eviction or a human hand broke.

It goes over the queue as check does. What it suspects, a script looks at again and mends at one
moment, so that a queue in use is not harmed.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from redisjobs.keys import FINISHED_STATUSES, SCHEMA_VERSION, Keys
from redisjobs.operations.check import check
from redisjobs.operations.check_keys import (
    Stored,
    find_kinds_and_workers,
    look_at_meta,
    survey,
)
from redisjobs.operations.operation import Argument, Call, Operation, command, reply_of
from redisjobs.operations.refusals import names, readable_kind
from redisjobs.operations.repair_jobs import repair_jobs
from redisjobs.operations.repair_report import RepairReport
from redisjobs.operations.verdicts import SETTINGS_OF_META, CheckReport, shown

__all__ = ["RepairReport", "repair"]

MOST_KEYS = 1000
MOST_KINDS = 100
FORGOTTEN_AFTER_MS = 60_000


def repair(keys: Keys, report: RepairReport) -> Operation[RepairReport]:
    """Mends what can be mended, in many short calls, and then checks. The queue may be in use
    meanwhile.

    Where keys, `meta` or the schema are such that nothing else can be read, it says so in
    `report.left` and leaves the rest alone. It may run twice.
    """
    report.examined.clear()
    stored = yield from survey(keys, report)
    if stored.is_readable and (yield from _is_of_known_schema(keys)):
        yield from _repair_keys(keys, stored.lasting, report)
        yield from _repair_meta(keys, 0, report)
        if not (yield from look_at_meta(keys)):
            yield from _repair_contents(keys, stored, report)
    report.left = CheckReport()
    yield from check(keys, report.left)
    return report


def _is_of_known_schema(keys: Keys) -> Operation[bool]:
    """A newer release may have places for jobs that this one does not know."""
    replies = yield (command("HGET", keys.meta, "schema"),)
    version = reply_of(replies) or b"0"
    return version.isdigit() and int(version) <= SCHEMA_VERSION


def _repair_contents(keys: Keys, stored: Stored, report: RepairReport) -> Operation[None]:
    yield from find_kinds_and_workers(keys, stored, report)
    seen = yield from repair_jobs(keys, stored, report)
    yield from _repair_meta(keys, seen.greatest_token, report)
    yield from _repair_kinds(keys, stored.kinds, seen.kinds, report)
    yield from _repair_workers(keys, stored.described, report)


def _repair_keys(keys: Keys, lasting: Sequence[bytes], report: RepairReport) -> Operation[None]:
    """Has keys expire. A timekeeper's word goes at once: the next claim gives it to somebody."""
    timekeeper = keys.of_kind("")[2]
    for first in range(0, len(lasting), MOST_KEYS):
        part = lasting[first : first + MOST_KEYS]
        expiries = [0 if key.startswith(timekeeper) else FORGOTTEN_AFTER_MS for key in part]
        replies = yield (Call("repair_keys", part, [report.mode, *expiries]),)
        for key, lasted in zip(part, reply_of(replies), strict=True):
            if lasted:
                name = shown(key[len(keys.prefix) :])
                report.tell("keys", f"key {name} never expired: it does now")


def _repair_meta(keys: Keys, greatest_token: int, report: RepairReport) -> Operation[None]:
    arguments: list[Argument] = [report.mode, greatest_token, *SETTINGS_OF_META]
    replies = yield (Call("repair_meta", [keys.meta, keys.workers], arguments),)
    token, *forgotten = reply_of(replies)
    for name in names(forgotten):
        report.tell(
            "settings",
            f"setting {name} was no number: forgotten, so the default holds until a worker"
            " registers its own",
        )
    if token != -1:
        report.tell(
            "tokens",
            f"the token counter was lost or set back: it goes on from {int(token):,},"
            " the server's time, which is beyond all earlier tokens",
        )


def _repair_kinds(
    keys: Keys, kinds: Iterable[bytes], of_records: Iterable[bytes], report: RepairReport
) -> Operation[None]:
    seen = {kind for kind in of_records if readable_kind(kind) is not None}
    every = list(dict.fromkeys([*kinds, *seen]))
    stems = (*keys.of_kind("")[:2], *keys.all_finished(""))
    for first in range(0, len(every), MOST_KINDS):
        part = every[first : first + MOST_KINDS]
        call_keys = [keys.kinds, keys.totals, keys.workers]
        call_keys += (stem + kind for kind in part for stem in stems)
        arguments: list[Argument] = [report.mode]
        for kind in part:
            arguments += (kind, int(kind in seen))
        replies = yield (Call("repair_kinds", call_keys, arguments),)
        for kind, done in zip(part, reply_of(replies), strict=True):
            _tell_of_kind(kind, done, report)


def _tell_of_kind(kind: bytes, done: Sequence[int], report: RepairReport) -> None:
    entered, silenced, *totals = done
    if entered:
        report.tell("kinds", f"kinds did not have {shown(kind)}: entered")
    if silenced:
        report.tell("bells", f"bell:{names([kind])[0]} stayed behind: removed")
    outcomes = [*(status.lower() for status in FINISHED_STATUSES), "retried"]
    for outcome, total in zip(outcomes, totals, strict=True):
        if total >= 0:
            report.tell(
                "totals",
                f"{outcome}:{names([kind])[0]} of totals was no count, or below what is kept:"
                f" set to {total:,}",
            )


def _repair_workers(
    keys: Keys, described: Sequence[bytes], report: RepairReport
) -> Operation[None]:
    for first in range(0, len(described), MOST_KEYS):
        part = described[first : first + MOST_KEYS]
        call_keys = [keys.workers, keys.worker_info]
        replies = yield (Call("repair_workers", call_keys, [report.mode, *part]),)
        for worker, forgotten in zip(part, reply_of(replies), strict=True):
            if forgotten:
                report.tell(
                    "workers",
                    f"worker {shown(worker)} was in worker-info, but is not registered: forgotten",
                )
