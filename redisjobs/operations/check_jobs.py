"""The part of check that looks at jobs."""

from __future__ import annotations

from collections.abc import Sequence

from redisjobs.keys import Keys
from redisjobs.operations.check_keys import Stored
from redisjobs.operations.operation import Operation, command, reply_of
from redisjobs.operations.passes import JobsPass, Suspect
from redisjobs.operations.places import look_everywhere
from redisjobs.operations.verdicts import CheckReport, on_job, on_token


def examine_jobs(keys: Keys, stored: Stored, report: CheckReport) -> Operation[None]:
    """Looks at every id in every place of the queue."""
    return _JobsExamination(keys, stored, report).run()


class _JobsExamination(JobsPass):
    """Reports what is still wrong with suspects, by all their places at one moment."""

    def __init__(self, keys: Keys, stored: Stored, report: CheckReport) -> None:
        super().__init__(keys, stored, report)
        self._sentences = report

    def heed_lists(self, wrong: Sequence[str]) -> Operation[None]:
        self._sentences.add(wrong)
        # Read after the lists: it only grows.
        replies = yield (command("HGET", self.keys.meta, "token"),)
        self._sentences.add(on_token(int(reply_of(replies) or 0), self.greatest_token))

    def resolve(self, suspects: Sequence[Suspect]) -> Operation[None]:
        names = [suspect.facts.id for suspect in suspects]
        contents = {suspect.facts.id: suspect.contents for suspect in suspects}
        kinds, lists = self.stored.kinds, self.stored.lists
        for facts in (yield from look_everywhere(self.keys, names, kinds, lists)):
            # What has no record any more, or one past its time, counts as absent.
            if facts.kind is not None and not facts.past:
                self._sentences.add(contents[facts.id])
            self._sentences.add(on_job(facts))
