"""A queue with jobs in all places, hands that damage it, and its repair."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, NamedTuple

from redisjobs.operations.repair import RepairReport, repair
from redisjobs.states import Status

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.scripts.bench import Bench

ENDED = {b"D": "done", b"F": "failed", b"X": "panicked", b"C": "cancelled"}


def fill(bench: Bench) -> Bench:
    """Jobs in every place in which they can be, by every way that leads there."""
    for letter, id in ENDED.items():
        bench.enqueue(ids=[id])
        bench.end(id, letter=letter)
    bench.enqueue(ids=["lost", "condemned"])
    bench.register("dead")
    bench.take("dead")
    bench.set_losses(3, "condemned")
    bench.reap("dead")
    bench.register("w")
    bench.enqueue(ids=["retried", "released", "held", "held too"])
    of_id = {one.partition(":")[2]: one for one in bench.take("w")}
    bench.settle(of_id["retried"], worker="w", letter=b"P", delay_us=1)
    bench.release(of_id["lost"], of_id["released"], worker="w")
    bench.enqueue("sms", ids=["scheduled"], delay=timedelta(hours=1))
    bench.register("idle")
    return bench


class Damage(NamedTuple):
    """What is done to a full queue, and the sentences that check says of it, in part."""

    name: str
    do: Callable[[Bench], object]
    says: tuple[str, ...]


def move_to_other_kind(bench: Bench) -> None:
    bench.client.zrem(bench.keys.due("email"), "lost")
    bench.client.zadd(bench.keys.due("sms"), {"lost": 1})


PLACES = [
    Damage(
        "a waiting job left its due set",
        lambda b: b.client.zrem(b.keys.due("email"), "lost"),
        ("I1: job 'lost' of kind 'email' has not ended, but is in no due set and in no proc",),
    ),
    Damage(
        "a held job left its list",
        lambda b: b.client.lpop(b.keys.processing("w")),
        ("I1: job 'held' of kind 'email' has not ended, but is in no due set and in no proc",),
    ),
    Damage(
        "a held job waits too",
        lambda b: b.client.zadd(b.keys.due("email"), {"held": 1}),
        ("job 'held' of kind 'email' has not ended and belongs in one place, but is in 2: due:em",),
    ),
    Damage(
        "a job is held by two workers",
        lambda b: b.client.rpush(b.keys.processing("idle"), "1:held"),
        ("but is in 2: processing:",),
    ),
    Damage(
        "a job is held twice by one worker",
        lambda b: b.client.rpush(b.keys.processing("w"), "1:held"),
        ("but is in 2: processing:w, processing:w",),
    ),
    Damage(
        "a job waits as two kinds",
        lambda b: b.client.zadd(b.keys.due("sms"), {"lost": 1}),
        ("but is in 2: due:email, due:sms",),
    ),
    Damage(
        "a job waits as another kind",
        move_to_other_kind,
        ("kinds: job 'lost' of kind 'email' waits in due:sms, the due set of another kind",),
    ),
    Damage(
        "a waiting job has no record",
        lambda b: b.client.hdel(b.keys.jobs, "scheduled"),
        ("I1: job 'scheduled' has no record, but is still in due:sms",),
    ),
    Damage(
        "a held job has no record",
        lambda b: b.client.hdel(b.keys.jobs, "held"),
        ("I1: job 'held' has no record, but is still in processing:w",),
    ),
    Damage(
        "an ended job has no record",
        lambda b: b.client.hdel(b.keys.jobs, "done"),
        ("I1: job 'done' has no record, but is still in finished:done:email, state",),
    ),
    Damage(
        "a waiting job is in a finished set",
        lambda b: b.client.zadd(b.keys.finished(Status.FAILED, "email"), {"lost": 1}),
        (
            "belongs in one place, but is in 2: due:email, finished:failed:email",
            "counts: 2 in finished:failed:email, but by totals only 1 jobs of this kind ever",
        ),
    ),
    Damage(
        "a state has no record",
        lambda b: b.client.hset(b.keys.state, "ghost", b"P1:5:"),
        ("I1: job 'ghost' has no record, but is still in state",),
    ),
    Damage(
        "an ended job left its finished set",
        lambda b: b.client.zrem(b.keys.finished(Status.CANCELLED, "email"), "cancelled"),
        ("ended as CANCELLED and belongs in finished:cancelled:email alone, but is in no set",),
    ),
    Damage(
        "an ended job is in two finished sets",
        lambda b: b.client.zadd(b.keys.finished(Status.DONE, "email"), {"failed": 1}),
        ("alone, but is in finished:done:email, finished:failed:email", "counts: 2 in"),
    ),
    Damage(
        "an ended job is in the finished set of another kind",
        lambda b: b.client.zadd(b.keys.finished(Status.DONE, "sms"), {"done": 1}),
        ("alone, but is in finished:done:email, finished:done:sms", "counts: 1 in"),
    ),
    Damage(
        "an ended job waits",
        lambda b: b.client.zadd(b.keys.due("email"), {"done": 1}),
        ("ended as DONE and belongs in finished:done:email alone, but is in due:email, fin",),
    ),
    Damage(
        "an ended job is held",
        lambda b: b.client.rpush(b.keys.processing("w"), "1:done"),
        ("alone, but is in finished:done:email, processing:w",),
    ),
    Damage(
        "a job that never ended is in a finished set",
        lambda b: b.client.hdel(b.keys.state, "failed"),
        ("I1: job 'failed' of kind 'email' has not ended, but is in finished:failed:email",),
    ),
    Damage(
        "a list has something that is no delivery",
        lambda b: b.client.rpush(b.keys.processing("w"), "held"),
        ("I1: 'held' in processing:w is no delivery",),
    ),
]

CONTENTS = [
    Damage(
        "a record is junk",
        lambda b: b.client.hset(b.keys.jobs, "held", b"1email\0\0junk"),
        ("records: the record of job 'held' is unusable: the job's record cannot be read",),
    ),
    Damage(
        "a record names no kind",
        lambda b: b.client.hset(
            b.keys.jobs, "lost", b.client.hget(b.keys.jobs, "lost").replace(b"email", b"")
        ),
        ("records: the record of job 'lost' is unusable: it names no kind",),
    ),
    Damage(
        "a record names what no kind can be",
        lambda b: b.client.hset(
            b.keys.jobs, "lost", b.client.hget(b.keys.jobs, "lost").replace(b"email", b" Email ")
        ),
        ("the record of job 'lost' is unusable: it names ' Email ', which no kind can be",),
    ),
    Damage(
        "a record is of a newer release",
        lambda b: b.client.hset(b.keys.jobs, "lost", b"9" + b.client.hget(b.keys.jobs, "lost")[1:]),
        ("records: the record of job 'lost' is unusable: record format b'9' is not known",),
    ),
    Damage(
        "a record of an ended job is junk",
        lambda b: b.client.hset(b.keys.jobs, "failed", b"1email\0\0junk"),
        ("records: the record of job 'failed' is unusable",),
    ),
    Damage(
        "a state is junk",
        lambda b: b.client.hset(b.keys.state, "retried", b"junk"),
        ("records: the state of job 'retried' is unusable",),
    ),
    Damage(
        "a state has a letter of a newer release",
        lambda b: b.client.hset(b.keys.state, "retried", b"Z1:5:"),
        ("records: the state of job 'retried' is unusable",),
    ),
    Damage(
        "a state's body is junk",
        lambda b: b.client.hset(b.keys.state, "done", b"D1:99999999999999999:junk"),
        ("records: the state of job 'done' is unusable",),
    ),
    Damage(
        "losses are no number",
        lambda b: b.client.hset(b.keys.losses, "lost", "many"),
        ("losses: those of job 'lost' are 'many', which is no count",),
    ),
    Damage(
        "losses are counted of a job that has ended",
        lambda b: b.set_losses(1, "done"),
        ("losses: job 'done' of kind 'email' ended as DONE, but its losses are still counted",),
    ),
    Damage(
        "losses are counted of a job that is gone",
        lambda b: b.set_losses(1, "ghost"),
        ("losses: job 'ghost' has no record, but is still in losses",),
    ),
]

KEYS = [
    Damage(
        "a bell stays behind",
        lambda b: b.client.rpush(b.keys.bell("fax"), "1"),
        ("I8: bell:fax stays behind: no job of its kind waits",),
    ),
    Damage(
        "a kind is not listed",
        lambda b: b.client.srem(b.keys.kinds, "email"),
        ("I8: due:email, finished:done:email, finished:failed:email, finished:panic:email, fin",),
    ),
    Damage(
        "a worker that holds jobs is not registered",
        lambda b: b.client.zrem(b.keys.workers, "w"),
        (
            "I8: processing:w stays behind with 2 deliveries that nobody reaps: worker 'w' is not",
            "I8: worker 'w' stays behind in worker-info",
        ),
    ),
    Damage(
        "a worker has info but is not registered",
        lambda b: b.client.hset(b.keys.worker_info, "ghost", b"{}"),
        ("I8: worker 'ghost' stays behind in worker-info: it is not registered",),
    ),
    Damage(
        "a worker is registered but has no info",
        lambda b: b.client.hdel(b.keys.worker_info, "idle"),
        ("workers: worker 'idle' is registered, but worker-info does not have it",),
    ),
    Damage(
        "a request does not expire",
        lambda b: b.client.persist(b.keys.request("producer")),
        ("I8: key 'request:producer' stays behind: it should expire, but never does",),
    ),
    Damage(
        "a timekeeper does not expire",
        lambda b: b.client.set(b.keys.of_kind("sms")[2], "5 w"),
        ("I8: key 'timekeeper:sms' stays behind: it should expire, but never does",),
    ),
    Damage(
        "a last chance does not expire",
        lambda b: b.client.hset(b.keys.last_chance, "lost", "5 w"),
        ("I8: key 'last-chance' stays behind: it should expire, but never does",),
    ),
    Damage(
        "what somebody waits for does not expire",
        lambda b: b.client.zadd(b.keys.waited, {"lost": 5}),
        ("I8: key 'waited' stays behind: it should expire, but never does",),
    ),
    Damage(
        "a key is none of a queue's",
        lambda b: b.client.set(b.keys.prefix + b"finished:strange:email", 1),
        ("I8: key 'finished:strange:email' is none of a queue's, and never expires",),
    ),
    Damage(
        "a key is of a wrong type",
        lambda b: (b.client.delete(b.keys.due("sms")), b.client.set(b.keys.due("sms"), 1)),
        ("keys: 'due:sms' is a string, but should be a zset",),
    ),
    Damage(
        "more records are kept than ever ended",
        lambda b: b.client.hset(b.keys.totals, "done:email", 0),
        ("counts: 1 in finished:done:email, but by totals only 0 jobs of this kind ever ended so",),
    ),
    Damage(
        "a total is no number",
        lambda b: b.client.hset(b.keys.totals, "failed:email", "x"),
        ("counts: failed:email of totals is 'x', which is no count",),
    ),
    Damage(
        "a total of retries is no number",
        lambda b: b.client.hset(b.keys.totals, "retried:email", "x"),
        ("counts: retried:email of totals is 'x', which is no count",),
    ),
    Damage(
        "a setting is no number",
        lambda b: b.client.hset(b.keys.meta, "retention_us", "1h"),
        ("meta: retention_us is '1h', which is no whole number",),
    ),
    Damage(
        "the token counter was set back",
        lambda b: b.client.hset(b.keys.meta, "token", 1),
        ("tokens: the counter is at 1, but token ",),
    ),
    Damage(
        "the schema is newer",
        lambda b: b.client.hset(b.keys.meta, "schema", 99),
        ("schema: the data has schema 99",),
    ),
]


def run_repair(bench: Bench, *, dry_run: bool = False) -> RepairReport:
    """One repair, from its first look to the check at its end."""
    return bench.run(repair(bench.keys, RepairReport(dry_run=dry_run)))


def mend(bench: Bench, *, left: int = 0) -> str:
    """The sentence of a repair that does one thing, and leaves a queue that a check finds sound."""
    report = run_repair(bench)
    assert len(report.left) == left, report.left
    [sentence] = report
    assert run_repair(bench) == []
    return sentence


def evict(bench: Bench, *keys: bytes) -> None:
    """What a server does that has no room left: the keys, which are there, are gone."""
    assert bench.client.delete(*keys) == len(keys)
