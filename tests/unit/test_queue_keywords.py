"""The settings that `from_url` takes."""

from __future__ import annotations

import inspect
from typing import Any

import pytest

from redisjobs import AsyncRedisQueue, RedisQueue
from redisjobs.queue_base import QueueKeywords

URL = "redis://127.0.0.1:1/0"  # nothing connects


@pytest.mark.parametrize("queue", [RedisQueue, AsyncRedisQueue])
def test_a_setting_that_there_is_not_is_answered_with_those_there_are(queue: Any) -> None:
    with pytest.raises(TypeError, match="there is no setting 'retension'") as caught:
        queue.from_url(URL, retension=5)
    told = str(caught.value)
    assert told.startswith(f"{queue.__name__}.from_url: ")
    assert all(name in told for name in QueueKeywords.__annotations__)


def test_they_are_those_of_the_constructor() -> None:
    parameters = inspect.signature(RedisQueue).parameters.values()
    keywords = [one.name for one in parameters if one.kind is one.KEYWORD_ONLY]
    assert list(QueueKeywords.__annotations__) == keywords
