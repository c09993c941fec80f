"""check: a sound queue is left in peace, and each kind of damage is reported."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from redisjobs.operations import inspect
from redisjobs.operations.verdicts import MOST_SENTENCES
from redisjobs.record import encode_state_body
from redisjobs.states import Status
from tests.damage import CONTENTS, ENDED, KEYS, PLACES, Damage, fill
from tests.scripts.bench import Bench

if TYPE_CHECKING:
    from collections.abc import Iterator

    import redis

    from redisjobs.operations.inspect import CheckReport


@pytest.fixture
def bench(every_client: redis.Redis, queue_name: str) -> Iterator[Bench]:
    made = Bench(every_client, queue_name)
    yield made
    made.close()


@pytest.fixture
def full(bench: Bench) -> Bench:
    return fill(bench)


def check(bench: Bench) -> CheckReport:
    return bench.run(inspect.check(bench.keys))


class TestASoundQueue:
    def test_an_empty_one_has_nothing_wrong(self, bench: Bench) -> None:
        assert check(bench) == []

    def test_jobs_in_all_places_are_where_they_should_be(self, full: Bench) -> None:
        assert full.held("w") == [one for one in full.held("w") if "held" in one] != []
        assert full.losses() == {"lost": 1}
        assert {
            letter: full.state(id) is not None for letter, id in ENDED.items()
        } == dict.fromkeys(ENDED, True)
        condemned = full.state("condemned")
        assert condemned is not None
        assert condemned.letter == b"L"
        assert check(full) == []

    def test_it_says_what_it_examined(self, full: Bench) -> None:
        examined = check(full).examined
        keys = examined.pop("keys")
        assert keys == len(full.snapshot())
        assert examined == {
            "kinds": 2, "workers": 2, "held": 2, "jobs": 11, "waiting": 4, "finished": 5,
            "states": 6, "losses": 1,
        }  # fmt: skip

    def test_jobs_that_have_ended_and_left_nothing_are_no_damage(self, full: Bench) -> None:
        full.register("w2", retention_limit=0)
        full.settle(*full.held("w"), worker="w")
        full.end("lost")
        assert check(full) == []

    def test_records_past_their_time_are_no_damage(self, full: Bench) -> None:
        full.clock.advance(timedelta(days=8))
        for worker in ("w", "idle"):
            full.beat(worker)
        assert check(full) == []

    def test_a_queue_of_many_jobs_is_sound(self, bench: Bench) -> None:
        for kind in ("email", "sms"):
            bench.enqueue(kind, 1500)
            bench.end(*bench.waiting(kind)[:600], kind=kind)
        bench.register("w")
        bench.take("w", ["email", "sms"], limit=700)
        report = check(bench)
        assert report == []
        assert report.examined["jobs"] == 3000
        assert report.examined["waiting"] == 1100
        assert report.examined["held"] == 700
        assert report.examined["finished"] == report.examined["states"] == 1200

    def test_any_name_of_a_queue_and_any_id_will_do(self, bench: Bench) -> None:
        name = f"[a-z]?*\\^{bench.keys.name}"
        bench.client.set(f"redisjobs:{{az1x^{bench.keys.name}}}:strange", 1, ex=60)
        odd = Bench(bench.client, name)
        odd.enqueue(ids=["1:2", "line\nbreak", "ключ", "%s*["])
        odd.register()
        odd.take(limit=2)
        report = check(odd)
        names = [odd.keys.prefix + key.encode() for key in odd.snapshot()]
        bench.client.delete(*names)
        assert report == []
        assert report.examined["jobs"] == 4
        assert report.examined["keys"] == len(names)

    def test_a_check_writes_nothing(self, full: Bench) -> None:
        before = full.snapshot()
        check(full)
        assert full.snapshot() == before


@pytest.mark.parametrize("damage", [*PLACES, *CONTENTS, *KEYS], ids=lambda damage: damage.name)
def test_damage_is_reported(full: Bench, damage: Damage) -> None:
    damage.do(full)
    report = check(full)
    assert len(report) == len(damage.says), report
    for part in damage.says:
        assert any(part in sentence for sentence in report), report


class TestWhatCountsAsAbsent:
    def test_contents_of_a_record_past_its_time_do_not_matter(self, full: Bench) -> None:
        full.client.hset(full.keys.jobs, "done", b"1email\0\0junk")
        assert len(check(full)) == 1
        full.clock.advance(timedelta(hours=1))
        for worker in ("w", "idle"):
            full.beat(worker)
        assert check(full) == []

    def test_a_record_past_its_time_that_no_sweep_would_find_does(self, full: Bench) -> None:
        full.client.zrem(full.keys.finished(Status.DONE, "email"), "done")
        full.clock.advance(timedelta(hours=1))
        for worker in ("w", "idle"):
            full.beat(worker)
        [sentence] = check(full)
        assert sentence.startswith("I1: job 'done' of kind 'email' ended as DONE")

    def test_unknown_keys_that_expire_do_not_matter(self, full: Bench) -> None:
        full.client.set(full.keys.prefix + b"strange", 1, ex=60)
        assert check(full) == []


class TestLeases:
    def test_a_lease_may_have_lapsed_for_a_while(self, full: Bench) -> None:
        full.clock.advance(timedelta(seconds=15 + 3 * 15 - 5))
        assert check(full) == []

    def test_a_lease_that_lapsed_long_ago_is_reported(self, full: Bench) -> None:
        full.beat("idle", 3600_000_000)
        full.clock.advance(timedelta(seconds=15 + 3 * 15 + 1))
        [sentence] = check(full)
        assert sentence.startswith("leases: the lease of worker 'w' lapsed 46 s ago")
        assert sentence.endswith("it holds 2 deliveries")

    def test_long_is_by_the_workers_own_lease(self, full: Bench) -> None:
        full.beat("w", info=b'{"lease_ms":60000}')
        full.beat("idle", info=b'{"lease_ms":1000}')
        full.clock.advance(timedelta(seconds=15 + 60))
        [sentence] = check(full)
        assert "'idle'" in sentence

    def test_long_is_by_the_longest_lease_of_those_who_would_reap_it(self, full: Bench) -> None:
        full.beat("w", info=b'{"lease_ms":1000}')
        full.beat("idle", 3600_000_000, info=b'{"lease_ms":60000}')
        full.clock.advance(timedelta(seconds=15 + 3 * 60 - 5))
        assert check(full) == []
        full.clock.advance(timedelta(seconds=6))
        [sentence] = check(full)
        assert "over 3 leases of 60 s" in sentence

    def test_a_worker_that_is_being_reaped_is_left_to_the_living(self, full: Bench) -> None:
        full.client.zadd(full.keys.workers, {"w": 0})
        assert check(full) == []
        full.clock.advance(timedelta(seconds=20))
        [sentence] = check(full)
        assert sentence.startswith("leases: worker 'w' was being reaped, but no worker is left")


class TestHowMuchItReadsAtOnce:
    def test_large_records_and_results_come_a_few_at_a_time(self, bench: Bench) -> None:
        body = encode_state_body(0, 0, None, bytes(2**20))
        for _ in range(4):
            ids = bench.enqueue(number=8, payload=bytes(2**20))
            bench.register("w")
            while deliveries := bench.take("w", limit=2):
                bench.settle(*deliveries[:1], worker="w", body=body)
        assert check(bench) == []
        assert max(map(size_of, bench.answers)) < 16 * 2**20
        assert sum(map(size_of, bench.answers)) > 40 * 2**20
        assert bench.state(ids[0]) is not None


def size_of(reply: Any) -> int:
    if isinstance(reply, list):
        return sum(map(size_of, reply))
    return len(reply) if isinstance(reply, bytes) else 0


class TestALotOfDamage:
    def test_it_ends_after_many_sentences_and_says_so(self, bench: Bench) -> None:
        bench.enqueue(number=4 * MOST_SENTENCES)
        bench.client.delete(bench.keys.due("email"))
        bench.silence()
        report = check(bench)
        assert len(report) == MOST_SENTENCES + 1
        assert all(sentence.startswith("I1: job 'email-") for sentence in report[:-1])
        assert report[-1] == "more may be wrong: the check ended after 1,000 sentences"
        assert report.examined["jobs"] < 3 * MOST_SENTENCES

    def test_each_damaged_job_is_reported_once(self, bench: Bench) -> None:
        ids = bench.enqueue(number=900)
        bench.client.delete(bench.keys.jobs)
        report = check(bench)
        assert sorted(report) == [
            f"I1: job '{id}' has no record, but is still in due:email" for id in ids
        ]
