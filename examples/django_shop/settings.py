"""The settings that matter here."""

from __future__ import annotations

import os

REDISJOBS_URL = os.environ["REDISJOBS_URL"]

SECRET_KEY = os.environ.get("SHOP_SECRET_KEY", "for tests only")
ALLOWED_HOSTS = ["localhost", "127.0.0.1"]
INSTALLED_APPS = ["examples.django_shop"]
ROOT_URLCONF = "examples.django_shop.urls"
DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": os.environ.get("SHOP_DATABASE", "shop.sqlite3"),
        "CONN_MAX_AGE": 60,
        # SQLite only: jobs that write at the same time wait for each other, and do not fail.
        "OPTIONS": {"transaction_mode": "IMMEDIATE"},
    }
}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
USE_TZ = True
TIME_ZONE = "UTC"
