"""The faults. Each is a function that does it, and returns when it is over: to which process."""

from __future__ import annotations

import os
import random
import signal
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import redis

from redisjobs import Job, RedisJobsError
from redisjobs.errors import EmbeddedServerError
from tests.chaos.fleet import ALONE, PRODUCER, SUPERVISED, Fleet, Handle, Running
from tests.chaos.jobs import POISON
from tests.chaos.journal import Fault, Journal

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from redisjobs import RedisQueue
    from redisjobs.embedded import EmbeddedServer
    from tests.chaos.relay import Relay


@dataclass
class Scene:
    """What faults are done to.

    Attributes:
        stopped: the storm is over, and long faults are to end early.
        hurry: how many times as many faults there are to be.
    """

    fleet: Fleet
    server: EmbeddedServer
    relay: Relay
    queue: RedisQueue
    control: Any
    journal: Journal
    stopped: threading.Event
    chance: random.Random
    hurry: float = 1.0

    def pause(self, least_s: float, most_s: float) -> None:
        """Lets some time pass."""
        self.stopped.wait(self.chance.uniform(least_s, most_s))


class NotNowError(Exception):
    """There is nothing to do it to."""


def _some(scene: Scene, *kinds: str) -> Running:
    found = scene.fleet.of(*kinds)
    if not found:
        raise NotNowError
    return scene.chance.choice(found)


def _some_worker(scene: Scene, *kinds: str) -> tuple[Running, int]:
    one = _some(scene, *kinds)
    workers = one.workers()
    if not workers:
        raise NotNowError
    return one, scene.chance.choice(workers)


def _kill(one: Running, pid: int) -> int:
    with _held(pid, one) as handle:
        if pid == one.pid:
            one.was_ended = True
        if not handle.send(signal.SIGKILL):
            raise NotNowError
    return pid


def _held(pid: int, one: Running) -> Handle:
    try:
        return Handle(pid, one.pid)
    except ProcessLookupError:
        raise NotNowError from None


# ---------------------------------------------------------------- processes that end


def kill_supervised(scene: Scene) -> int:
    return _kill(*_some_worker(scene, SUPERVISED))


def kill_alone(scene: Scene) -> int:
    return _kill(*_some_worker(scene, ALONE))


def kill_supervisor(scene: Scene) -> int:
    one = _some(scene, SUPERVISED)
    _note_children(scene, one, "kill supervisor")
    return _kill(one, one.pid)


def _note_children(scene: Scene, one: Running, kind: str) -> None:
    """They will end, too: what they give back is no surprise."""
    now = time.monotonic()
    for pid in one.workers():
        scene.journal.fault(Fault(kind, now, now, pid))


def kill_producer(scene: Scene) -> int:
    one = _some(scene, PRODUCER)
    return _kill(one, one.pid)


def deploy(scene: Scene) -> int:
    """SIGTERM under load, while the successor starts."""
    one = _some(scene, SUPERVISED, ALONE, PRODUCER)
    _note_children(scene, one, "deploy")
    scene.fleet.replace(one)
    return one.pid


def poison(scene: Scene) -> int:
    id = f"poison-{scene.chance.getrandbits(48):x}"
    scene.journal.asks(id, [(id, POISON, 0)])
    try:
        scene.queue.enqueue(Job(POISON, id=id))
    except RedisJobsError:
        scene.journal.answered(id, "failed")
    else:
        scene.journal.answered(id, "ok")
    return 0


# ---------------------------------------------------------------- processes that stand still


def stop_worker(scene: Scene) -> int:
    """For longer than its lease and than the others take to see that."""
    one, pid = _some_worker(scene, SUPERVISED, ALONE)
    lease_s = one.part.setting.lease
    with _held(pid, one) as handle:
        if not handle.send(signal.SIGSTOP):
            raise NotNowError
        try:
            scene.pause(1.2 * lease_s, 2.5 * lease_s)
        finally:
            handle.send(signal.SIGCONT)
    return pid


# ---------------------------------------------------------------- Redis


def flush_scripts(scene: Scene) -> int:
    for _ in range(scene.chance.randint(1, 20)):
        scene.control.script_flush()
        scene.pause(0.0, 0.05)
    return 0


def kill_clients(scene: Scene) -> int:
    scene.control.client_kill_filter(_type="normal", skipme=True)
    return 0


def pause_server(scene: Scene) -> int:
    """All commands wait."""
    scene.control.client_pause(scene.chance.randint(100, 1500))
    scene.pause(1.0, 1.5)
    return 0


def freeze_server(scene: Scene) -> int:
    """For longer than the shorter leases."""
    pid = scene.server.pid  # a child that nobody else waits for: the pid is its own
    os.kill(pid, signal.SIGSTOP)
    try:
        scene.pause(1.0, 4.0)
    finally:
        os.kill(pid, signal.SIGCONT)
    return 0


def crash_server(scene: Scene) -> int:
    """With appendfsync always, so nothing that was acknowledged may be lost."""
    scene.server.crash()
    scene.pause(0.0, 1.5)
    for tries_left in reversed(range(3)):
        try:
            scene.server.restart()
            break
        except EmbeddedServerError:
            if not tries_left:
                raise
    return 0


# ---------------------------------------------------------------- the network


def cut(scene: Scene) -> int:
    """All connections end, and none can be made for a while."""
    scene.relay.down()
    scene.pause(0.2, 4.0)
    scene.relay.up()
    return 0


def end_connections(scene: Scene) -> int:
    scene.relay.end_all()
    return 0


def add_latency(scene: Scene) -> int:
    scene.relay.delay_s = scene.chance.uniform(0.01, 0.25)
    scene.pause(1.0, 4.0)
    scene.relay.delay_s = 0.0
    return 0


def half_open(scene: Scene) -> int:
    """Nothing gets through and nobody says so; then the connections end."""
    scene.relay.hold()
    scene.pause(0.5, 5.0)
    scene.relay.let_go(ending=True)
    return 0


def late_requests(scene: Scene) -> int:
    """What was sent arrives after its senders have given up and asked again."""
    scene.relay.hold()
    scene.pause(1.0, 5.0)
    scene.relay.let_go(ending=False)
    return 0


def lose_replies(scene: Scene) -> int:
    """Requests are carried out, and their connections end before the reply."""
    scene.relay.lost_replies = scene.chance.uniform(0.02, 0.2)
    scene.pause(1.0, 4.0)
    scene.relay.lost_replies = 0.0
    return 0


# Each track has a thread and a chance of its own, so faults of several tracks come together. By
# fault: how often it comes beside the others of its track.
TRACKS: Mapping[str, Mapping[Callable[[Scene], int], int]] = {
    "deaths": {
        kill_supervised: 10,
        kill_alone: 6,
        deploy: 6,
        kill_supervisor: 2,
        kill_producer: 2,
        poison: 1,
    },
    "stops": {stop_worker: 1},
    "redis": {
        flush_scripts: 6,
        kill_clients: 6,
        pause_server: 4,
        freeze_server: 3,
        crash_server: 3,
    },
    "network": {
        cut: 4,
        end_connections: 4,
        add_latency: 4,
        half_open: 4,
        late_requests: 4,
        lose_replies: 6,
    },
}
NAMES = {fault.__name__.replace("_", " "): fault for track in TRACKS.values() for fault in track}
GAPS_S = {"deaths": (1.0, 4.0), "stops": (2.0, 6.0), "redis": (2.0, 6.0), "network": (1.0, 5.0)}


def tracks_of(names: Sequence[str]) -> dict[str, Mapping[Callable[[Scene], int], int]]:
    """The tracks with the faults of these names only; all, if none is named."""
    chosen = {NAMES[name] for name in names} or set(NAMES.values())
    tracks = {
        name: {fault: often for fault, often in track.items() if fault in chosen}
        for name, track in TRACKS.items()
    }
    return {name: track for name, track in tracks.items() if track}


class Track:
    """Does faults of one sort, one after another, until it is stopped.

    Attributes:
        counts: how often each was done.
    """

    def __init__(
        self, name: str, faults: Mapping[Callable[[Scene], int], int], scene: Scene
    ) -> None:
        self._name = name
        self._faults = faults
        self._scene = scene
        self.counts: dict[str, int] = {}
        self.failure: BaseException | None = None
        self._thread = threading.Thread(target=self._live, name=f"storm-{name}")

    def start(self) -> None:
        """Begins."""
        self._thread.start()

    def join(self) -> None:
        """Waits until the last one is over. Raises what a fault raised that is none of ours."""
        self._thread.join()
        if self.failure is not None:
            raise self.failure

    def _live(self) -> None:
        scene, faults = self._scene, self._faults
        try:
            while not scene.stopped.is_set():
                least_s, most_s = GAPS_S[self._name]
                scene.pause(least_s / scene.hurry, most_s / scene.hurry)
                (fault,) = scene.chance.choices(list(faults), list(faults.values()))
                if not scene.stopped.is_set():
                    self._do(fault)
        except BaseException as err:  # noqa: BLE001 - raised again by `join`
            self.failure = err
            scene.stopped.set()

    def _do(self, fault: Callable[[Scene], int]) -> None:
        began = time.monotonic()
        try:
            pid = fault(self._scene)
        except (NotNowError, redis.RedisError):
            return  # another fault came first
        name = fault.__name__.replace("_", " ")
        self.counts[name] = self.counts.get(name, 0) + 1
        self._scene.journal.fault(Fault(name, began, time.monotonic(), pid))
