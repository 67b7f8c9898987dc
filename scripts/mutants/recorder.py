"""Record which lines each test of a file runs, in this process and in its children.

A child process learns from a file which test runs at the moment (`sitecustomize.py` in the copy). What a fixture of
a wider scope than a function runs is recorded under the name of the fixture: each test that uses it is credited.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from coverage import Coverage, CoverageData

SHARED = "shared:"
IMPORTED = "imported"
CONTEXT_FILE = ".mutants-context"
CHILD_DATA = ".mutants-children"

SITECUSTOMIZE = f'''
"""Record the lines that this child process of a test runs."""
import atexit, os
_HERE = os.path.dirname(os.path.abspath(__file__))
try:
    with open(os.path.join(_HERE, "{CONTEXT_FILE}"), encoding="utf-8") as _file:
        _context = _file.read()
except FileNotFoundError:
    _context = ""
if _context:
    import coverage
    _coverage = coverage.Coverage(
        data_file=os.path.join(_HERE, "{CHILD_DATA}", "data"), data_suffix=True, config_file=False,
        source=[os.path.join(_HERE, "holdfast")], context=_context, messages=False,
    )
    _coverage.set_option("run:sigterm", True)
    _coverage.start()
    def _save():
        _coverage.stop()
        _coverage.save()
    atexit.register(_save)
'''


class Recorder:
    """A plugin of pytest: one context of coverage for each test, and for each fixture of a wider scope."""

    def __init__(self, copy: Path) -> None:
        self._copy = copy
        self._context_file = copy / CONTEXT_FILE
        self._coverage = Coverage(data_file=None, config_file=False, source=[str(copy / "holdfast")], messages=False)
        self._context = ""
        self.seconds: dict[str, float] = {}
        self.fixtures: dict[str, list[str]] = {}
        self.failed: set[str] = set()
        self._coverage.start()

    def _enter(self, context: str) -> str:
        before, self._context = self._context, context
        self._context_file.write_text(context, encoding="utf-8")
        self._coverage.switch_context(context)
        return before

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Iterator[None]:
        self._enter(item.nodeid)
        started = time.perf_counter()
        try:
            return (yield)
        finally:
            self.seconds[item.nodeid] = time.perf_counter() - started
            self.fixtures[item.nodeid] = list(getattr(item, "fixturenames", ()))
            self._enter("")

    @pytest.hookimpl(wrapper=True)
    def pytest_fixture_setup(self, fixturedef: pytest.FixtureDef[Any]) -> Iterator[Any]:
        if fixturedef.scope == "function":
            return (yield)
        before = self._enter(SHARED + fixturedef.argname)
        try:
            return (yield)
        finally:
            self._enter(before)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed:
            self.failed.add(report.nodeid)

    def result(self) -> dict[str, Any]:
        """Return the seconds, fixtures and lines of each test, and the lines of wider fixtures and of imports."""
        self._coverage.stop()
        lines: dict[str, dict[str, set[int]]] = {}
        self._gather(self._coverage.get_data(), lines)
        children = self._copy / CHILD_DATA
        for path in sorted(children.glob("data*")) if children.is_dir() else []:
            data = CoverageData(basename=str(path))
            try:
                data.read()
                self._gather(data, lines)
            except Exception as error:  # A child that was killed while it wrote leaves half a database.
                print(f"not read: {path.name}: {error}")
            path.unlink(missing_ok=True)
        masks = {
            context: {file: hex(sum(1 << number for number in numbers)) for file, numbers in files.items()}
            for context, files in lines.items()
        }
        return {
            "tests": {
                test: {"s": round(seconds, 4), "fixtures": self.fixtures[test], "lines": masks.get(test, {})}
                for test, seconds in self.seconds.items()
                if test not in self.failed
            },
            "imported": masks.get(IMPORTED, {}),
            "shared": {context: files for context, files in masks.items() if context.startswith(SHARED)},
            "failed": sorted(self.failed),
        }

    def _gather(self, data: CoverageData, lines: dict[str, dict[str, set[int]]]) -> None:
        for path in data.measured_files():
            file = str(Path(path).relative_to(self._copy))
            for number, contexts in data.contexts_by_lineno(path).items():
                for context in contexts:
                    lines.setdefault(context or IMPORTED, {}).setdefault(file, set()).add(number)
