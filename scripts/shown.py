"""Puts the files of examples/ into the pages that show them.

    python -m scripts.shown

A page names the file in a comment right before the block: `<!-- examples/mail.py -->`.
"""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
SHOWN = re.compile(r"^<!-- (examples/[\w./]+) -->\n```python\n.*?^```$", re.MULTILINE | re.DOTALL)


def refreshed(text: str) -> str:
    """The text of a page with the files as they are now."""
    return SHOWN.sub(lambda found: _block(found[1]), text)


def _block(name: str) -> str:
    return f"<!-- {name} -->\n```python\n{(ROOT / name).read_text(encoding='utf-8')}```"


def main() -> None:
    """Rewrites the pages of docs/ that are behind."""
    for page in (ROOT / "docs").rglob("*.md"):
        text = page.read_text(encoding="utf-8")
        if text != refreshed(text):
            page.write_text(refreshed(text), encoding="utf-8")


if __name__ == "__main__":
    main()
