"""Whether a full Redis would delete what a queue needs."""

from __future__ import annotations

import re

from redisjobs.operations.operation import Operation, command

_FIELD = re.compile(rb"^(maxmemory|maxmemory_policy):(\S+)", re.MULTILINE)
_POLICY = re.compile(r"(allkeys|volatile)-[a-z-]+")


def eviction_risk() -> Operation[str | None]:
    """A sentence on what Redis would delete when it is full; None if nothing, or if it may not be
    asked.
    """
    (info,) = yield (command("INFO", "memory"),)
    fields = {} if isinstance(info, Exception) else dict(_FIELD.findall(info or b""))
    policy = _POLICY.fullmatch(fields.get(b"maxmemory_policy", b"").decode())
    if policy is None or fields.get(b"maxmemory", b"0") == b"0":
        return None
    loss = (
        "jobs, whole kinds at once"
        if policy[1] == "allkeys"
        # The other keys of a queue that expire are words that a poll, or whoever waits, makes up
        # for.
        else "the numbers by which repeated calls are told from new ones: where a reply is lost, a"
        " job may be refused as existing, or run twice"
    )
    return (
        f"its maxmemory-policy is {policy[0]}, so when it is full it deletes {loss};"
        " set maxmemory-policy to noeviction"
    )
