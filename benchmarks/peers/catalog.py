"""Which peers there are, how they are installed, started and seen to be empty."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from benchmarks.processes import ROOT

HOME = ROOT / ".peers"  # ignored by git
URL = "BENCHMARK_URL"
FOLDER = "BENCHMARK_PEER"
AT_ONCE = "BENCHMARK_AT_ONCE"
WORK = "BENCHMARK_WORK"
HERE = Path(__file__).parent


class Peer(NamedTuple):
    """One peer, at the best settings that its documentation has.

    Attributes:
        name: the folder of its environment, and of its module `<name>_peer`.
        title: as tables show it, with what is particular.
        packages: what is installed, by pip or npm.
        worker: the command of one worker process; `bin/…` is in its environment.
        left: what Redis holds of jobs that are not acknowledged: command and key, all added up.
        at_once: how many handlers run at once, where they do nothing: its best. Threads are few
            then, coroutines many.
        share: the part of the benchmark's jobs that it gets, so that slow ones do not take hours.
        python: the Python it needs, where it cannot have the benchmark's own.
        two: whether it is measured with two worker processes, too.
        environ: settings that it takes from the environment.
        module: its module is `<module>_peer`, where that is not its name.
        only_drained: it is another row's peer with other settings, so nothing else is measured.
    """

    name: str
    title: str
    packages: tuple[str, ...]
    worker: tuple[str, ...]
    left: tuple[tuple[str, str], ...]
    share: float
    at_once: int
    python: str = ""
    two: bool = False
    environ: Mapping[str, str] = {}
    module: str = ""
    only_drained: bool = False

    @property
    def folder(self) -> Path:
        """Its environment."""
        return HOME / self.name

    @property
    def is_node(self) -> bool:
        """Whether it is no Python."""
        return self.name == "bullmq"

    def command(self, url: str) -> list[str]:
        """What starts one worker process on this server."""
        values = {
            "URL": url,
            "AT_ONCE": str(self.at_once),
            "POOL": "solo" if self.at_once == 1 else "threads",
            "HERE/bullmq_peer.mjs": str(HERE / "bullmq_peer.mjs"),
        }
        return [values.get(word) or self._word(word) for word in self.worker]

    def producing(self, how: str, number: int) -> list[str]:
        """What enqueues so many jobs."""
        if self.is_node:
            return ["node", str(HERE / "bullmq_peer.mjs"), how, str(number)]
        python = str(self.folder / "bin" / "python")
        module = self.module or self.name
        return [python, "-m", "benchmarks.peers.produce", module, how, str(number)]

    def _word(self, word: str) -> str:
        return str(self.folder / word) if word.startswith("bin/") else word


PEERS = (
    Peer(
        "mayu", "mayu (Rust core, prefetch 512)", ("mayu",),
        ("bin/mayu", "worker", "benchmarks.peers.mayu_peer:app", "--mode", "thread",
         "--processes", "1", "--threads", "AT_ONCE", "--prefetch-multiplier", "512",
         "--log-level", "WARNING"),
        (("xlen", "mayu:{default}:stream"),), 1.0, 1, python="3.13", two=True,
        environ={"MAYU_RESULT_TTL": "0"},
    ),
    Peer(
        "mayu", "mayu, async", ("mayu",),
        ("bin/mayu", "worker", "benchmarks.peers.mayu_async_peer:app", "--mode", "thread",
         "--processes", "1", "--threads", "AT_ONCE", "--prefetch-multiplier", "512",
         "--log-level", "WARNING"),
        (("xlen", "mayu:{default}:stream"),), 0.5, 1, python="3.13",
        environ={"MAYU_RESULT_TTL": "0"}, module="mayu_async", only_drained=True,
    ),
    Peer(
        "mayu", "mayu, its defaults", ("mayu",),
        ("bin/mayu", "worker", "benchmarks.peers.mayu_peer:app", "--processes", "1",
         "--log-level", "WARNING"),
        (("xlen", "mayu:{default}:stream"),), 0.2, 1, python="3.13",
        environ={"MAYU_RESULT_TTL": "0"}, only_drained=True,
    ),
    Peer(
        "bullmq", "BullMQ (Node, concurrency 500)", ("bullmq", "ioredis"),
        ("node", "HERE/bullmq_peer.mjs", "work"),
        (("llen", "bull:peer:wait"), ("llen", "bull:peer:active")), 0.5, 500, two=True,
    ),
    Peer(
        "bullmq", "BullMQ, 10 at once", ("bullmq", "ioredis"),
        ("node", "HERE/bullmq_peer.mjs", "work"),
        (("llen", "bull:peer:wait"), ("llen", "bull:peer:active")), 0.25, 10, only_drained=True,
    ),
    Peer(
        "ardiq", "ArdiQ (Rust core)", ("ardiq",),
        ("bin/ardiq", "run", "-q", "benchmarks.peers.ardiq_peer:app"),
        (("xlen", "ardiq:peer:queues:default"),), 0.25, 100, python="3.13",
    ),
    Peer(
        "dramatiq", "Dramatiq (8 threads, prefetch 1,000)", ("dramatiq[redis]", "redis[hiredis]"),
        ("bin/dramatiq", "benchmarks.peers.dramatiq_peer", "--processes", "1",
         "--threads", "AT_ONCE"),
        (("hlen", "dramatiq:default.msgs"),), 0.1, 8,
        environ={"dramatiq_queue_prefetch": "1000"},
    ),
    Peer(
        "huey", "Huey (no acknowledgement)", ("huey", "redis[hiredis]"),
        ("bin/python", "bin/huey_consumer", "benchmarks.peers.huey_peer.huey", "-w",
         "AT_ONCE", "-n", "-q", "-k", "thread"),
        (("llen", "huey.redis.peer"),), 0.1, 1,
    ),
    Peer(
        "arq", "arq (100 at once, polls every 10 ms)", ("arq",),
        ("bin/arq", "benchmarks.peers.arq_peer.WorkerSettings"),
        (("zcard", "arq:queue"),), 0.05, 100,
    ),
    Peer(
        "saq", "SAQ (100 at once)", ("saq[redis,hiredis]", "typing_extensions"),
        ("bin/saq", "benchmarks.peers.saq_peer.settings", "--quiet"),
        (("llen", "saq:default:queued"), ("llen", "saq:default:active")), 0.05, 100,
    ),
    Peer(
        "streaq", "streaQ (100 at once)", ("streaq",),
        ("bin/streaq", "run", "benchmarks.peers.streaq_peer:worker"),
        (("xlen", "streaq:peer:queues:normal"),), 0.05, 100,
    ),
    Peer(
        "taskiq", "taskiq (streams, 100 at once)", ("taskiq-redis", "redis[hiredis]"),
        ("bin/taskiq", "worker", "benchmarks.peers.taskiq_peer:broker", "--workers", "1",
         "--max-async-tasks", "AT_ONCE",
         "--max-prefetch", "1000", "--no-parse", "--log-level", "WARNING",
         "--ack-type", "when_executed"),
        (("stream", "peer"),), 0.05, 100,
    ),
    Peer(
        "celery", "Celery (late acknowledgement)", ("celery[redis]", "redis[hiredis]"),
        ("bin/celery", "-A", "benchmarks.peers.celery_peer", "worker", "--pool", "POOL",
         "-c", "AT_ONCE",
         "--without-gossip", "--without-mingle", "--without-heartbeat", "-l", "ERROR"),
        (("llen", "celery"), ("hlen", "unacked")), 0.05, 1,
    ),
    Peer(
        "rq", "RQ (no fork for each job)", ("rq", "redis[hiredis]"),
        ("bin/rq", "worker", "--worker-class", "rq.worker.SimpleWorker", "--quiet",
         "--url", "URL"),
        (("llen", "rq:queue:default"), ("zcard", "rq:wip:default")), 0.01, 1,
    ),
)  # fmt: skip
