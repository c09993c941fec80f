"""Finds the worker that `MODULE:WORKER` names."""

from __future__ import annotations

import importlib
import sys
import traceback
from collections.abc import Coroutine
from pathlib import Path
from types import ModuleType
from typing import Any

from redisjobs.errors import ConfigurationError, message_of
from redisjobs.worker.worker import Worker, being_loaded


def load_worker(target: str) -> Worker:
    """The worker that `target` names: `package.module:name`, where the name may have dots, and is a
    Worker or a function without arguments that returns one.

    The current directory is searched first. What is imported may not run a worker meanwhile.

    Raises:
        ConfigurationError: there is no such worker. The last line of the message says why; before
            it comes the traceback, if the user's own code raised.
    """
    module_name, colon, path = target.partition(":")
    if not (colon and module_name and path):
        raise ConfigurationError(
            f"{target!r} names no worker: it should look like MODULE:WORKER, e.g. shop.jobs:worker"
        )
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.insert(0, here)
    loading = being_loaded.set(target)
    try:
        return _as_worker(target, _attribute(target, _module(target, module_name), path))
    finally:
        being_loaded.reset(loading)


def _module(target: str, name: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as err:
        if err.name is not None and (name == err.name or name.startswith(f"{err.name}.")):
            raise ConfigurationError(
                f"cannot load {target}: no module {err.name!r} in {Path.cwd()}"
                " or elsewhere on sys.path"
            ) from None
        raise _broken(target, err) from err
    except (Exception, SystemExit) as err:
        raise _broken(target, err) from err


def _attribute(target: str, module: ModuleType, path: str) -> Any:
    found: Any = module
    for name in path.split("."):
        try:
            found = getattr(found, name)
        except AttributeError:
            raise ConfigurationError(
                f"cannot load {target}: {_named(found)} has no attribute {name!r}"
            ) from None
    return found


def _as_worker(target: str, found: Any) -> Worker:
    made = ""
    if callable(found) and not isinstance(found, Worker):
        made = "returned "
        try:
            found = found()
        except (Exception, SystemExit) as err:
            raise _broken(target, err) from err
    if isinstance(found, Coroutine):
        found.close()  # or it would be warned of, too
    if not isinstance(found, Worker):
        raise ConfigurationError(
            f"cannot load {target}: it {made or 'is '}{_named(found)}, but should be a Worker,"
            " or a function without arguments that returns one"
        )
    return found


def _named(found: Any) -> str:
    if isinstance(found, ModuleType):
        return f"module {found.__name__!r}"
    if isinstance(found, type):
        return f"class {found.__name__!r}"
    return "None" if found is None else f"an object of type {type(found).__name__!r}"


def _broken(target: str, err: BaseException) -> ConfigurationError:
    """The user's code raised: with its traceback, without the frames of this module and of the
    import system.
    """
    frames = traceback.extract_tb(err.__traceback__)
    theirs = [
        frame
        for frame in frames
        if frame.filename not in {__file__, importlib.__file__}
        and not frame.filename.startswith("<frozen importlib")
    ]
    summary = f"cannot load {target}: {type(err).__name__}: {message_of(err)}"
    if not theirs:
        return ConfigurationError(summary)
    told = "".join(traceback.StackSummary.from_list(theirs).format())
    return ConfigurationError(f"Traceback (most recent call last):\n{told}{summary}")
