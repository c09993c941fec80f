"""The queue, and what the shop does by jobs."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import ParamSpec, TypeVar

from django.conf import settings
from django.db import close_old_connections, transaction

from examples.django_shop.models import Order
from redisjobs import RedisQueue, Registry

P = ParamSpec("P")
R = TypeVar("R")

# It connects when it is first used, and outlives a fork of the server.
queue = RedisQueue.from_url(settings.REDISJOBS_URL, "shop")
registry = Registry()


def with_database(fn: Callable[P, R]) -> Callable[P, R]:
    """Django looks after its connections around each request. Around a job nobody does."""

    @functools.wraps(fn)
    def run(*args: P.args, **kwargs: P.kwargs) -> R:
        close_old_connections()
        try:
            return fn(*args, **kwargs)
        finally:
            close_old_connections()

    return run


@registry.task("order.confirm")
@with_database
def confirm_order(order_id: int) -> str:
    """May run twice for one order: what it does twice does no harm."""
    with transaction.atomic():
        order = Order.objects.select_for_update().get(pk=order_id)
        order.confirmed = True
        order.save(update_fields=["confirmed"])
    return f"order {order_id} of {order.address} is confirmed"
