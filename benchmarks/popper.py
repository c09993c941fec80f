"""A process that blocks in BLPOP and notes how long each element was under way.

python -m benchmarks.popper URL
"""

from __future__ import annotations

import sys
import time

from benchmarks.floor import Raw
from benchmarks.journal import note

if __name__ == "__main__":
    raw = Raw(sys.argv[1])
    while True:
        [(_, payload)] = raw.ask(("BLPOP", "popper", 0))
        note(time.monotonic() - float(payload[:20]))
