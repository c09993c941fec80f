"""A service that enqueues: `python -m redisjobs.demo.producers NUMBER`."""

from __future__ import annotations

import sys

from redisjobs.demo.leash import take_leash
from redisjobs.demo.setting import Setting

SERVICES = 2


def produce(setting: Setting, service: int) -> None:
    """Enqueues the jobs of this service's share of the files: those of one file together, all or
    none.
    """
    plan = setting.plan()
    queue = setting.queue()
    for number in plan.share(service, SERVICES):
        queue.enqueue(*plan.jobs(number))
    queue.close()


if __name__ == "__main__":
    take_leash()
    produce(Setting.from_environment(), int(sys.argv[1]))
