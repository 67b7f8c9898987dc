"""A worker of the mutants runs tests in forks, on a product of two functions."""

from __future__ import annotations

from pathlib import Path

from scripts.mutants.__main__ import Worker
from scripts.mutants.coverage_map import CoverageMap

ROOT = Path(__file__).parents[2]
LIBRARIES = ("pytest", "coverage", "hypothesis", "anyio.pytest_plugin")

PROJECT = {
    "pyproject.toml": "",
    "holdfast/__init__.py": "",
    "holdfast/product.py": "def double(number):\n    return number * 2\n\n\ndef wait(number):\n    return number\n",
    "tests/unit/test_product.py": (
        "from holdfast.product import double, wait\n\n\n"
        "def test_double():\n    assert double(3) == 6\n\n\n"
        "def test_wait():\n    assert wait(1) == 1\n"
    ),
}


def test_a_worker_records_the_lines_of_a_test_and_kills_a_mutant_and_leaves_the_copy_as_it_was(tmp_path: Path) -> None:
    for name, text in PROJECT.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text, encoding="utf-8")
    (tmp_path / "scripts").symlink_to(ROOT / "scripts")
    test = "tests/unit/test_product.py::test_double"
    worker = Worker(tmp_path, libraries=LIBRARIES)
    try:
        recorded = worker.ask({"record": "tests/unit/test_product.py", "limit_s": 60})
        assert sorted(recorded["tests"]) == [test, "tests/unit/test_product.py::test_wait"]
        known = CoverageMap([recorded], root=tmp_path)
        assert [each.name for each in known.tests_for("holdfast/product.py", 2)] == [test]
        for changed, killed_by in (("number * 2", None), ("number + 2", test), ("number * 2 +", "import")):
            source = PROJECT["holdfast/product.py"].replace("number * 2", changed)
            mutant = {"file": "holdfast/product.py", "source": source}
            assert worker.ask({"tests": {test: 0.1}, "mutant": mutant, "limit_s": 60})["killed_by"] == killed_by
        assert (tmp_path / "holdfast/product.py").read_text("utf-8") == PROJECT["holdfast/product.py"]
    finally:
        worker.end()


STRAY = """
import os, subprocess, sys
from holdfast.product import double


def test_double():
    code = "import time; open('stray', 'w').write(str(__import__('os').getpid())); time.sleep(600)"
    subprocess.Popen([sys.executable, "-c", code], start_new_session=True)
    while not os.path.exists("stray") or not open("stray").read():
        pass
    os._exit(0)
"""


def test_processes_that_a_test_leaves_running_are_ended_with_it(tmp_path: Path) -> None:
    """A server in a session of its own, whose test has died."""
    for name, text in (PROJECT | {"tests/unit/test_product.py": STRAY}).items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text, encoding="utf-8")
    (tmp_path / "scripts").symlink_to(ROOT / "scripts")
    worker = Worker(tmp_path, libraries=LIBRARIES)
    try:
        answer = worker.ask({"tests": {"tests/unit/test_product.py::test_double": 0.1}, "mutant": None, "limit_s": 60})
        assert answer["killed_by"] == "crash"
        assert not Path("/proc", (tmp_path / "stray").read_text("utf-8")).exists()
    finally:
        worker.end()
