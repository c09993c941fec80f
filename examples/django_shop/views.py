"""The shop's only page."""

from __future__ import annotations

from django.db import transaction
from django.http import HttpRequest, JsonResponse
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST

from examples.django_shop.jobs import confirm_order, queue
from examples.django_shop.models import Order


@csrf_exempt
@require_POST
def place_order(request: HttpRequest) -> JsonResponse:
    """Stores an order, and enqueues its confirmation once it is committed."""
    with transaction.atomic():
        order = Order.objects.create(address=request.POST["address"])
        job = confirm_order.options(id=f"confirm-{order.pk}").job(order.pk)
        # Not before: a worker may be faster than the commit, and would find no order. Robust: the
        # order stands where Redis is away, and `manage.py confirm_orders` enqueues the job later.
        transaction.on_commit(lambda: queue.enqueue(job), robust=True)
        if request.POST.get("card") == "declined":
            transaction.set_rollback(True)  # then there is no order, and no job either
            return JsonResponse({"error": "the card was declined"}, status=402)
    return JsonResponse({"order": order.pk, "job": job.id}, status=202)
