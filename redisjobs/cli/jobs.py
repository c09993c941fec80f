"""`redisjobs jobs`: looks at single jobs, and changes them."""

from __future__ import annotations

import click

from redisjobs.cli.change_jobs import cancel, delete, retry
from redisjobs.cli.list_jobs import list_
from redisjobs.cli.show_job import show

_EPILOG = """\b
Examples:
  redisjobs jobs list --status failed
  redisjobs jobs show 0198f3a2c
  redisjobs jobs retry --all --status failed --kind mail
"""


@click.group(epilog=_EPILOG)
def jobs() -> None:
    """List, show, cancel, retry and delete jobs."""


for command in (list_, show, cancel, retry, delete):
    jobs.add_command(command)
