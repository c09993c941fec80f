"""check: the broken invariants that stored data can show."""

from __future__ import annotations

from redisjobs.keys import Keys
from redisjobs.operations.check_jobs import examine_jobs
from redisjobs.operations.check_keys import examine_keys
from redisjobs.operations.operation import Operation
from redisjobs.operations.verdicts import CheckReport, ReportFullError

__all__ = ["CheckReport", "check"]


def check(keys: Keys, report: CheckReport | None = None) -> Operation[CheckReport]:
    """Looks for broken invariants, in many short calls. The queue may be in use meanwhile.

    It stops at a thousand sentences, and where keys, `meta` or the schema are such that nothing
    else can be read. `report`: the one to fill, for whoever wants to see how far it is.
    """
    report = CheckReport() if report is None else report
    try:
        stored = yield from examine_keys(keys, report)
        if stored.is_readable:
            yield from examine_jobs(keys, stored, report)
    except ReportFullError:
        report.append(f"more may be wrong: the check ended after {len(report):,} sentences")
    return report
