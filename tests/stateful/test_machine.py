"""The state machine: hypothesis plays the actions of a story, and shortens one that breaks."""

from __future__ import annotations

from typing import TYPE_CHECKING

import fakeredis
import pytest
import redis
from hypothesis import Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule, run_state_machine_as_test

from tests.stateful.chooser import DrawingChooser
from tests.stateful.drain import drain
from tests.stateful.effort import scaled
from tests.stateful.model import BrokenError
from tests.stateful.story import ACTIONS, Story
from tests.stateful.ticking import TickingLibrary
from tests.stateful.world import SOUND, sized_for_stories

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

# Where a story breaks, hypothesis looks for a shorter one for five minutes.
SHORTENING_S = 600


def _action(name: str) -> Callable[[Machine, st.DataObject], None]:
    def step(machine: Machine, data: st.DataObject) -> None:
        machine.act(name, data)

    step.__name__ = name
    played: Callable[[Machine, st.DataObject], None] = rule(data=st.data())(step)
    return played


class Machine(RuleBasedStateMachine):
    """One story. Each call is checked; at the end the queue is drained, and must be empty."""

    def __init__(self, client: redis.Redis, name: str, library: TickingLibrary) -> None:
        super().__init__()
        self._client, self._name, self._library = client, name, library
        self._story: Story | None = None
        self._is_broken = False

    @initialize(data=st.data())
    def begin(self, data: st.DataObject) -> None:
        choose = DrawingChooser(data)
        self._story = Story(self._client, self._name, choose, self._library, SOUND)

    def act(self, name: str, data: st.DataObject) -> None:
        assert self._story is not None
        try:
            getattr(self._story, name)(DrawingChooser(data))
        except BrokenError:
            self._is_broken = True
            raise

    enqueue = _action("enqueue")
    enqueue_more = _action("enqueue")
    claim = _action("claim")
    claim_more = _action("claim")
    work = _action("work")
    settle = _action("settle")
    settle_stale = _action("settle_stale")
    release = _action("release")
    beat = _action("beat")
    reap = _action("reap")
    stall = _action("stall")
    mend = _action("mend")
    start_worker = _action("start_worker")
    crash = _action("crash")
    leave = _action("leave")
    operate = _action("operate")
    sweep = _action("sweep")
    let_time_pass = _action("let_time_pass")
    advance = _action("advance")
    advance_more = _action("advance")
    arrive = _action("arrive")
    forget_scripts = _action("forget_scripts")

    def teardown(self) -> None:
        if self._story is None:
            return
        try:
            if not self._is_broken:
                drain(self._story)
        finally:
            self._story.close()


def play(
    client: redis.Redis,
    name: str,
    examples: int,
    steps: int,
    library: TickingLibrary | None = None,
    phases: Collection[Phase] = tuple(Phase),
) -> None:
    """Has hypothesis play so many stories of so many actions.

    Raises:
        BrokenError: of the shortest story that breaks.
    """
    library = library or TickingLibrary()
    chosen = settings(max_examples=scaled(examples), stateful_step_count=steps, phases=phases)

    def machine() -> Machine:
        return Machine(client, name, library)

    with sized_for_stories():
        # Any factory of machines will do, though its type says otherwise.
        run_state_machine_as_test(machine, settings=chosen)  # type: ignore[arg-type]


def test_every_action_has_its_rule() -> None:
    assert {name for name in ACTIONS if hasattr(Machine, name)} == set(ACTIONS)


@pytest.mark.timeout(SHORTENING_S)
def test_the_machine_finds_no_violation_on_fakeredis(queue_name: str) -> None:
    play(fakeredis.FakeRedis(server=fakeredis.FakeServer()), queue_name, examples=25, steps=50)


@pytest.mark.timeout(SHORTENING_S)
def test_the_machine_finds_no_violation_on_a_real_server(
    every_client: redis.Redis, queue_name: str
) -> None:
    play(every_client, queue_name, examples=50, steps=70)
