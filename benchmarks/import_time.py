"""What it costs a service to import redisjobs, beside what redis-py costs it alone.

    python -m benchmarks.import_time [--runs 21]

Each import is timed in a fresh interpreter; the statements take turns, so that a busy moment meets
all of them. Measured is the import, not the start of Python.
"""

from __future__ import annotations

import argparse
import os
import platform
import statistics
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
STATEMENTS = {
    "redis-py alone": "import redis",
    "import redisjobs": "import redisjobs",
    "a producer": "import redis; from redisjobs import Job, RedisQueue",
    "a worker": "import redis; from redisjobs import Job, RedisQueue, Worker",
}
TIMED = """
import sys, time
began = time.perf_counter()
{statement}
print(time.perf_counter() - began, len(sys.modules))
"""


def timed(statement: str) -> tuple[float, int]:
    """Seconds that the statement took in a fresh interpreter, and the modules loaded after it."""
    ran = subprocess.run(
        [sys.executable, "-c", TIMED.format(statement=statement)],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=True,
    )
    seconds, modules = ran.stdout.split()
    return float(seconds), int(modules)


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=21)
    options = parser.parse_args()
    for statement in STATEMENTS.values():
        timed(statement)  # the first one compiles
    rounds = [
        {name: timed(statement) for name, statement in STATEMENTS.items()}
        for _ in range(options.runs)
    ]
    machine = f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}"
    print(f"{options.runs} runs; {machine}; load {os.getloadavg()[0]:.1f}")
    print(f"{'what':18} {'median ms':>10} {'min ms':>8} {'modules':>8}")
    for name in STATEMENTS:
        seconds = [one[name][0] for one in rounds]
        print(
            f"{name:18} {statistics.median(seconds) * 1000:10.1f} {min(seconds) * 1000:8.1f}"
            f" {rounds[0][name][1]:8}"
        )


if __name__ == "__main__":
    main()
