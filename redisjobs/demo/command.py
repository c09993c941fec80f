"""`redisjobs demo`."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

import click

from redisjobs.demo.signals import unwinding_on_signals

if TYPE_CHECKING:
    from redisjobs.demo.report import Report
    from redisjobs.demo.run import Options

INTERRUPTED = 130


@click.command()
@click.option("--files", type=click.IntRange(min=1), help="Work on at most N files.", metavar="N")
@click.option(
    "--url",
    metavar="URL",
    help="Where Redis is; else as REDISJOBS_URL or REDIS_URL say, else a server of its own.",
)
@click.option(
    "--workers",
    type=click.IntRange(1, 64),
    default=3,
    show_default=True,
    metavar="N",
    help="How many worker processes.",
)
@click.option("--no-kill", is_flag=True, help="Let all workers live.")
@click.option("--json", "as_json", is_flag=True, help="Print the report as JSON.")
def demo(files: int | None, url: str | None, workers: int, no_kill: bool, as_json: bool) -> None:
    """Run thousands of jobs, kill a worker, and prove that nothing is lost.

    Two services enqueue jobs about the source files of Python's standard library. Worker processes
    run them; half way, one is killed. At the end the results are compared with what one process
    computes without a queue.

    Exit codes: 0 all results are identical and the queue is sound; 1 they are not, or the demo
    could not go on; 130 interrupted; others as `redisjobs --help` tells.
    """
    try:
        with unwinding_on_signals():
            from redisjobs.demo.run import Options

            options = Options(url=url, files=files, workers=workers, kill=not no_kill)
            report = _run(options, as_json)
    except KeyboardInterrupt:
        click.echo("interrupted: all that the demo started has ended", err=True)
        sys.exit(INTERRUPTED)
    sys.exit(report.exit_code)


def _run(options: Options, as_json: bool) -> Report:
    from rich.console import Console

    from redisjobs.demo.progress import display_on
    from redisjobs.demo.report import show
    from redisjobs.demo.run import run_demo

    with display_on(Console(stderr=as_json)) as display:
        report = run_demo(options, display)
    if as_json:
        click.echo(json.dumps(report.to_dict()))
    else:
        show(report, Console())
    return report
