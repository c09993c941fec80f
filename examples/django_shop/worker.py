"""For `redisjobs worker examples.django_shop.worker:make_worker`."""

from __future__ import annotations

import os

import django

from redisjobs import Worker


def make_worker() -> Worker:
    """Sets Django up first: models can be imported only then."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "examples.django_shop.settings")
    django.setup()
    from examples.django_shop.jobs import queue, registry

    return Worker(queue, registry)
