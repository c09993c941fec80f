"""How supervisor and children log, unless the user's module has set up logging itself."""

from __future__ import annotations

import logging

LEVELS = ("debug", "info", "warning", "error")
_FORMAT = "%(asctime)s %(levelname)-7s %(process)d %(name)s: %(message)s"


def configure_logging(level: str) -> None:
    """Has this process log to its standard error from this level on. Does nothing where logging is
    set up already.
    """
    handler = logging.StreamHandler()
    handler.setFormatter(_WithJob(_FORMAT))
    logging.basicConfig(level=level.upper(), handlers=[handler])


class _WithJob(logging.Formatter):
    """Says which job a handler's own line is about; the worker's lines name it themselves."""

    def formatMessage(self, record: logging.LogRecord) -> str:
        """The line, with the job's id and kind where it does not show the id."""
        line = super().formatMessage(record)
        id = getattr(record, "job_id", None)
        if id is None or str(id) in line:
            return line
        return f"{line} [job {id} ({getattr(record, 'job_kind', '')})]"
