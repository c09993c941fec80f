"""The ledger for people, and for programs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.chaos.ledger import Ledger, Recovery

_SHOWN = 5


def as_json(ledger: Ledger) -> dict[str, Any]:
    """Everything, with the sentences."""
    return {
        "clean": ledger.is_clean,
        "seconds": round(ledger.seconds, 1),
        "acknowledged": ledger.acknowledged,
        "calls": ledger.calls,
        "failed_calls": ledger.failed_calls,
        "runs": ledger.runs,
        "delivered_again": ledger.again,
        "refused_by_the_fence": ledger.refused,
        "ended": {str(status): number for status, number in ledger.ended.items()},
        "faults": dict(ledger.faults),
        "samples": ledger.samples,
        "checks": ledger.checks,
        "unlucky": ledger.unlucky,
        "recovery_s": dict(_recoveries(ledger)),
        **{name: list(sentences) for name, sentences in _verdicts(ledger)},
    }


def _verdicts(ledger: Ledger) -> Iterator[tuple[str, list[str]]]:
    yield "lost", ledger.lost
    yield "held_by_two_at_once", ledger.held_twice
    yield "broken_invariants", ledger.broken
    yield "good_jobs_condemned", ledger.condemned
    yield "wrong", ledger.wrong


def _recoveries(ledger: Ledger) -> Iterator[tuple[str, dict[str, float]]]:
    for supervised in (True, False):
        for calm in (True, False):
            name = f"{'supervised' if supervised else 'alone'}, {'calm' if calm else 'all'}"
            yield name, _figures(
                one for one in ledger.recoveries
                if one.supervised is supervised and (one.calm or not calm)
            )  # fmt: skip


def _figures(recoveries: Iterator[Recovery]) -> dict[str, float]:
    seconds = sorted(one.seconds for one in recoveries)
    if not seconds:
        return {"jobs": 0}

    def share(part: float) -> float:
        return round(seconds[min(len(seconds) - 1, int(part * len(seconds)))], 3)

    return {"jobs": len(seconds), "p50": share(0.5), "p99": share(0.99), "max": share(1.0)}


def as_text(ledger: Ledger) -> str:
    """The ledger, a line for each thing, and the first sentences of what is wrong."""
    faults = ", ".join(f"{name} {number}" for name, number in ledger.faults.items())
    ended = ", ".join(f"{number:,} {status}" for status, number in ledger.ended.most_common())
    lines = [
        f"enqueued              {ledger.acknowledged:,} jobs acknowledged",
        f"calls                 {ledger.calls:,}, {ledger.failed_calls} without an answer",
        f"ended                 {ended}",
        f"run                   {ledger.runs:,}",
        f"delivered again       {ledger.again:,}",
        f"refused by the fence  {ledger.refused:,}",
        f"faults                {sum(ledger.faults.values())} of {len(ledger.faults)} kinds",
        f"                      {faults}",
        f"looked at             {ledger.samples:,} times, and checked {ledger.checks} times",
    ]
    for name, figures in _recoveries(ledger):
        told = ", ".join(f"{what} {number:g}" for what, number in figures.items())
        lines.append(f"recovery ({name}, s): {told}")
    if ledger.unlucky:
        lines.append(f"killed or cut off by the storm at their last chance: {ledger.unlucky}")
    for name, sentences in _verdicts(ledger):
        lines.append(f"{name.replace('_', ' '):21} {len(sentences):,}")
        lines += (f"    {sentence}" for sentence in sentences[:_SHOWN])
    lines.append("clean" if ledger.is_clean else "NOT CLEAN")
    return "\n".join(lines)
