"""The command line: `python -m tests.chaos --minutes 10 --seed 1`, as `scripts/chaos` runs it."""

from __future__ import annotations

import argparse
import json
import signal
import sys
from pathlib import Path

from tests.chaos.faults import NAMES
from tests.chaos.planted import BUGS
from tests.chaos.report import as_json, as_text
from tests.chaos.storm import Options, Storm


def main() -> int:
    parser = argparse.ArgumentParser(prog="scripts/chaos", description=__doc__)
    parser.add_argument("--minutes", type=float, default=1.0)
    parser.add_argument("--seed", default="1")
    parser.add_argument("--rate", type=float, default=300.0, help="jobs a second")
    parser.add_argument("--faults", nargs="*", choices=NAMES, default=[], help="these only")
    parser.add_argument("--folder", type=Path, help="leave journals and logs in this folder")
    parser.add_argument("--drain", type=float, default=60.0, help="seconds to end all jobs in")
    parser.add_argument("--hurry", type=float, default=1.0, help="times as many faults")
    parser.add_argument("--small", action="store_true", help="half the fleet")
    parser.add_argument("--bug", choices=BUGS, default="", help="plant it: the storm must find it")
    parser.add_argument(
        "--forget-done", action="store_true", help="keep no record of jobs that are done"
    )
    parser.add_argument("--json", type=Path, help="write the ledger to this file, too")
    given = parser.parse_args()
    if given.folder:
        given.folder.mkdir(parents=True, exist_ok=True)
        if any(given.folder.iterdir()):
            parser.error(f"{given.folder} is not empty: another storm's journals would count too")
    options = Options(
        given.minutes * 60, given.seed, given.rate, given.drain, given.bug, tuple(given.faults),
        given.folder, given.hurry, given.small, not given.forget_done,
    )  # fmt: skip
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        ledger = Storm(options, _say).run()
    except KeyboardInterrupt:
        _say("interrupted: no process is left")
        return 130
    if given.json:
        given.json.write_text(json.dumps(as_json(ledger), indent=2) + "\n")
    _say(as_text(ledger))
    return 0 if ledger.is_clean else 1


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
