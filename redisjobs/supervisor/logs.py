"""How supervisor and children log, unless the user's module has set up logging itself."""

from __future__ import annotations

import logging

LEVELS = ("debug", "info", "warning", "error")
_FORMAT = "%(asctime)s %(levelname)-7s %(process)d %(name)s: %(message)s"


def configure_logging(level: str) -> None:
    """Has this process log to its standard error from this level on. Does nothing where logging is
    set up already.
    """
    logging.basicConfig(level=level.upper(), format=_FORMAT)
