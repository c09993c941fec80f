"""What the blocking queue and the asyncio queue share: settings, keys, and how calls are made."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any, Generic, NamedTuple, Self, TypedDict, TypeVar, Unpack

from redisjobs.address import Address
from redisjobs.batches import encode_batch
from redisjobs.job import Job
from redisjobs.keys import Keys
from redisjobs.operations.enqueue import enqueue, replicated
from redisjobs.operations.operation import Operation
from redisjobs.producers import Lanes, Ticket
from redisjobs.settings import (
    FAILED_LIMIT,
    FAILED_RETENTION,
    MAX_PAYLOAD,
    MAX_RESULT,
    MIN_REPLICAS,
    MIN_REPLICAS_TIMEOUT_S,
    RETENTION,
    RETENTION_LIMIT,
    QueueSettings,
)
from redisjobs.source import Source

Client = TypeVar("Client")


class Enqueued(NamedTuple):
    """What an enqueue call stored."""

    created: tuple[str, ...]


class QueueKeywords(TypedDict, total=False):
    """The settings of a queue, as both queues take them."""

    retention: float | timedelta
    retention_limit: int
    failed_retention: float | timedelta
    failed_limit: int
    max_payload: int
    max_result: int
    min_replicas: int
    min_replicas_timeout: float | timedelta


class QueueBase(Generic[Client]):
    """A queue's name and settings. A subclass has the connections."""

    def __init__(
        self,
        client: Client,
        name: str = "default",
        *,
        retention: float | timedelta = RETENTION,
        retention_limit: int = RETENTION_LIMIT,
        failed_retention: float | timedelta = FAILED_RETENTION,
        failed_limit: int = FAILED_LIMIT,
        max_payload: int = MAX_PAYLOAD,
        max_result: int = MAX_RESULT,
        min_replicas: int = MIN_REPLICAS,
        min_replicas_timeout: float | timedelta = MIN_REPLICAS_TIMEOUT_S,
    ) -> None:
        self.settings = QueueSettings.of(
            retention, retention_limit, failed_retention, failed_limit, max_payload, max_result,
            min_replicas, min_replicas_timeout,
        )  # fmt: skip
        self.keys = Keys(name)
        self.address = self._connect(client)
        self._lanes = Lanes()

    @classmethod
    def from_url(cls, url: str, name: str = "default", **settings: Unpack[QueueKeywords]) -> Self:
        """A queue on the server at this URL: `redis://[[user]:password@]host:port/0`, `rediss://…`
        (TLS), `unix:///path`, or `redis+sentinel://[[user]:password@]host:26379,host:26379/service`
        where Sentinels name the primary.

        `settings` are those of the constructor. The connection's own, like `client_name`, go in the
        URL: `redis://host:6379/0?client_name=shop`. Its time-outs are the queue's business.

        Raises:
            ConfigurationError: the URL cannot be read, or a setting cannot be used.
            TypeError: there is no such setting.
        """
        known = QueueKeywords.__annotations__
        if unknown := [name for name in settings if name not in known]:
            raise TypeError(
                f"{cls.__name__}.from_url: there is no setting {unknown[0]!r}; there are"
                f" {', '.join(known)}. A setting of the connection goes in the URL, after a '?'"
            )
        return cls(cls._client_from_url(url), name, **settings)

    @staticmethod
    def _client_from_url(url: str) -> Any:
        raise NotImplementedError

    def _connect(self, client: Client) -> Address:
        """Makes what holds the connections. Opens none."""
        raise NotImplementedError

    @property
    def name(self) -> str:
        """The namespace of the queue's keys."""
        return self.keys.name

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name!r} on {self.address.name}>"

    @property
    def source(self) -> Source:
        """What a worker needs of this queue."""
        raise NotImplementedError

    def _enqueueing(
        self, jobs: Sequence[Job], ticket: Ticket
    ) -> tuple[Enqueued, Callable[[], Operation[Any]]]:
        """What a call will have stored, and what makes its operation for each try."""
        settings = self.settings
        encoded = encode_batch(jobs, ticket.mark, settings.max_payload)
        created = Enqueued(tuple(job.id for job in encoded))

        def store() -> Operation[bool]:
            return enqueue(self.keys, ticket.producer, ticket.number, encoded)

        if not settings.min_replicas:
            return created, store
        return created, lambda: replicated(
            self.keys, store(), created.created,
            settings.min_replicas, settings.min_replicas_timeout_ms,
        )  # fmt: skip
