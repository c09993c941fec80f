"""What the README and docs/ show is run as it stands, and what they draw is drawn from the code."""

from __future__ import annotations

import ast
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

from redisjobs import Job, RedisQueue, Status, Worker
from redisjobs.states import as_markdown
from scripts.shown import SHOWN, refreshed

if TYPE_CHECKING:
    from redisjobs.embedded import EmbeddedServer

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted([ROOT / "README.md", *(ROOT / "docs").rglob("*.md")])
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\((?!https?:)([^)#]+)\)")


class Block(NamedTuple):
    language: str
    text: str


def blocks(page: Path) -> list[Block]:
    """What a page shows, but for the files of examples/, which have tests of their own."""
    text = SHOWN.sub("", page.read_text(encoding="utf-8"))
    return [Block(*match.groups()) for match in BLOCK.finditer(text)]


def first_python() -> str:
    """What the README has pasted into `hello.py`."""
    return next(b.text for b in blocks(ROOT / "README.md") if b.language == "python")


def names(pages: list[Path]) -> list[str]:
    return [str(page.relative_to(ROOT)) for page in pages]


PYTHON_PAGES = [page for page in PAGES if any(b.language == "python" for b in blocks(page))]


@pytest.fixture
def url(own_server: Any) -> str:
    server: EmbeddedServer = own_server()
    return server.url


@pytest.mark.parametrize("page", PYTHON_PAGES, ids=names(PYTHON_PAGES))
def test_every_python_block_runs_after_those_before_it(
    page: Path, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REDISJOBS_URL", url)
    monkeypatch.setitem(sys.modules, "hello", hello := ModuleType("hello"))
    exec(compile(first_python(), "hello.py", "exec", dont_inherit=True), vars(hello))
    namespace: dict[str, Any] = {"__name__": "__main__"}
    for block in blocks(page):
        if block.language == "python":
            exec(compile(block.text, str(page), "exec", dont_inherit=True), namespace)


def test_the_quick_start_prints_what_it_says(
    url: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("REDISJOBS_URL", url)
    exec(compile(first_python(), "hello.py", "exec", dont_inherit=True), {"__name__": "__main__"})
    assert capsys.readouterr().out == "hello, world\n"


def test_the_handlers_of_the_readme_do_what_the_table_says(url: str) -> None:
    shown = [b.text for b in blocks(ROOT / "README.md") if b.language == "python"]
    handlers: dict[str, Any] = {}
    exec(next(text for text in shown if "async def convert" in text), handlers)
    queue = RedisQueue.from_url(url)
    queue.enqueue(Job("fetch", id="f"), Job("convert", b"loud", id="c"))
    Worker(queue, {"fetch": handlers["fetch"], "convert": handlers["convert"]}).run(burst=True)
    fetched, converted = queue.get("f"), queue.get("c")
    assert fetched is not None
    assert converted is not None
    assert (fetched.status, fetched.last_error) == (
        Status.PENDING,
        "retryable-error: the server is busy",
    )
    assert (converted.status, converted.result) == (Status.DONE, b"LOUD")


def redisjobs_lines() -> list[str]:
    lines = (
        line.split("  #")[0].strip()
        for page in PAGES
        for block in blocks(page)
        if block.language == "sh"
        for line in block.text.splitlines()
    )
    return sorted({line for line in lines if line.startswith("redisjobs ")})


@pytest.mark.parametrize("line", redisjobs_lines())
def test_every_redisjobs_command_runs(line: str, url: str, tmp_path: Path) -> None:
    (tmp_path / "hello.py").write_text(first_python(), encoding="utf-8")
    words = [sys.executable, "-m", "redisjobs", *shlex.split(line)[1:]]
    if words[3] == "worker" and "--burst" not in words:
        words.append("--burst")  # or it would never end
    environ = {**os.environ, "REDISJOBS_URL": url, "PYTHONPATH": str(ROOT)}
    ran = subprocess.run(
        words, cwd=tmp_path, env=environ, capture_output=True, text=True, timeout=60, check=False
    )
    assert ran.returncode == 0, ran.stderr


def test_every_script_that_is_shown_is_there() -> None:
    shown = {
        word
        for page in PAGES
        for block in blocks(page)
        if block.language == "sh"
        for word in re.findall(r"^(scripts/\w+)", block.text, re.MULTILINE)
    }
    assert shown >= {"scripts/demo", "scripts/test"}
    assert all(shutil.which(ROOT / script) for script in shown)


@pytest.mark.parametrize("page", PAGES, ids=names(PAGES))
def test_every_link_leads_somewhere(page: Path) -> None:
    for target in LINK.findall(page.read_text(encoding="utf-8")):
        assert (page.parent / target).exists(), f"{page.name} links to {target}"


@pytest.mark.parametrize("page", PAGES, ids=names(PAGES))
def test_a_file_that_is_shown_is_shown_as_it_is(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    assert text == refreshed(text), f"{page.name} is behind: run `python -m scripts.shown`"


def test_code_that_is_not_run_is_on_two_pages_only() -> None:
    pages = [page.name for page in PAGES if any(b.language == "py" for b in blocks(page))]
    assert pages == ["coming-from.md", "reference.md"]


def test_code_for_other_libraries_is_python_at_least() -> None:
    shown = [b.text for b in blocks(ROOT / "docs" / "coming-from.md") if b.language == "py"]
    assert len(shown) > 30  # four libraries, ten things
    for text in shown:
        compile(text, "coming-from.md", "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)


def test_the_state_table_is_drawn_from_the_code() -> None:
    page = (ROOT / "docs" / "design.md").read_text(encoding="utf-8")
    drawn = page.split("<!-- states:begin -->")[1].split("<!-- states:end -->")[0]
    assert drawn.strip() == as_markdown().strip(), (
        "docs/design.md is behind: put `python -m redisjobs.states` between the markers"
    )


def test_every_key_of_the_design_page_has_its_name_in_the_code() -> None:
    page = (ROOT / "docs" / "design.md").read_text(encoding="utf-8")
    table = page.split("## The keys")[1].split("## One job")[0]
    named = set(re.findall(r"^\| `([a-z-]+)", table, re.MULTILINE))
    source = (ROOT / "redisjobs" / "keys.py").read_text(encoding="utf-8")
    assert len(named) > 10
    assert not {name for name in named if f'"{name}' not in source.replace('f"', '"')}
