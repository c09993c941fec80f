"""What a worker needs of a queue over Redis."""

from __future__ import annotations

from typing import NamedTuple

from redisjobs.keys import Keys
from redisjobs.settings import QueueSettings
from redisjobs.transport import Lines


class Source(NamedTuple):
    """The queue to take from: its keys, its settings, and blocking connections."""

    keys: Keys
    settings: QueueSettings
    lines: Lines
