"""How figures become tables, targets, plots and a page."""

from __future__ import annotations

import fnmatch
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from benchmarks import latency, publish, scheduled, targets, throughput
from benchmarks.cpu import tree_seconds
from benchmarks.peers.catalog import HERE, PEERS
from benchmarks.plots import Plot, draw
from benchmarks.publish import SET, between, markdown, rewrite
from benchmarks.report import Figures, aligned, as_json, cell, table

ROOT = Path(__file__).resolve().parents[2]


def figures(name: str, runs: int = 3, **rows: dict[str, list[float | None]]) -> Figures:
    made = Figures(name, "title", "machine", "server", "8", 100, runs)
    made.rows = {key.replace("_", " "): row for key, row in rows.items()}
    return made


def measured(what: str, *of: Figures) -> targets.Seen:
    (target,) = [one for one in targets.TARGETS if one.what == what]
    return target.measured({one.name: one for one in of})


def test_a_cell_has_the_median_and_the_spread() -> None:
    assert cell([3.0, 1.0, 2000.0], 0) == "3 (1 to 2,000)"
    assert cell([0.5, 0.5], 2) == "0.50"
    assert cell(None, 1) == ""


def test_only_what_was_measured_has_a_column() -> None:
    drawn = table(
        figures("latency", 1, a={"p50_ms": [1.0]}, b={"p50_ms": [2.0]}), SET["latency"].metrics
    )
    assert drawn == [["latency", "p50 ms"], ["a", "1.00"], ["b", "2.00"]]
    assert aligned(drawn).splitlines()[1] == "a          1.00"
    assert markdown(drawn).splitlines()[1] == "| --- | ---: |"


def test_ratios_are_of_the_pairs_of_each_run() -> None:
    drawn = figures("peers")
    drawn.rows = {
        "redisjobs, sync": {"jobs_per_s": [30.0, 80.0, 60.0]},
        "mayu (fast) 1.0": {"jobs_per_s": [10.0, 40.0, 15.0]},
    }
    assert measured("drain, one worker process, sync", drawn).text == "3.0 (2.0 to 4.0) x mayu"


def test_floors_stand_beside_what_they_are_the_limit_of_and_have_no_say() -> None:
    kept = figures("throughput")
    kept.rows = {
        "redisjobs, default retention": {"of_without_retention": [0.5, 0.7, 0.6]},
        "floor: bare scripts that keep records, 100 a call": {"of_without_retention": [0.4] * 3},
    }
    assert measured("default retention", kept) == (
        "0.60 (0.50 to 0.70); 0.40 the floor's own, 100 a call",
        [True],
    )
    popped = figures("latency", 1)
    popped.rows = {
        "redisjobs, sync": {"p50_ms": [0.9]},
        "floor: push and blocking pop": {"p50_ms": [0.2]},
        "floor: push, blocking pop, bare claim, a thread": {"p50_ms": [0.5]},
    }
    assert measured("pick-up by an idle worker, p50 ms", popped) == (
        "0.90 sync; 0.20 floor; 0.50 floor with our hops",
        [False],
    )


def test_every_floor_of_a_target_is_a_row_that_is_measured() -> None:
    named = {
        *targets._POP_FLOORS,
        *targets._DUE_FLOOR,
        *targets._INSTANT_FLOOR,
        *targets._KEEPING_FLOORS,
    }
    rows = [*latency.FLOORS, *scheduled.FLOORS, *throughput.FLOORS]
    assert [name for name in named if not fnmatch.filter(rows, name)] == []


def test_a_run_that_failed_is_in_no_pair() -> None:
    made = Figures("peers", "title", "machine", "server", "8", 100, 0)
    made.add({"redisjobs, sync": {"jobs_per_s": 30.0}})
    made.add({"redisjobs, sync": {"jobs_per_s": 80.0}, "mayu": {"jobs_per_s": 40.0}})
    made.add({"mayu": {"jobs_per_s": 10.0}})
    assert measured("drain, one worker process, sync", made).text == "2.0 x mayu"
    assert [row[0] for row in table(made, SET["peers"].metrics)][1:] == [
        "redisjobs, sync (2 of 3 runs)", "mayu (2 of 3 runs)",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("mayu", "bullmq", "verdict"),
    [(10.0, 5.0, "met"), (20.0, 5.0, "in part"), (20.0, 20.0, "missed")],
)
def test_a_target_is_met_missed_or_met_in_part(mayu: float, bullmq: float, verdict: str) -> None:
    drawn = figures("peers", 1)
    drawn.rows = {
        "redisjobs, sync": {"jobs_per_s": [30.0]},
        "mayu (fast) 1.0": {"jobs_per_s": [mayu]},
        "BullMQ (Node) 6": {"jobs_per_s": [bullmq]},
    }
    (line,) = [line for line in targets.lines({"peers": drawn})[1:] if line[0].startswith("drain")]
    assert line[-1] == verdict


def test_targets_that_were_not_measured_are_not_shown() -> None:
    assert targets.lines({})[1:] == []


def test_only_what_is_between_markers_is_rewritten() -> None:
    page = "a\n<!-- x:begin -->\nold\n<!-- x:end -->\nb"
    assert between(page, "x", "new") == "a\n<!-- x:begin -->\n\nnew\n\n<!-- x:end -->\nb"
    with pytest.raises(ValueError, match="no markers"):
        between(page, "y", "new")


def test_the_page_has_a_place_for_every_benchmark(tmp_path: Path) -> None:
    page = tmp_path / "benchmarks.md"
    page.write_text(publish.PAGE.read_text(encoding="utf-8"), encoding="utf-8")
    folder = page.with_suffix("")
    folder.mkdir()
    for name, benchmark in SET.items():
        metric = benchmark.metrics[0].name
        made = figures(name)
        made.rows = {"redisjobs, sync": {metric: [1.0, 2.0, 3.0]}}
        (folder / f"{name}.json").write_text(as_json(made), encoding="utf-8")
    rewrite(publish.Place(page, folder))
    written = page.read_text(encoding="utf-8")
    assert written.count("Median (least to greatest) of 3 runs") == len(SET)
    assert written.count("| redisjobs, sync | ") == len(SET)


def test_the_page_is_drawn_from_the_figures_beside_it(tmp_path: Path) -> None:
    page = tmp_path / "benchmarks.md"
    page.write_text(publish.PAGE.read_text(encoding="utf-8"), encoding="utf-8")
    folder = page.with_suffix("")
    folder.mkdir()
    for path in publish.PAGE.with_suffix("").glob("*.json"):
        (folder / path.name).write_bytes(path.read_bytes())
    rewrite(publish.Place(page, folder))
    assert page.read_text(encoding="utf-8") == publish.PAGE.read_text(encoding="utf-8"), (
        "docs/benchmarks.md is behind its figures: run scripts/bench --redraw"
    )


@pytest.mark.parametrize(
    "plot", [Plot("bars", {"m": "title"}), Plot("lines", {"m": "t"}, over="n")]
)
def test_plots_are_drawn_alike_from_the_same_figures(plot: Plot, tmp_path: Path) -> None:
    rows = {"redisjobs: 10": {"m": [1.0, 3.0]}, "redisjobs: 1,000": {"m": [2.0]}}
    paths = [tmp_path / "a.svg", tmp_path / "b.svg"]
    for path in paths:
        draw(plot, rows, path)
    assert paths[0].read_bytes() == paths[1].read_bytes()
    assert b"<svg" in paths[0].read_bytes()


def test_processor_time_is_of_a_process_and_its_children() -> None:
    burn = "import time\nwhile time.process_time() < 0.2: pass\n"
    parent = f"import subprocess, sys\nsubprocess.run([sys.executable, '-c', {burn!r}])\ninput()"
    with subprocess.Popen([sys.executable, "-c", parent], stdin=subprocess.PIPE) as process:
        deadline = time.monotonic() + 20
        while tree_seconds(process.pid) < 0.2:
            assert time.monotonic() < deadline, "waited in vain for the child's time to be seen"
            time.sleep(0.01)
        process.communicate(b"\n")
    assert tree_seconds(process.pid) == 0


def test_every_peer_has_its_side_of_the_measurement() -> None:
    for peer in PEERS:
        ending = "mjs" if peer.is_node else "py"
        assert (HERE / f"{peer.module or peer.name}_peer.{ending}").is_file(), peer.title
        assert peer.left, f"{peer.title}: nothing says when it is empty"
        assert os.fspath(peer.folder).startswith(os.fspath(ROOT))
