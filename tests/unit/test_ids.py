from __future__ import annotations

import json
import re
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from redisjobs.ids import IdSource, new_id

WRAPS_SOON = b"\xff" * 6 + b"\xfe"


def zeros(size: int) -> bytes:
    return bytes(size)


def test_an_id_is_the_time_and_a_counter_in_20_digits_to_the_base_of_32() -> None:
    source = IdSource(lambda: 0x18D00000000, zeros)
    ids = [source.next() for _ in range(1025)]
    assert [int(id, 32) for id in ids] == [
        (0x18D00000000 << 56) + count for count in range(1, 1026)
    ]
    assert ids[0] == "33800000000000000001"
    assert re.fullmatch("[0-9a-v]{20}", new_id())


def test_ids_sort_by_the_millisecond_they_were_made_in() -> None:
    before_ms = time.time_ns() // 1_000_000
    made_ms = int(IdSource().next(), 32) >> 56  # its own: others may have moved the clock
    assert before_ms <= made_ms <= time.time_ns() // 1_000_000


def test_two_sources_start_at_different_bits() -> None:
    def frozen() -> int:
        return 1

    assert IdSource(frozen).next() != IdSource(frozen).next()


@given(st.lists(st.integers(0, 2**41), min_size=2, max_size=50), st.binary(min_size=7, max_size=7))
def test_each_id_is_greater_than_the_one_before_whatever_the_clock_does(
    times_ms: list[int], seed: bytes
) -> None:
    clock = iter(times_ms)
    source = IdSource(lambda: next(clock), lambda size: seed)
    ids = [source.next() for _ in times_ms]
    assert ids == sorted(set(ids))
    assert {len(made) for made in ids} == {20}


def test_ids_go_on_rising_where_the_counter_wraps() -> None:
    clock = iter([8, 8, 8, 16])
    source = IdSource(lambda: next(clock), lambda size: WRAPS_SOON)
    ids = [source.next() for _ in range(4)]
    assert ids == sorted(set(ids))
    assert int(ids[-1], 32) >> 56 == 16  # the carry went no further than it had to


@pytest.fixture
def eager_switching() -> Iterator[None]:
    """Threads take turns as often as they can, so that a race shows."""
    interval_s = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(interval_s)


@pytest.mark.usefixtures("eager_switching")
def test_threads_never_get_the_same_id() -> None:
    made: list[list[str]] = [[] for _ in range(4)]
    start = threading.Barrier(4)

    def make(ids: list[str]) -> None:
        start.wait(10)
        ids += [new_id() for _ in range(5000)]

    threads = [threading.Thread(target=make, args=(ids,)) for ids in made]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len({one for ids in made for one in ids}) == 20_000
    assert all(ids == sorted(ids) for ids in made)


def test_a_reseeded_source_does_not_go_on_where_its_twin_does() -> None:
    parent, child = IdSource(lambda: 7, zeros), IdSource(lambda: 7, zeros)
    before = [parent.next(), child.next()][1]
    child.reseed()
    childs = [child.next() for _ in range(100)]
    parents = [parent.next() for _ in range(100)]
    assert not {*childs} & {*parents}
    assert before < childs[0]


def test_a_reseeded_source_is_not_held_up_by_a_thread_that_is_gone() -> None:
    source = IdSource(lambda: 7, zeros)
    source._lock.acquire()
    source.reseed()
    assert source.next()


FORK = """
import json, os

from redisjobs.ids import _source, new_id

_source._now_ms = lambda: 7  # a clock that stands still is the worst case
new_id()
read_end, write_end = os.pipe()
child = os.fork()
ids = [new_id() for _ in range(1000)]
if not child:
    with os.fdopen(write_end, "w") as pipe:
        json.dump(ids, pipe)
    os._exit(0)
os.close(write_end)
with os.fdopen(read_end) as pipe:
    childs = json.load(pipe)
os.waitpid(child, 0)
print(json.dumps([ids, childs]))
"""


def test_a_forked_child_makes_ids_of_its_own() -> None:
    # In an interpreter of its own: a fork beside the threads of a test run is not safe.
    run = subprocess.run(
        [sys.executable, "-c", FORK],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        check=True,
    )
    parents, childs = json.loads(run.stdout)
    assert len({*parents, *childs}) == 2000
    assert childs == sorted(childs)
