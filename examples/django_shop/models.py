"""What the shop stores."""

from __future__ import annotations

from django.db import models


class Order(models.Model):
    """What somebody bought."""

    address = models.EmailField()
    confirmed = models.BooleanField(default=False)
