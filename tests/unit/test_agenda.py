"""When the pump does what."""

from __future__ import annotations

from typing import Any

import pytest

from redisjobs.operations.claim import TIMEKEEPER_MS, Claim, Claimed
from redisjobs.worker.agenda import LINGER_S, STUCK_S, Agenda
from redisjobs.worker.settings import WorkerSettings

LEASE_S = 15.0
POLL_S = 1.0
SETTINGS = WorkerSettings.of(10, "auto", LEASE_S, 30, 3, 5, POLL_S)
NOW = 1000.0
A_CLAIM = Claim("job-1", "email", b"", None, 0)


def _claimed(*claims: Claim, **fields: Any) -> Claimed:
    plain = Claimed(
        1, [one.id.encode() for one in claims], [one.record for one in claims],
        [(one.kind, 1) for one in claims], [], [], None, True, False, False, 0, None, [],
    )  # fmt: skip
    return plain._replace(**fields)


def _after(claimed: Claimed, now: float = NOW) -> Agenda:
    agenda = Agenda(SETTINGS, now)
    agenda.claimed(claimed, now)
    return agenda


def _sleep_s(agenda: Agenda, now: float = NOW, **state: bool) -> float:
    idle = {"has_room": True, "waiting": False, "unsettled": False}
    return agenda.sleep_s(now, **(idle | state))


class TestClaiming:
    def test_begins_at_once(self) -> None:
        assert Agenda(SETTINGS, NOW).claim_is_due(NOW)

    def test_after_nothing_was_found_waits_for_the_poll(self) -> None:
        agenda = _after(_claimed())
        assert [agenda.claim_is_due(NOW + s) for s in (0, 0.99, 1.0)] == [False, False, True]

    def test_after_all_was_taken_waits_for_the_poll(self) -> None:
        assert not _after(_claimed(A_CLAIM)).claim_is_due(NOW)

    def test_goes_on_where_jobs_were_left_over(self) -> None:
        assert _after(_claimed(A_CLAIM, left_over=["email"])).claim_is_due(NOW)

    def test_does_not_spin_where_nothing_of_what_is_left_over_can_be_had(self) -> None:
        """No room, or suspects that found no free slot: what ends makes room."""
        agenda = _after(_claimed(left_over=["email"]))
        before = agenda.claim_is_due(NOW)
        agenda.something_ended()
        assert (before, agenda.claim_is_due(NOW)) == (False, True)

    def test_goes_on_where_kinds_that_had_work_were_not_asked(self) -> None:
        agenda = _after(_claimed())
        agenda.claimed(_claimed(A_CLAIM), NOW, asked_all=False, have_more=True)
        assert agenda.claim_is_due(NOW)
        assert not agenda.all_are_due(NOW)

    def test_looks_at_all_once_where_those_that_were_asked_had_nothing(self) -> None:
        """Going on with the next few would never end where no job of any can be had."""
        agenda = _after(_claimed())
        agenda.claimed(_claimed(), NOW, asked_all=False, have_more=True)
        assert agenda.claim_is_due(NOW)
        assert agenda.all_are_due(NOW)
        agenda.claimed(_claimed(left_over=["email"]), NOW, asked_all=True)
        assert not agenda.claim_is_due(NOW)

    def test_an_end_is_no_reason_where_nothing_was_left_over(self) -> None:
        agenda = _after(_claimed(A_CLAIM))
        agenda.something_ended()
        assert not agenda.claim_is_due(NOW)

    def test_an_end_is_a_reason_where_the_worker_empties_itself(self) -> None:
        agenda = _after(_claimed(emptying=("email", "poison")))
        before = agenda.claim_is_due(NOW)
        agenda.something_ended()
        assert (before, agenda.claim_is_due(NOW)) == (False, True)

    def test_a_token_is_a_reason_until_it_is_used(self) -> None:
        agenda = _after(_claimed())
        agenda.token_came()
        before = agenda.claim_is_due(NOW)
        agenda.claimed(_claimed(), NOW)
        assert (before, agenda.token_in_hand, agenda.claim_is_due(NOW)) == (True, False, False)

    def test_the_next_due_time_is_met_to_the_microsecond(self) -> None:
        agenda = _after(_claimed(next_due_us=250_000))
        assert not agenda.claim_is_due(NOW + 0.2499)
        assert agenda.claim_is_due(NOW + 0.25)

    @pytest.mark.parametrize("next_due_us", [10 * 10**6, 10**12])
    def test_a_due_time_is_said_again_before_the_word_expires(self, next_due_us: int) -> None:
        slow = WorkerSettings.of(10, "auto", 60, 30, 3, 5, 30)
        agenda = Agenda(slow, NOW)
        agenda.claimed(_claimed(next_due_us=next_due_us), NOW)
        assert agenda.claim_is_due(NOW + TIMEKEEPER_MS / 2000)

    def test_whoever_minds_a_due_time_knows_when_it_has_come(self) -> None:
        agenda = _after(_claimed(next_due_us=250_000))
        assert [agenda.due_time_has_come(NOW + s) for s in (0.2499, 0.25)] == [False, True]

    def test_a_due_time_counts_from_when_redis_looked(self) -> None:
        agenda = Agenda(SETTINGS, NOW)
        agenda.claimed(_claimed(next_due_us=250_000), NOW, looked_at=NOW - 0.1)
        assert [agenda.due_time_has_come(NOW + s) for s in (0.1499, 0.15)] == [False, True]

    @pytest.mark.parametrize("next_due_us", [None, 10**12])
    def test_a_slow_redis_is_asked_no_more_often(self, next_due_us: int | None) -> None:
        agenda = Agenda(SETTINGS, NOW)
        agenda.claimed(_claimed(next_due_us=next_due_us), NOW, looked_at=NOW - 5)
        assert [agenda.claim_is_due(NOW + s) for s in (0.99, 1.0)] == [False, True]

    def test_a_poll_is_no_due_time(self) -> None:
        agenda = _after(_claimed())
        assert not agenda.due_time_has_come(NOW + SETTINGS.poll_interval_s)

    def test_what_another_minds_is_left_to_the_poll(self) -> None:
        slow = WorkerSettings.of(10, "auto", 60, 30, 3, 5, 30)
        agenda = Agenda(slow, NOW)
        agenda.claimed(_claimed(next_due_us=None), NOW)
        assert [agenda.claim_is_due(NOW + s) for s in (29, 30)] == [False, True]

    def test_what_the_claim_told_is_kept_for_the_next_one(self) -> None:
        claimed = _claimed(keeps_done=False, stopped=True, passed=7, emptying=("email", "x"))
        agenda = _after(claimed)
        assert agenda.keeps_done is False
        assert agenda.stopped is True
        assert agenda.passed == 7
        assert agenda.emptying == ("email", "x")


class TestAlong:
    """Whether a claim goes along with a settle, though nothing says that there is something."""

    def test_not_after_one_that_found_nothing(self) -> None:
        agenda = Agenda(SETTINGS, NOW)
        assert agenda.along_pays
        agenda.claimed(_claimed(), NOW, along=True)
        assert not agenda.along_pays

    def test_nor_after_a_bell_that_rang_for_one_job(self) -> None:
        agenda = Agenda(SETTINGS, NOW)
        agenda.claimed(_claimed(), NOW, along=True)
        agenda.claimed(_claimed(A_CLAIM), NOW)
        assert not agenda.along_pays

    @pytest.mark.parametrize(
        ("claimed", "told"),
        [
            (_claimed(A_CLAIM, A_CLAIM), {}),
            (_claimed(A_CLAIM), {"along": True}),
            (_claimed(left_over=["email"]), {}),
            (_claimed(A_CLAIM), {"have_more": True}),
            (_claimed(A_CLAIM), {"was_full": True}),
            (_claimed(passed=1), {"along": True}),
        ],
    )
    def test_again_where_jobs_come_fast_or_there_was_no_room(
        self, claimed: Claimed, told: dict[str, bool]
    ) -> None:
        """A worker that was full minds no due time: the next claim must. And a suspect that was
        passed may be had when another has ended.
        """
        agenda = Agenda(SETTINGS, NOW)
        agenda.claimed(_claimed(), NOW, along=True)
        agenda.claimed(claimed, NOW, **told)
        assert agenda.along_pays


class TestPolls:
    def test_an_idle_worker_only_polls(self) -> None:
        agenda = _after(_claimed())
        assert agenda.only_polls
        agenda.polled(NOW + 5)
        assert not agenda.claim_is_due(NOW + 5)
        assert agenda.claim_is_due(NOW + 5 + SETTINGS.poll_interval_s)

    def test_who_becomes_full_gives_up_the_times_of_all_kinds(self) -> None:
        """The claim that made it full asked for one kind, whose word it gave up; nobody else's."""
        agenda = _after(_claimed(next_due_us=1_500_000))
        agenda.claimed(_claimed(A_CLAIM), NOW, asked_all=False, was_full=True)
        assert agenda.token_in_hand
        assert agenda.all_are_due(NOW)
        agenda.claimed(_claimed(), NOW, asked_all=True, was_full=True)
        assert not agenda.claim_is_due(NOW)

    def test_a_suspect_that_was_passed_is_remembered_beyond_a_claim_for_other_kinds(self) -> None:
        agenda = _after(_claimed(passed=1))
        agenda.claimed(_claimed(), NOW, asked_all=False, along=True)
        assert agenda.along_pays
        assert agenda.all_are_due(NOW)
        agenda.claimed(_claimed(), NOW, asked_all=True, along=True)
        assert not agenda.along_pays

    def test_a_worker_that_was_full_looks_at_the_other_kinds_soon(self) -> None:
        """A chain of jobs, each of which enqueues the next, leaves nothing over."""
        agenda = _after(_claimed(A_CLAIM))
        assert not agenda.working
        agenda.claimed(_claimed(A_CLAIM), NOW, asked_all=False, was_full=True)
        assert agenda.working

    def test_a_look_that_finds_nothing_is_as_good_as_a_claim_that_does(self) -> None:
        """Or a burst that last claimed for a few kinds would never end."""
        agenda = _after(_claimed(A_CLAIM))
        agenda.claimed(_claimed(), NOW, asked_all=False, along=True)
        assert not agenda.found_nothing
        agenda.polled(NOW + 1)
        assert agenda.found_nothing

    def test_who_minds_a_time_still_does_after_a_claim_for_other_kinds(self) -> None:
        agenda = _after(_claimed(next_due_us=1_500_000))
        agenda.claimed(_claimed(A_CLAIM), NOW, asked_all=False)
        assert not agenda.only_polls
        agenda.claimed(_claimed(), NOW, asked_all=True)
        assert agenda.only_polls

    @pytest.mark.parametrize(
        "fields",
        [
            {"next_due_us": 5}, {"stopped": True}, {"passed": 1}, {"emptying": ("email", "x")},
        ],
    )  # fmt: skip
    def test_whoever_has_something_to_do_claims(self, fields: dict[str, Any]) -> None:
        assert not _after(_claimed(**fields)).only_polls

    def test_so_does_who_has_a_token_or_knows_nothing_yet(self) -> None:
        agenda = _after(_claimed())
        agenda.token_came()
        assert not agenda.only_polls
        agenda = _after(_claimed())
        agenda.look_at_all()
        assert not agenda.only_polls


@pytest.mark.parametrize(
    ("fields", "nothing"),
    [
        ({}, True),
        ({"next_due_us": 5}, True),
        ({"ids": [b"x"]}, False),
        ({"left_over": ["email"]}, False),
        ({"passed": 1}, False),
        ({"emptying": ("email", "x")}, False),
    ],
)
def test_a_burst_ends_only_where_nothing_is_due(fields: dict[str, Any], nothing: bool) -> None:
    assert _after(_claimed(**fields)).found_nothing is nothing


def test_a_new_incarnation_knows_nothing() -> None:
    agenda = _after(_claimed(emptying=("email", "x"), stopped=True))
    agenda.claimed(_claimed(), NOW)
    agenda.begin_anew(NOW + 1)
    assert agenda.claim_is_due(NOW + 1)
    assert not agenda.found_nothing
    assert agenda.emptying is None
    assert not agenda.reconcile_is_due(NOW + LEASE_S / 3)
    assert agenda.reconcile_is_due(NOW + 1 + LEASE_S / 3)


def test_the_list_is_compared_every_third_of_the_lease() -> None:
    agenda = Agenda(SETTINGS, NOW)
    due = [agenda.reconcile_is_due(NOW + s) for s in (0, 4.99, 5.0)]
    agenda.reconciled(NOW + 5)
    assert [*due, agenda.reconcile_is_due(NOW + 9.99)] == [False, False, True, False]


class TestSleep:
    def test_ends_at_the_next_claim_where_there_is_room(self) -> None:
        assert _sleep_s(_after(_claimed())) == pytest.approx(POLL_S)
        assert _sleep_s(_after(_claimed(next_due_us=3000))) == pytest.approx(0.003)

    def test_without_room_ends_at_the_next_comparison(self) -> None:
        assert _sleep_s(_after(_claimed()), has_room=False) == pytest.approx(LEASE_S / 3)

    def test_with_jobs_in_the_line_sees_in_time_that_they_are_stuck(self) -> None:
        agenda = _after(_claimed(A_CLAIM))
        assert _sleep_s(agenda, has_room=False, waiting=True) <= STUCK_S

    def test_with_outcomes_in_hand_is_short(self) -> None:
        agenda = _after(_claimed(A_CLAIM))
        assert _sleep_s(agenda, has_room=False, unsettled=True) == pytest.approx(LINGER_S)

    def test_is_never_negative(self) -> None:
        assert _sleep_s(_after(_claimed()), NOW + 100) == 0


class TestAClaimForSomeKinds:
    def test_proves_nothing_of_the_others(self) -> None:
        agenda = Agenda(SETTINGS, NOW)
        agenda.claimed(_claimed(), NOW, asked_all=False)
        assert not agenda.found_nothing
        assert agenda.all_are_due(NOW)

    def test_does_not_put_off_the_next_one_for_all(self) -> None:
        agenda = _after(_claimed(next_due_us=500_000))
        agenda.claimed(_claimed(A_CLAIM), NOW + 0.1, asked_all=False)
        assert [agenda.all_are_due(NOW + s) for s in (0.49, 0.5)] == [False, True]

    def test_that_minds_an_earlier_time_is_heeded(self) -> None:
        agenda = _after(_claimed())
        agenda.claimed(_claimed(next_due_us=200_000), NOW, asked_all=False)
        assert agenda.claim_is_due(NOW + 0.2)

    def test_a_kind_that_is_registered_makes_all_due(self) -> None:
        agenda = _after(_claimed())
        agenda.look_at_all()
        assert agenda.claim_is_due(NOW)
        assert agenda.all_are_due(NOW)
