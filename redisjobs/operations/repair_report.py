"""What a repair did."""

from __future__ import annotations

from redisjobs.operations.verdicts import MOST_SENTENCES, CheckReport, Report


class RepairReport(Report):
    """What a repair did, a sentence each; empty where there was nothing to do. The first thousand
    are kept, all are counted.

    Attributes:
        repaired: how many of what: jobs, deliveries, keys, kinds, bells, totals, settings, tokens,
            workers.
        left: what a check found afterwards: what cannot be mended, or was broken meanwhile.
        dry_run: whether nothing was written, so that it tells what a repair would do.
        examined: how many of what were looked at, as in a check.
    """

    def __init__(self, *, dry_run: bool = False) -> None:
        super().__init__()
        self.dry_run = dry_run
        self.repaired: dict[str, int] = {}
        self.left = CheckReport()

    @property
    def mode(self) -> str:
        """How the scripts are told whether to write."""
        return "tell" if self.dry_run else "mend"

    def tell(self, what: str, sentence: str) -> None:
        """Adds what was done to one of these, once."""
        if sentence in self._said:
            return
        self.repaired[what] = self.repaired.get(what, 0) + 1
        if len(self) < MOST_SENTENCES:
            self.append(sentence)
        self._said.add(sentence)
