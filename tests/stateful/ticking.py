"""A clock that ticks once in each call and stands between them: a schedule runs alike each time."""

from __future__ import annotations

from typing import TYPE_CHECKING

from redisjobs.operations.library import Library, Script, assemble
from redisjobs.operations.operation import command, reply_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from redisjobs.keys import Keys
    from redisjobs.operations.operation import Operation

TICK_US = 1000
# A time like today's: quarters of a microsecond are the last digits that a double has there.
BEGINNING_US = 1_750_000_000_000_000

# As TIME does, it shows one moment throughout a script.
_NOW = f"""
local shown
local function now()
  if not shown then
    shown = redis.call('INCRBY', 'test-clock-us:' .. string.match(KEYS[1], '{{.-}}'), {TICK_US})
  end
  return shown
end
"""

Edit = tuple[str, str]


def edited(text: str, edits: Sequence[Edit], name: str) -> str:
    """The text with each first part of an edit replaced by its second. Each must be there."""
    for old, new in edits:
        if old not in text:
            raise LookupError(f"{name} has no {old!r} any more: adapt the edit")
        text = text.replace(old, new)
    return text


# Stories are of few jobs: what is for long calls is for all of theirs.
_SIZED = {
    "settle": [
        ("local MANY = 8", "local MANY = 1"),
        ("math.min(16, math.floor(count / 4))", "16"),
    ]
}


class TickingLibrary(Library):
    """The scripts with the ticking clock.

    Args:
        edits: what is changed in the assembled text of the scripts of these names.
    """

    def __init__(self, edits: Mapping[str, Sequence[Edit]] | None = None) -> None:
        super().__init__({"now": _NOW})
        self._edits = dict(edits or {})

    def __getitem__(self, name: str) -> Script:
        script = self._scripts.get(name)
        if script is None:
            script = assemble(name, self._replaced)
            edits = (*_SIZED.get(name, ()), *self._edits.get(name, ()))
            if edits:
                script = _with_text(script, edited(script.text.decode(), edits, name))
            self._scripts[name] = script
        return script


def _with_text(script: Script, text: str) -> Script:
    # The server would know another text under the old digest.
    import hashlib

    body = text.encode()
    sha = hashlib.sha1(body, usedforsecurity=False).hexdigest().encode()
    return Script(script.name, body, sha)


def clock_key(keys: Keys) -> str:
    """Where a queue's clock stands: beside its keys, not among them."""
    return f"test-clock-us:{{{keys.name}}}"


def move_to(keys: Keys, time_us: int) -> Operation[None]:
    """Moves the clock, ahead or back."""
    reply_of((yield (command("SET", clock_key(keys), time_us, "EX", 3600),)))
