"""Bugs that a queue could have, planted one at a time: the schedules must find each.

A model that finds nothing proves nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest
from hypothesis import Phase

from tests.planted_edits import STORES_WHAT_IS_NEW, TAKES_BY_ID
from tests.stateful.model import BrokenError
from tests.stateful.schedules import run, run_short
from tests.stateful.test_machine import play
from tests.stateful.ticking import Edit, TickingLibrary
from tests.stateful.world import SOUND, Habits

if TYPE_CHECKING:
    import redis

# Most are found within a few hundred steps of any seed; a few take up to 20,000 of some.
SEEDS = range(1, 7)
WITHIN_STEPS = 10_000
WITHIN_STORIES = 500


@dataclass(frozen=True)
class Bug:
    """What is changed in a script or in the workers, and how it shows.

    `edits` replace parts of the script's text, each its first by its second.
    """

    name: str
    shows_as: str
    script: str = ""
    edits: tuple[Edit, ...] = ()
    habits: Habits = SOUND


CALLERS = (
    Bug(
        "workers forget what a lost claim brought",
        "nobody ends",
        habits=Habits(reconciles=False),
    ),
    Bug(
        "workers forget what a lost settle said",
        "has run to its end, but is given back",
        habits=Habits(repeats_settles=False),
    ),
)

ENQUEUE = (
    Bug(
        "enqueue is not atomic",
        "I5",
        "enqueue",
        (("if #refused > 0 then", STORES_WHAT_IS_NEW),),
    ),
    Bug(
        "enqueue does not look at the number of a request that was carried out",
        "a call that was carried out",
        "enqueue",
        (("if tonumber(last) >= tonumber(number)", "if refused ~= '' and last == number"),),
    ),
    Bug(
        "enqueue does not store a refusal with its number",
        "requests: stored",
        "enqueue",
        (("redis.call('SET', REQUEST, number .. '\\n'", "redis.call('EXISTS', REQUEST) --"),),
    ),
)

CLAIM = (
    Bug(
        "claim ignores RunAt",
        "I4",
        "claim",
        (
            (
                "if first_score[kind] and first_score[kind] <= time then",
                "if first_score[kind] then",
            ),
            ("due[kind], '-inf', time, 'LIMIT'", "due[kind], '-inf', '+inf', 'LIMIT'"),
        ),
    ),
    Bug(
        "claim lets the token stand still",
        "I2: token",
        "claim",
        (("META, 'token', 1", "META, 'token', 0"),),
    ),
    Bug(
        "claim serves a worker that is being reaped",
        "claim: .*unregistered",
        "claim",
        (("if not lease or tonumber(lease) == 0 then", "if not lease then"),),
    ),
    Bug(
        "claim lets one kind starve the others",
        "its share was",
        "claim",
        (("round == 1 and share or limit", "limit"), ("round == 1 and slots or free", "free")),
    ),
    Bug(
        "claim prefetches a suspect",
        "found no free slot",
        "claim",
        (("elseif #ids >= free then", "elseif false then"),),
    ),
    Bug(
        "claim lets a last chance run beside other jobs",
        "does not run alone",
        "claim",
        (("if free > #ids and (empty or", "if free > #ids and (true or"),),
    ),
    Bug(
        "claim gives a last chance to two workers",
        "another's last chance|two workers empty themselves",
        "claim",
        (("if owner ~= worker and deadline > time and", "if false and"),),
    ),
    Bug(
        "claim takes a job whose older run still occupies the process",
        "still runs in the process",
        "claim",
        (("if ghosts and ghosts[id] then", "if false then"),),
    ),
    Bug(
        "claim rings nobody on",
        "the bell of .* holds 0 tokens",
        "claim",
        (("= kind\n      ring(bell[kind], 1)", "= kind"),),
    ),
    Bug(
        "claim minds no time that is to come",
        "nobody minds",
        "claim",
        (
            (
                "redis.call('SET', timekeeper[kind], score_text(score)",
                "redis.call('EXISTS', worker) --",
            ),
        ),
    ),
)

SETTLE = (
    Bug(
        "settle has no fence",
        "I2: the outcomes that were refused",
        "settle",
        (("if wanted[delivery] == 'held' then", "if wanted[delivery] then"),),
    ),
    Bug(
        "settle knows a delivery by its id instead of its token",
        "I2: the outcomes that were refused",
        "settle",
        (("take_out(PROCESSING, wanted, outcome_count)", TAKES_BY_ID),),
    ),
    Bug(
        "settle takes what is at the head of the list for what it was told",
        "I[12]",
        "settle",
        (("if head[at] == delivery then", "if head[at] then"),),
    ),
    Bug(
        "settle drops those that it passed at the head of the list",
        "held",
        "settle",
        (("redis.call('LPUSH', list, head[place])", ""),),
    ),
    Bug(
        "settle keeps the losses of what ended",
        "losses",
        "settle",
        (("in_batches('HDEL', LOSSES, ids)", ""),),
    ),
    Bug(
        "settle drops finished records too soon",
        "I7",
        "settle",
        (("ZCARD', finished) - keep[2]", "ZCARD', finished) - keep[2] + 1"),),
    ),
    Bug(
        "settle drops no finished records",
        "came without dropping others",
        "settle",
        (("shed(jobs, state, finished, keep, time, 2 * #ids)", ""),),
    ),
)

REAP = (
    Bug(
        "reap forgets the jobs",
        "I1|I3",
        "reap",
        (("to_head(KEYS[7 + 3 * kind], KEYS[8 + 3 * kind], back, time)", ""),),
    ),
    Bug(
        "reap counts no loss",
        "losses|condemned",
        "reap",
        (("'HINCRBY', LOSSES, id, 1)", "'HINCRBY', LOSSES, id, 0)"),),
    ),
    Bug(
        "reap condemns one loss early",
        "condemned",
        "reap",
        (("LOSSES, id, 1) > max_losses", "LOSSES, id, 1) >= max_losses"),),
    ),
    Bug(
        "reap does not look whether the worker has beaten since",
        "has beaten since",
        "reap",
        (("and lease ~= judged then", "and false then"),),
    ),
    Bug(
        "reap lets the worker beat on",
        "beat: .*unregistered",
        "beat",
        (("if lease == 0 then", "if not redis.call('ZSCORE', WORKERS, worker) then"),),
    ),
    Bug(
        "reap lets a registration that arrives late revive the worker",
        "leases",
        "register",
        (("if lease and tonumber(lease) == 0 then", "if false then"),),
    ),
    Bug(
        "reap leaves the lease as it was",
        "leases",
        "reap",
        (("redis.call('ZADD', WORKERS, 0, worker)", ""),),
    ),
    Bug(
        "reap gives a chunk back in reverse",
        "waits before",
        "reap",
        (("for index = #members, 1, -1 do", "for index = 1, #members do"),),
    ),
)

OTHERS = (
    Bug(
        "release puts jobs behind what waits",
        "given back|waits before",
        "release",
        (("score_text(base - (#ids - place + 1) * 0.25)", "score_text(time + place * 0.25)"),),
    ),
    Bug(
        "register takes losses back again when it is repeated",
        "losses",
        "register",
        (("if not lease then", "if true then"),),
    ),
    Bug(
        "delete removes a job that runs",
        "I1|delete of a job that runs",
        "delete",
        (
            ("if not FINISHED[letter] or", "if FINISHED[letter] and"),
            ("redis.call('ZREM', KEYS[FINISHED[letter]], id)", ""),
        ),
    ),
    Bug(
        "cancel leaves a bell behind",
        "I8: the bell",
        "cancel",
        (("silence_if_empty(KEYS[7], KEYS[8])", ""),),
    ),
    Bug(
        "retry takes a job whose record is past its time",
        "retry of a job in another state",
        "retry",
        (("or is_past(retention(META), letter, ended, time) then", "then"),),
    ),
    Bug(
        "get shows a record whose time is over",
        "get of a job that is not there",
        "get",
        (("if letter and ended and is_past(", "if false and is_past("),),
    ),
    Bug(
        "sweep drops more than it may",
        "how many the sweep dropped",
        "sweep",
        (("tonumber(ARGV[1]) - dropped", "tonumber(ARGV[1])"),),
    ),
)


@pytest.mark.parametrize(
    "bug",
    [*CALLERS, *ENQUEUE, *CLAIM, *SETTLE, *REAP, *OTHERS],
    ids=lambda bug: bug.name.replace(" ", "-"),
)
def test_schedules_find(bug: Bug, client: redis.Redis, queue_name: str) -> None:
    library = TickingLibrary({bug.script: bug.edits})

    def run_all() -> None:
        for seed in SEEDS:
            run(client, seed, WITHIN_STEPS, library, bug.habits, name=f"{queue_name}-{seed}")

    with pytest.raises(BrokenError, match=bug.shows_as):
        run_all()


@pytest.mark.parametrize(
    "bug",
    [CALLERS[0], ENQUEUE[0], CLAIM[0], SETTLE[0], REAP[0], REAP[1]],
    ids=lambda bug: bug.name.replace(" ", "-"),
)
def test_short_schedules_find(bug: Bug, client: redis.Redis, queue_name: str) -> None:
    library = TickingLibrary({bug.script: bug.edits})
    with pytest.raises(BrokenError, match=bug.shows_as) as caught:
        run_short(client, 1, 0, WITHIN_STORIES, library, bug.habits, name=queue_name)
    assert "python -m tests.stateful.schedules --seed 1 --short " in str(caught.value)


def test_the_machine_finds_a_planted_bug_too(client: redis.Redis, queue_name: str) -> None:
    bug = CLAIM[0]
    library = TickingLibrary({bug.script: bug.edits})
    with pytest.raises(BrokenError, match=bug.shows_as):
        play(client, queue_name, 100, 60, library, phases=[Phase.generate])
