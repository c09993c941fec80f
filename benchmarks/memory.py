"""How many bytes of the server's memory a waiting job takes, and what each is for.

    python -m benchmarks.memory [--runs 2] [--jobs 100000] [--json FILE] [--plot FILE]

On every kind of server that is here. The parts are found by storing less: the same hash with empty
values, then with the bare payload, then with the whole record; then the due set.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from typing import Any

from benchmarks.contender import Ours
from benchmarks.floor import MARK, PAYLOAD
from benchmarks.plots import Plot
from benchmarks.report import Benchmark, Metric, Options, Run, main
from benchmarks.servers import KINDS, Served, serving
from redisjobs import Job
from redisjobs.record import encode_job

_CHUNK = 1000


def _grown(kind: str, jobs: int, store: Callable[[Served], Any]) -> float:
    """Bytes per job that `store` adds to a server of its own."""
    with serving(kind) as served:
        before = served.memory_bytes()
        store(served)
        return (served.memory_bytes() - before) / jobs


def _chunks(ids: Sequence[str]) -> Iterator[Sequence[str]]:
    return (ids[first : first + _CHUNK] for first in range(0, len(ids), _CHUNK))


def parts(kind: str, jobs: int) -> dict[str, float]:
    """One kind of server: the whole, and its parts, in bytes per job."""
    made = [Job("noop", PAYLOAD) for _ in range(jobs)]
    ids = [job.id for job in made]
    record = encode_job(made[0], MARK, len(PAYLOAD)).record

    def whole(served: Served) -> None:
        with closing(Ours(served).queue) as queue:
            queue.enqueue_many(made)

    def hash_of(value: bytes) -> Callable[[Served], None]:
        def store(served: Served) -> None:
            for part in _chunks(ids):
                served.client.hset("parts", mapping=dict.fromkeys(part, value))

        return store

    def due_set(served: Served) -> None:
        for place, part in enumerate(_chunks(ids)):
            scores = {id: 1.7e15 + place * _CHUNK + at for at, id in enumerate(part)}
            served.client.zadd("parts", scores)

    # Each includes what the allocator rounds up.
    total = _grown(kind, jobs, whole)
    hash_alone, payloads, records = (
        _grown(kind, jobs, hash_of(value)) for value in (b"", PAYLOAD, record)
    )
    due = _grown(kind, jobs, due_set)
    return {
        "bytes_per_job": total,
        "hash_bytes": hash_alone,
        "payload_bytes": payloads - hash_alone,
        "envelope_bytes": records - payloads,
        "due_bytes": due,
        "rest_bytes": total - records - due,
        "id_length": len(ids[0]),
        "record_length": len(record),
    }


def run(options: Options) -> Run:
    """All servers once."""
    rows: dict[str, dict[str, float]] = {}
    for kind, executable in KINDS.items():
        if executable() and options.wants(kind):
            with serving(kind) as served:
                name = f"redisjobs, {served.name}"
            rows[name] = parts(kind, options.jobs)
    return rows


METRICS = [
    Metric("bytes_per_job", "bytes a job"),
    Metric("hash_bytes", "id and entry in the hash", 1),
    Metric("payload_bytes", "payload", 1),
    Metric("envelope_bytes", "record around it", 1),
    Metric("due_bytes", "id and entry in the due set", 1),
    Metric("rest_bytes", "rest", 1),
    Metric("id_length", "length of the id"),
    Metric("record_length", "of the record"),
]

BENCHMARK = Benchmark(
    "memory",
    "Server memory of one waiting job with a payload of 105 bytes",
    METRICS,
    run,
    jobs=100_000,
    most_runs=2,
    plot=Plot("Memory of a waiting job", {"bytes_per_job": "bytes"}),
)


if __name__ == "__main__":
    main(BENCHMARK)
