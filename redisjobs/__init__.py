"""A distributed job queue for Python services that share one Redis or Valkey.

Names are loaded when they are first used, so that a service that only enqueues loads no worker
code.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from redisjobs._version import __version__

if TYPE_CHECKING:
    from redisjobs.aio import AsyncRedisQueue
    from redisjobs.codec import encode
    from redisjobs.context import CancelReason, Context, current_context
    from redisjobs.errors import (
        ConfigurationError,
        EmbeddedServerError,
        IncompatibleQueueError,
        InvalidJobError,
        JobExistsError,
        JobFailedError,
        JobNotEndedError,
        JobNotFoundError,
        KindExistsError,
        LockLostError,
        NotReplicatedError,
        QueueFullError,
        QueueUnavailableError,
        RedisJobsError,
        UnknownKindError,
    )
    from redisjobs.job import Job
    from redisjobs.operations.listing import JobPage, Standing
    from redisjobs.queue import Enqueued, JobQueue, RedisQueue
    from redisjobs.retry import RetryableError
    from redisjobs.states import Status
    from redisjobs.tasks import Registry, Task
    from redisjobs.worker import Worker

_HOME = {
    "AsyncRedisQueue": "aio",
    "CancelReason": "context",
    "ConfigurationError": "errors",
    "Context": "context",
    "EmbeddedServerError": "errors",
    "Enqueued": "queue",
    "IncompatibleQueueError": "errors",
    "InvalidJobError": "errors",
    "Job": "job",
    "JobExistsError": "errors",
    "JobFailedError": "errors",
    "JobNotEndedError": "errors",
    "JobNotFoundError": "errors",
    "JobPage": "operations.listing",
    "JobQueue": "queue",
    "KindExistsError": "errors",
    "LockLostError": "errors",
    "NotReplicatedError": "errors",
    "QueueFullError": "errors",
    "QueueUnavailableError": "errors",
    "RedisJobsError": "errors",
    "RedisQueue": "queue",
    "Registry": "tasks",
    "RetryableError": "retry",
    "Standing": "operations.listing",
    "Status": "states",
    "Task": "tasks",
    "UnknownKindError": "errors",
    "Worker": "worker",
    "current_context": "context",
    "encode": "codec",
}

__all__ = [
    "__version__",
    "AsyncRedisQueue",
    "CancelReason",
    "ConfigurationError",
    "Context",
    "EmbeddedServerError",
    "Enqueued",
    "IncompatibleQueueError",
    "InvalidJobError",
    "Job",
    "JobExistsError",
    "JobFailedError",
    "JobNotEndedError",
    "JobNotFoundError",
    "JobPage",
    "JobQueue",
    "KindExistsError",
    "LockLostError",
    "NotReplicatedError",
    "QueueFullError",
    "QueueUnavailableError",
    "RedisJobsError",
    "RedisQueue",
    "Registry",
    "RetryableError",
    "Standing",
    "Status",
    "Task",
    "UnknownKindError",
    "Worker",
    "current_context",
    "encode",
]


def __getattr__(name: str) -> Any:
    home = _HOME.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"redisjobs.{home}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
