"""places.lua: what is stored of ids and where they stand, at one moment."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from redisjobs.operations.places import look_everywhere, look_near
from redisjobs.operations.verdicts import Facts
from redisjobs.states import Status

if TYPE_CHECKING:
    from tests.scripts.bench import Bench


def near(bench: Bench, *ids: str, kinds: tuple[bytes, ...] = (b"email",)) -> list[Facts]:
    return bench.run(look_near(bench.keys, [id.encode() for id in ids], kinds))


def everywhere(
    bench: Bench,
    *ids: str,
    kinds: tuple[bytes, ...] = (b"email",),
    workers: tuple[bytes, ...] = (b"w",),
) -> list[Facts]:
    return bench.run(look_everywhere(bench.keys, [id.encode() for id in ids], kinds, workers))


def pending(id: str, *places: bytes, kind: bytes = b"email") -> Facts:
    return Facts(id.encode(), kind, b"", False, False, places)


class TestWhereAJobIs:
    def test_a_waiting_job_is_in_its_due_set(self, bench: Bench) -> None:
        bench.enqueue(ids=["one"])
        assert near(bench, "one") == [pending("one", b"due:email")]
        assert everywhere(bench, "one") == [pending("one", b"due:email")]
        assert bench.codes == ["ok"]

    def test_a_held_job_is_in_a_list_that_only_a_look_everywhere_sees(self, bench: Bench) -> None:
        bench.enqueue(ids=["one"])
        bench.register()
        bench.take()
        assert near(bench, "one") == [pending("one")]
        assert everywhere(bench, "one") == [pending("one", b"processing:w")]

    @pytest.mark.parametrize(
        ("letter", "status"),
        [(b"D", b"done"), (b"F", b"failed"), (b"X", b"panic"), (b"C", b"cancelled")],
    )
    def test_an_ended_job_is_in_a_finished_set_and_has_a_letter(
        self, bench: Bench, letter: bytes, status: bytes
    ) -> None:
        bench.enqueue(ids=["one"])
        bench.end("one", letter=letter)
        facts = Facts(b"one", b"email", letter, False, False, (b"finished:%b:email" % status,))
        assert near(bench, "one") == everywhere(bench, "one") == [facts]

    def test_a_job_in_many_places_is_seen_in_each(self, bench: Bench) -> None:
        bench.enqueue(ids=["one"])
        bench.register()
        bench.client.zadd(bench.keys.finished(Status.PANIC, "email"), {"one": 1})
        bench.client.rpush(bench.keys.processing("w"), "5:one", "6:one")
        [facts] = everywhere(bench, "one")
        assert sorted(facts.places) == [
            b"due:email", b"finished:panic:email", b"processing:w", b"processing:w",
        ]  # fmt: skip

    def test_only_a_look_everywhere_sees_the_sets_of_other_kinds(self, bench: Bench) -> None:
        bench.enqueue(ids=["one"])
        bench.client.zadd(bench.keys.due("sms"), {"one": 1})
        kinds = (b"email", b"sms")
        assert near(bench, "one", kinds=kinds) == [pending("one", b"due:email")]
        assert everywhere(bench, "one", kinds=kinds) == [pending("one", b"due:email", b"due:sms")]

    def test_a_delivery_is_told_from_one_whose_id_ends_alike(self, bench: Bench) -> None:
        bench.enqueue(ids=["1", "1:1"])
        bench.register()
        assert bench.take() == ["1:1", "1:1:1"]
        places = [facts.places for facts in everywhere(bench, "1", "1:1")]
        assert places == [(b"processing:w",), (b"processing:w",)]
        bench.client.lrem(bench.keys.processing("w"), 1, "1:1")
        places = [facts.places for facts in everywhere(bench, "1", "1:1")]
        assert places == [(), (b"processing:w",)]


class TestWhatIsStored:
    def test_an_id_of_which_nothing_is_stored_has_no_kind_and_no_place(self, bench: Bench) -> None:
        nothing = [Facts(b"none", None, b"", False, False, ())]
        assert near(bench, "none") == everywhere(bench, "none") == nothing

    def test_what_remains_without_a_record_is_seen(self, bench: Bench) -> None:
        bench.client.hset(bench.keys.state, "one", b"D1:5:")
        bench.set_losses(2, "one")
        bench.client.zadd(bench.keys.due("email"), {"one": 1})
        assert everywhere(bench, "one") == [Facts(b"one", None, b"D", True, True, (b"due:email",))]

    @pytest.mark.parametrize("state", [b"", b"junk", b"d1:5:", b"D1:5"])
    def test_a_state_that_cannot_be_read_has_a_question_mark(
        self, bench: Bench, state: bytes
    ) -> None:
        bench.enqueue(ids=["one"])
        bench.client.hset(bench.keys.state, "one", state)
        assert near(bench, "one")[0].letter == b"?"

    @pytest.mark.parametrize("record", [b"", b"1", b"1email", b"1\0\0body"])
    def test_a_record_that_names_no_kind_has_a_blank_one(self, bench: Bench, record: bytes) -> None:
        bench.client.hset(bench.keys.jobs, "one", record)
        assert near(bench, "one") == everywhere(bench, "one") == [pending("one", kind=b"")]

    def test_a_record_past_its_time_is_past(self, bench: Bench) -> None:
        bench.enqueue(ids=["one"])
        bench.end("one")
        assert not near(bench, "one")[0].past
        bench.clock.advance(timedelta(hours=1))
        assert near(bench, "one")[0].past

    def test_facts_come_in_the_order_of_the_ids(self, bench: Bench) -> None:
        ids = [*bench.enqueue("sms", 3), *bench.enqueue("email", 3), "none"]
        bench.client.hset(bench.keys.losses, ids[4], 1)
        ids = [ids[place] for place in (6, 3, 0, 4, 1, 5, 2)]
        found = near(bench, *ids)
        assert [facts.id.decode() for facts in found] == ids
        assert [facts.kind for facts in found] == [
            None, b"email", b"sms", b"email", b"sms", b"email", b"sms",
        ]  # fmt: skip
        assert [facts.lost for facts in found] == [False] * 3 + [True] + [False] * 3
        assert [facts.places for facts in found] == [
            () if facts.kind is None else (b"due:" + facts.kind,) for facts in found
        ]


class TestWhatItAsksFor:
    def test_a_kind_that_was_not_expected_is_asked_for(self, bench: Bench) -> None:
        bench.enqueue("sms", ids=["one"])
        seen = [pending("one", b"due:sms", kind=b"sms")]
        assert near(bench, "one") == seen
        assert bench.codes == ["kind", "ok"]
        assert everywhere(bench, "one") == seen
        assert bench.codes == ["kind", "ok"]

    def test_a_worker_that_was_not_expected_is_asked_for_by_a_look_everywhere(
        self, bench: Bench
    ) -> None:
        bench.enqueue(ids=["one"])
        bench.register("new")
        bench.register("w")
        bench.take("new")
        assert everywhere(bench, "one") == [pending("one", b"processing:new")]
        assert bench.codes == ["worker", "ok"]

    def test_looking_writes_nothing(self, bench: Bench) -> None:
        bench.enqueue(number=3)
        bench.register()
        bench.take(limit=1)
        before = bench.snapshot()
        near(bench, "email-00001", "none", kinds=())
        everywhere(bench, "email-00001", "none", kinds=(), workers=())
        assert bench.snapshot() == before


class TestHowMuchItDoesAtOnce:
    def test_many_ids_are_looked_up_in_parts(self, bench: Bench) -> None:
        ids = bench.enqueue(number=1201)
        assert [facts.id.decode() for facts in near(bench, *ids)] == ids
        assert bench.codes == ["ok"] * 5

    def test_the_more_kinds_the_fewer_ids_are_looked_up_everywhere_at_once(
        self, real_bench: Bench
    ) -> None:
        bench = real_bench
        ids = bench.enqueue(number=100)
        kinds = tuple(b"kind%d" % number for number in range(100))
        found = everywhere(bench, *ids, kinds=(b"email", *kinds))
        assert [facts.id.decode() for facts in found] == ids
        assert max(len(call.keys) * len(call.arguments) for call in bench.calls) < 100_000
        assert len(bench.calls) > 5

    def test_large_records_and_states_are_read_in_parts(self, real_bench: Bench) -> None:
        bench = real_bench
        ids = bench.enqueue(number=12, payload=bytes(2**20))
        assert [facts.id.decode() for facts in near(bench, *ids)] == ids
        read = [len(answer) - 1 for answer in bench.answers]
        assert max(read) <= 6
        assert sum(read) == 12
        bench.client.hset(bench.keys.state, mapping=dict.fromkeys(ids, b"P1:5:" + bytes(2**20)))
        bench.client.hset(bench.keys.jobs, mapping=dict.fromkeys(ids, bench.jobs()[0].record))
        assert [facts.letter for facts in near(bench, *ids)] == [b"P"] * 12
        assert len(bench.answers) > 1

    def test_it_gives_up_where_workers_come_faster_than_it_looks(self, bench: Bench) -> None:
        bench.enqueue(ids=["one"])
        operation = look_everywhere(bench.keys, [b"one"], [b"email"], [])
        found = None
        next(operation)
        try:
            for _ in range(100):
                operation.send([[b"worker", b"w"]])
        except StopIteration as end:
            found = end.value
        assert found == []
