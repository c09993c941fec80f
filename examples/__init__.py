"""Small services and workers. The pages in docs/how-to show them, and the tests run them."""

from __future__ import annotations
