"""One storm: a server, a fleet, faults of all sorts for a while, then calm, and the reckoning."""

from __future__ import annotations

import random
import tempfile
import threading
import time
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import redis

from redisjobs.embedded import EmbeddedServer
from tests.chaos.faults import Scene, Track, tracks_of
from tests.chaos.fleet import ALONE, PRODUCER, SUPERVISED, Fleet, Part, end_all_of
from tests.chaos.journal import read_journals
from tests.chaos.ledger import Ledger, reckon
from tests.chaos.relay import Relay, socket_of
from tests.chaos.sampler import CHECK_EVERY_S, Watch
from tests.chaos.setting import Setting
from tests.chaos.stored import is_at_work, is_drained, read_stored, with_forgotten

if TYPE_CHECKING:
    from collections.abc import Callable

TICK_S = 0.1
TOLD_EVERY_S = 5.0
STARTS_WITHIN_S = 30.0
# Its log is rewritten early: replaying a long one would make each crash a long outage.
DURABLE = {
    "appendonly": "yes",
    "appendfsync": "always",
    "auto-aof-rewrite-min-size": "4mb",
}
HASTY_CHECK_S = 0.5


@dataclass(frozen=True)
class Options:
    """What storm it is to be.

    Attributes:
        seconds: how long the faults last.
        rate: jobs a second, of all producers together.
        drain_s: how long the fleet may take, once it is calm, to end all jobs.
        bug: which bug to plant in every process.
        faults: which ones; none named: all.
        folder: where journals and logs are left; None: nowhere.
        hurry: how many times as many faults.
        small: half the fleet and short leases, for short storms.
        keeps_done: whether jobs that are done are kept. Those that are not take the shortest way
            through the worker and the scripts.
    """

    seconds: float = 60.0
    seed: str = "1"
    rate: float = 300.0
    drain_s: float = 60.0
    bug: str = ""
    faults: tuple[str, ...] = ()
    folder: Path | None = None
    hurry: float = 1.0
    small: bool = False
    keeps_done: bool = True


def parts_of(options: Options, direct: str, far: str, folder: str) -> list[Part]:
    """The system: workers of several leases, some behind the network that gets worse."""

    def setting(url: str, role: str, **more: Any) -> Setting:
        return Setting(
            url, folder, role, seed=options.seed, bug=options.bug, keeps_done=options.keeps_done,
            **more,
        )  # fmt: skip

    rate = options.rate / 2
    producers = [
        Part(setting(direct, f"{PRODUCER}-one", rate=rate)),
        Part(setting(far, f"{PRODUCER}-two", rate=rate, asynchronous=True)),
    ]
    if options.small:
        return [
            *producers,
            Part(setting(direct, f"{SUPERVISED}-one", lease=1.0), 2),
            Part(setting(direct, f"{ALONE}-one", lease=1.0)),
            Part(setting(far, f"{ALONE}-two", lease=1.0)),
        ]
    return [
        *producers,
        Part(setting(direct, f"{SUPERVISED}-one", lease=4.0), 3),
        Part(setting(far, f"{SUPERVISED}-two", lease=8.0, concurrency=4), 2),
        Part(setting(direct, f"{ALONE}-one", lease=1.5)),
        Part(setting(far, f"{ALONE}-two", lease=2.0)),
        Part(setting(direct, f"{ALONE}-three", lease=3.0, concurrency=20)),
    ]


class Storm:
    """Runs one and says what came of it. Nothing of it is left, however it ends.

    Args:
        tell: takes a line of progress now and then.
    """

    def __init__(self, options: Options, tell: Callable[[str], None]) -> None:
        self._options = options
        self._tell = tell
        self._began = time.monotonic()

    def run(self) -> Ledger:
        """The whole of it.

        Raises:
            EmbeddedServerError: there is no Redis to be had, or it did not come back.
        """
        options = self._options
        with ExitStack() as stack:
            folder = str(
                options.folder
                or stack.enter_context(tempfile.TemporaryDirectory(prefix="redisjobs-storm-"))
            )
            stack.callback(end_all_of, folder)
            server = stack.enter_context(EmbeddedServer(options=DURABLE))
            relay = stack.enter_context(Relay(Path(socket_of(server.url)), options.seed))
            control: Any = stack.enter_context(redis.Redis.from_url(server.url, socket_timeout=5.0))
            own = Setting(server.url, folder, "storm", keeps_done=options.keeps_done)
            queue = own.queue()
            stack.callback(queue.close)
            watch = Watch(server.url, queue, HASTY_CHECK_S if options.bug else CHECK_EVERY_S)
            stack.callback(watch.close)
            fleet = Fleet(parts_of(options, server.url, relay.url, folder))
            stack.callback(fleet.kill)
            scene = Scene(
                fleet, server, relay, queue, control, own.journal(), threading.Event(),
                random.Random(), options.hurry,
            )  # fmt: skip
            return self._weather(scene, watch, folder)

    def _weather(self, scene: Scene, watch: Watch, folder: str) -> Ledger:
        watch.start()
        try:
            workers = sum(part.processes for part in scene.fleet.parts if part.kind != PRODUCER)
            self._keep_until(
                scene.fleet, lambda: is_at_work(scene.control, workers), STARTS_WITHIN_S
            )
            counts = self._faults(scene, watch)
            self._tell("calm: the producers stop, and the fleet ends what there is")
            scene.relay.heal()
            self._keep_until(scene.fleet, lambda: False, 0.3)
            scene.fleet.stop(PRODUCER)
            drained = self._keep_until(
                scene.fleet,
                lambda: is_drained(scene.control) or self._has_shown_its_bug(watch),
                self._options.drain_s,
            )
            scene.fleet.stop(SUPERVISED, ALONE)
        finally:
            watch.stop()
        left = end_all_of(folder)
        complaints = [*scene.fleet.complaints, *(f"left behind: {words}" for words in left)]
        broken = [*watch.broken, *scene.queue.check()]
        self._tell("reading the journals")
        journals, stored = read_journals(Path(folder)), read_stored(scene.control)
        if not self._options.keeps_done:
            stored = with_forgotten(stored, journals)
        return reckon(
            journals, stored, watch,
            broken=broken, complaints=complaints, faults=counts, drained=drained,
            refused_in_logs=_refusals(Path(folder)), seconds=time.monotonic() - self._began,
        )  # fmt: skip

    def _faults(self, scene: Scene, watch: Watch) -> dict[str, int]:
        """The storm itself. It is over early where a planted bug has shown itself."""
        options = self._options
        tracks = [
            Track(name, chosen, replace(scene, chance=random.Random(f"{options.seed}/{name}")))
            for name, chosen in tracks_of(options.faults).items()
        ]
        for track in tracks:
            track.start()
        told_at = time.monotonic()

        def is_over() -> bool:
            nonlocal told_at
            if time.monotonic() - told_at >= TOLD_EVERY_S:
                told_at = time.monotonic()
                self._tell(self._progress(scene, watch, tracks))
            return scene.stopped.is_set() or self._has_shown_its_bug(watch)

        try:
            self._keep_until(scene.fleet, is_over, options.seconds)
        finally:
            scene.stopped.set()
            scene.relay.heal()
            for track in tracks:
                track.join()
        return {name: n for track in tracks for name, n in sorted(track.counts.items())}

    def _has_shown_its_bug(self, watch: Watch) -> bool:
        return bool(self._options.bug) and watch.has_found

    def _progress(self, scene: Scene, watch: Watch, tracks: list[Track]) -> str:
        try:
            totals = scene.control.hgetall(scene.queue.keys.totals)
            ended = f"{sum(map(int, totals.values())):,} attempts and ends"
        except redis.RedisError:
            ended = "Redis is away"
        faults = sum(sum(track.counts.values()) for track in tracks)
        return (
            f"{time.monotonic() - self._began:5.0f} s  {ended}, {faults} faults,"
            f" {watch.samples:,} samples, {watch.checks} checks,"
            f" {len(watch.doubly_held)} doubly held, {len(watch.broken)} broken"
        )

    def _keep_until(self, fleet: Fleet, done: Callable[[], bool], timeout_s: float) -> bool:
        deadline = time.monotonic() + timeout_s
        while time.monotonic() < deadline:
            fleet.keep()
            if done():
                return True
            time.sleep(TICK_S)
        return False


def _refusals(folder: Path) -> int:
    """How often workers logged that an outcome was not recorded, since the lock was lost."""
    return sum(
        path.read_text(errors="replace").count("its outcome is not recorded")
        for path in folder.glob("*.log")
    )
