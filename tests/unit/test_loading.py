from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from redisjobs.errors import ConfigurationError
from redisjobs.supervisor.loading import load_worker

SHOP = """
from redisjobs import Worker

class Queue:
    def enqueue(self, *jobs): ...
    def dequeue(self, kinds, fn): return False

worker = Worker(Queue())
class Holder:
    inner = worker
holder = Holder
def make_worker():
    return worker
def make_nothing():
    return None
def make_with(queue):
    return worker
def make_broken():
    raise LookupError("no such shop")
async def make_later():
    return worker
number = 42
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The current directory, in which modules are found that are forgotten after the test."""
    before = set(sys.modules)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    (tmp_path / "shop_of_test.py").write_text(SHOP)
    yield tmp_path
    for name in set(sys.modules) - before:
        del sys.modules[name]


@pytest.mark.parametrize(
    "runs",
    [
        "worker.run()", "worker.run(burst=True)", "asyncio.run(worker.arun())",
        "def make():\n    worker.run()",
    ],
)  # fmt: skip
def test_what_runs_a_worker_while_it_is_loaded_is_refused_and_does_not_hang(
    folder: Path, runs: str
) -> None:
    (folder / "eager_of_test.py").write_text(f"import asyncio\n{SHOP}\n{runs}\n")
    name = "make" if "def" in runs else "worker"
    told = reason(f"eager_of_test:{name}")
    assert f"the module of eager_of_test:{name} runs a worker while it is imported" in told
    assert '`if __name__ == "__main__":`' in told


def test_what_was_loaded_may_run(folder: Path) -> None:
    worker = load_worker("shop_of_test:worker")
    worker.stop()
    worker.run()


def reason(target: str) -> str:
    with pytest.raises(ConfigurationError) as caught:
        load_worker(target)
    return str(caught.value)


@pytest.mark.parametrize("name", ["worker", "holder.inner", "make_worker"])
def test_a_worker_is_found_by_its_name_by_a_path_and_by_a_function(folder: Path, name: str) -> None:
    worker = load_worker(f"shop_of_test:{name}")
    assert worker is sys.modules["shop_of_test"].worker


def test_a_module_in_a_package_is_found(folder: Path) -> None:
    (folder / "parcels").mkdir()
    (folder / "parcels" / "jobs.py").write_text("from shop_of_test import worker")
    assert load_worker("parcels.jobs:worker") is sys.modules["shop_of_test"].worker


def test_the_current_directory_is_searched_first(folder: Path) -> None:
    elsewhere = folder / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "shop_of_test.py").write_text("worker = None")
    sys.path.insert(0, str(elsewhere))
    load_worker("shop_of_test:worker")
    assert sys.path[0] == str(folder)


@pytest.mark.parametrize("target", ["shop_of_test", ":worker", "shop_of_test:", "", "a b"])
def test_a_target_of_another_form_is_refused(folder: Path, target: str) -> None:
    assert "should look like MODULE:WORKER" in reason(target)
    assert repr(target) in reason(target)


@pytest.mark.parametrize(
    ("target", "told"),
    [
        ("no_such_shop:worker", "no module 'no_such_shop'"),
        ("no_such_shop.jobs:worker", "no module 'no_such_shop'"),
        ("shop_of_test.jobs:worker", "no module 'shop_of_test.jobs'"),
        ("shop_of_test:wroker", "module 'shop_of_test' has no attribute 'wroker'"),
        ("shop_of_test:holder.outer", "class 'Holder' has no attribute 'outer'"),
        ("shop_of_test:number", "it is an object of type 'int', but should be a Worker"),
        ("shop_of_test:make_nothing", "it returned None, but should be a Worker"),
        ("shop_of_test:make_with", "make_with() missing 1 required positional argument: 'queue'"),
        ("shop_of_test:Worker", "missing 1 required positional argument: 'queue'"),
    ],
)
def test_what_is_not_there_is_told_in_one_line(folder: Path, target: str, told: str) -> None:
    assert told in reason(target)
    assert f"cannot load {target}: " in reason(target)
    assert "\n" not in reason(target)


def test_a_coroutine_is_no_worker(folder: Path) -> None:
    told = reason("shop_of_test:make_later")
    assert "it returned an object of type 'coroutine', but should be a Worker" in told


def test_what_the_users_function_raises_is_told_with_its_own_frames_only(folder: Path) -> None:
    lines = reason("shop_of_test:make_broken").splitlines()
    assert lines[0] == "Traceback (most recent call last):"
    line = SHOP.splitlines().index('    raise LookupError("no such shop")') + 1
    assert lines[1] == f'  File "{folder}/shop_of_test.py", line {line}, in make_broken'
    assert lines[-1] == "cannot load shop_of_test:make_broken: LookupError: no such shop"
    assert sum('File "' in line for line in lines) == 1


@pytest.mark.parametrize(
    ("source", "told"),
    [
        ("import no_such_library", "ModuleNotFoundError: No module named 'no_such_library'"),
        ("from shop_of_test import nothing", "ImportError: cannot import name 'nothing'"),
        ("raise SystemExit('set SHOP first')", "SystemExit: set SHOP first"),
        ("1 / 0", "ZeroDivisionError: division by zero"),
        ("import redisjobs\nredisjobs.RedisQueue.from_url('')", "ConfigurationError: the Redis"),
    ],
)
def test_a_module_that_cannot_be_loaded_is_told_with_the_place_in_it(
    folder: Path, source: str, told: str
) -> None:
    (folder / "broken_shop.py").write_text(source)
    lines = reason("broken_shop:worker").splitlines()
    assert lines[-1].startswith(f"cannot load broken_shop:worker: {told}")
    assert lines[1].startswith(
        f'  File "{folder}/broken_shop.py", line {source.count(chr(10)) + 1}'
    )


def test_a_syntax_error_names_its_file_and_line(folder: Path) -> None:
    (folder / "broken_shop.py").write_text("x = 1\ndef :\n")
    assert "SyntaxError: invalid syntax (broken_shop.py, line 2)" in reason("broken_shop:worker")
