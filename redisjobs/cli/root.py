"""The group of all commands, each loaded when it is first used."""

from __future__ import annotations

from importlib import import_module
from typing import Any

import click

from redisjobs._version import __version__
from redisjobs.errors import (
    ConfigurationError,
    IncompatibleQueueError,
    QueueUnavailableError,
    RedisJobsError,
)

# EX_UNAVAILABLE and EX_CONFIG of sysexits.h.
UNAVAILABLE = 69
CANNOT_RUN = 78
INTERRUPTED = 130

_COMMANDS = {
    "worker": "redisjobs.cli.worker",
    "enqueue": "redisjobs.cli.enqueue",
    "stats": "redisjobs.cli.stats",
    "jobs": "redisjobs.cli.jobs",
    "workers": "redisjobs.cli.workers",
    "check": "redisjobs.cli.check",
    "demo": "redisjobs.demo.command",
}

_EPILOG = """\b
Where Redis is:
  REDISJOBS_URL, else REDIS_URL, e.g. redis://localhost:6379/0
\b
Completion, in a line of ~/.bashrc (~/.zshrc: zsh_source instead):
  eval "$(_REDISJOBS_COMPLETE=bash_source redisjobs)"
\b
Exit codes:
  0    done
  1    it failed, in part or whole, or `check` has found something
  2    wrong usage, or what the command line needs is missing: pip install click rich
  69   Redis cannot be reached
  78   the worker cannot be loaded, or Redis cannot be worked with
  130  interrupted by Ctrl-C; a call under way may have been carried out
"""


class _Unavailable(click.ClickException):
    exit_code = UNAVAILABLE


class _CannotRun(click.ClickException):
    exit_code = CANNOT_RUN


class Commands(click.Group):
    """Commands by name; the attribute of a command's module is called like the command."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's
        """In the order in which a reader wants them."""
        return list(_COMMANDS)

    def get_command(
        self,
        ctx: click.Context,  # noqa: ARG002 - click's
        cmd_name: str,
    ) -> click.Command | None:
        """Loads it."""
        home = _COMMANDS.get(cmd_name)
        if home is None:
            return None
        command = getattr(import_module(home), cmd_name)
        assert isinstance(command, click.Command)
        return command

    def invoke(self, ctx: click.Context) -> Any:
        """Runs the command. What goes wrong is told in a sentence, without a traceback."""
        try:
            return super().invoke(ctx)
        except QueueUnavailableError as err:
            raise _Unavailable(str(err)) from err
        except (ConfigurationError, IncompatibleQueueError) as err:
            raise _CannotRun(str(err)) from err
        except RedisJobsError as err:
            raise click.ClickException(str(err)) from err
        except KeyboardInterrupt:
            # What a call that was under way asked for may have been carried out.
            click.echo("interrupted", err=True)
            ctx.exit(INTERRUPTED)
        except BrokenPipeError:
            raise  # whoever reads the output has seen enough: click ends quietly
        except OSError as err:
            raise click.ClickException(str(err)) from err


@click.group(cls=Commands, epilog=_EPILOG, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="redisjobs", message="%(prog)s %(version)s")
def commands() -> None:
    """A distributed job queue for Python services that share one Redis or Valkey."""
