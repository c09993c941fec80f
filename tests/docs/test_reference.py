"""The API reference is what the docstrings say."""

from __future__ import annotations

import re

import redisjobs
from redisjobs.operations.check import CheckReport
from redisjobs.operations.repair import RepairReport
from scripts.reference import INTERNAL, PAGE, page


def test_the_page_is_made_from_the_code_as_it_is() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(), (
        "docs/reference.md is behind: run `python -m scripts.reference`"
    )


def test_every_public_name_has_its_entry() -> None:
    entries = [line.removeprefix("## ") for line in page().splitlines() if line.startswith("## ")]
    public = {name for name in redisjobs.__all__ if not name.startswith("__")}
    assert public <= set(entries)
    assert len(entries) == len(set(entries))


def test_what_is_left_out_is_there_to_be_left_out() -> None:
    for name in INTERNAL:
        owner, _, member = name.partition(".")
        entry = page().split(f"\n## {owner}\n")[1].split("\n## ")[0]
        report = RepairReport if owner == "RepairReport" else CheckReport
        assert hasattr(getattr(redisjobs, owner, report), member)
        assert f"**`{member}" not in entry


def test_the_fields_of_what_calls_return_have_their_types() -> None:
    entry = page().split("\n## Enqueued\n")[1].split("\n## ")[0]
    assert "Enqueued(created: tuple[str, ...])" in entry


def test_what_a_call_returns_has_its_entry() -> None:
    text = page()
    returned = set(re.findall(r"-> (\w*(?:Report|Page|Stats|Enqueued))\b", text))
    assert returned == {"CheckReport", "Enqueued", "JobPage", "RepairReport", "Stats"}
    assert all(f"\n## {name}\n" in text for name in returned)


def test_an_entry_tells_signature_arguments_and_errors() -> None:
    entry = page().split("\n## RedisQueue\n")[1].split("\n## ")[0]
    assert "RedisQueue(\n    client: " in entry
    assert "    retention_limit: int = 10000,\n" in entry
    assert "- `retention`: seconds (or a timedelta)" in entry
    assert "**`enqueue(*jobs: Job) -> Enqueued`**" in entry
    assert "- `JobExistsError`: some ids exist" in entry
