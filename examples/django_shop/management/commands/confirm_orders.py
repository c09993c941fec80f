"""`manage.py confirm_orders`: enqueues what an outage of Redis left behind."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand

from examples.django_shop.jobs import confirm_order, queue
from examples.django_shop.models import Order
from redisjobs import JobExistsError


class Command(BaseCommand):
    """An order that was committed while Redis was away has no job. It gets one here."""

    help = "Enqueue the confirmation of orders that are not confirmed and have no job."

    def handle(self, *_: Any, **__: Any) -> None:
        """The ids are those of the view: no order gets a second job while the first is kept."""
        enqueued = 0
        for order in Order.objects.filter(confirmed=False).iterator():
            try:
                queue.enqueue(confirm_order.options(id=f"confirm-{order.pk}").job(order.pk))
                enqueued += 1
            except JobExistsError:
                pass
        self.stdout.write(f"{enqueued} enqueued")
