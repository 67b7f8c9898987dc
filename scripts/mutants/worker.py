"""Run tests in forks of a process that has libraries imported already: `python -m scripts.mutants.worker numpy …`.

It stands in a copy of the checkout, and reads one JSON command a line: record a test file, or run some tests on
a mutant. Each fork imports the product and its tests itself, so that it sees the changed file and nothing of the run
before.
"""

from __future__ import annotations

import contextlib
import ctypes
import importlib
import json
import os
import shutil
import signal
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

LIBRARIES = (
    *("pytest", "hypothesis", "hypothesis.stateful", "numpy", "coverage", "twilio.rest", "twilio.twiml.voice_response"),
    *("fastapi", "aiohttp", "aiohttp.web", "uvicorn", "sqlalchemy.ext.asyncio", "aiosqlite"),
    *(
        "pydantic",
        "pydantic_settings",
        "typer",
        "typer.testing",
        "rich.live",
        "prometheus_client",
        "av",
        "soundfile",
        "soxr",
    ),
    *("G722", "pylibsrtp", "anyio.pytest_plugin", "pytest_timeout", "aiosipua", "requests", "xml.etree.ElementTree"),
)
QUIET = ("-q", "-p", "no:cacheprovider", "-p", "no:xdist", "-W", "ignore::pytest.PytestAssertRewriteWarning")
TIMED_OUT = "from pytest-timeout"
MOST_TIMEOUTS = 2
_PR_SET_CHILD_SUBREAPER = 36


def limit_of(seconds: float) -> float:
    """Return how long a test may take that takes this long on the product as it is.

    Tests wait for 20 s at most: one that waits in vain ends by itself, and fails.
    """
    return 25 + 6 * seconds


class Chosen:
    """A plugin of pytest: only the chosen tests run, in their order, until one fails. Hanging is not failing."""

    def __init__(self, tests: dict[str, float]) -> None:
        self._seconds = tests
        self._order = {test: place for place, test in enumerate(tests)}
        self.killed_by: str | None = None
        self.timeouts: list[str] = []
        self.ran = 0
        self._session: Any = None

    def pytest_collection(self, session: Any) -> None:
        """Look for a failing example, not for the smallest one; keep none."""
        from hypothesis import Phase, settings

        self._session = session
        settings.register_profile(
            "mutants", parent=settings.default, database=None, phases=(Phase.explicit, Phase.generate)
        )
        settings.load_profile("mutants")

    def pytest_collection_modifyitems(self, items: list[Any]) -> None:
        import pytest

        items[:] = [item for item in items if item.nodeid in self._order]
        files = {item.nodeid.split("::")[0]: place for place, item in reversed(list(enumerate(self._sorted(items))))}
        items.sort(key=lambda item: (files[item.nodeid.split("::")[0]], self._order[item.nodeid]))
        for item in items:
            item.add_marker(pytest.mark.timeout(limit_of(self._seconds[item.nodeid])), append=False)

    def _sorted(self, items: list[Any]) -> list[Any]:
        return sorted(items, key=lambda item: self._order[item.nodeid])

    def pytest_runtest_logreport(self, report: Any) -> None:
        self.ran += report.when == "call"
        if not report.failed:
            return
        if TIMED_OUT in str(report.longrepr):
            self.timeouts.append(report.nodeid)
            if len(self.timeouts) >= MOST_TIMEOUTS:
                self._session.shouldstop = "too many tests hang"
        else:
            self.killed_by = report.nodeid
            self._session.shouldstop = "killed"


def run_tests(tests: dict[str, float]) -> dict[str, Any]:
    """Run the chosen tests of their files; return what became of them."""
    import pytest

    chosen = Chosen(tests)
    files = list(dict.fromkeys(test.split("::")[0] for test in tests))
    code = int(pytest.main([*QUIET, "--hypothesis-seed=0", *files], plugins=[chosen]))
    killed_by = chosen.killed_by
    if killed_by is None and code in (2, 3, 4) and not chosen.timeouts:
        killed_by = "import"
    return {"code": code, "killed_by": killed_by, "timeouts": chosen.timeouts, "ran": chosen.ran}


def record_file(file: str) -> dict[str, Any]:
    """Run the tests of a file; return which lines each of them runs."""
    import pytest

    from scripts.mutants.recorder import Recorder

    recorder = Recorder(Path.cwd())
    pytest.main([*QUIET, "--hypothesis-seed=0", "-m", "not interop", "--timeout=180", file], plugins=[recorder])
    return recorder.result()


def in_fork(task: Callable[[], dict[str, Any]], *, limit_s: float, log: Path) -> dict[str, Any]:
    """Carry out a task in a fork, and end all that it has started; `{"hung": True}` if it takes too long."""
    answer = Path(f".mutants-answer-{os.getpid()}").resolve()
    answer.unlink(missing_ok=True)
    child = os.fork()
    if child == 0:
        _be_the_fork(task, answer, log)
    deadline = time.monotonic() + limit_s
    hung = False
    while os.waitpid(child, os.WNOHANG) == (0, 0):
        if time.monotonic() > deadline:
            hung = True
            break
        time.sleep(0.02)
    end_children()
    if answer.exists():
        found: dict[str, Any] = json.loads(answer.read_text("utf-8"))
        answer.unlink()
        return found
    return {"hung": True} if hung else {"killed_by": "crash", "timeouts": [], "ran": 0, "code": -1}


def _be_the_fork(task: Callable[[], dict[str, Any]], answer: Path, log: Path) -> None:
    code = 1
    try:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        os.setsid()
        with log.open("ab") as output:
            os.dup2(output.fileno(), 1)
            os.dup2(output.fileno(), 2)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        found = task()
        half = answer.with_suffix(".half")
        half.write_text(json.dumps(found), encoding="utf-8")
        half.rename(answer)
        code = 0
    finally:
        sys.stdout.flush()
        os._exit(code)


def adopt_orphans() -> None:
    """Let what a child leaves behind become a child of this process, in whatever session. Source: prctl(2)."""
    if ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl: PR_SET_CHILD_SUBREAPER")


def end_children() -> None:
    """End every process that this one started or adopted: a mutant may keep a server from ending by itself."""
    while children := _children():
        for child in children:
            with contextlib.suppress(ProcessLookupError):
                os.kill(child, signal.SIGKILL)
        for child in children:
            with contextlib.suppress(ChildProcessError):
                os.waitpid(child, 0)


def _end(*_: object) -> None:
    end_children()
    os._exit(1)


def _children() -> list[int]:
    found = []
    for entry in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            # The name of the program stands in brackets and may hold anything.
            parent = entry.read_text("utf-8", "replace").rpartition(")")[2].split()[1]
            if int(parent) == os.getpid():
                found.append(int(entry.parent.name))
    return found


@contextlib.contextmanager
def applied(mutant: dict[str, str] | None, *, stamp: int) -> Iterator[None]:
    """Put the changed file in place, with a time of its own, so that no compiled file fits; put the old one back."""
    if mutant is None:
        yield
        return
    path = Path(mutant["file"])
    kept, times = path.read_bytes(), path.stat()
    try:
        path.write_text(mutant["source"], encoding="utf-8")
        os.utime(path, (stamp, stamp))
        yield
    finally:
        path.write_bytes(kept)
        os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))


def main() -> None:
    """Import the libraries that are named, then carry out the commands of standard input until it ends."""
    for name in sys.argv[1:]:
        with contextlib.suppress(ImportError):
            importlib.import_module(name)
    adopt_orphans()
    signal.signal(signal.SIGTERM, _end)
    log = Path(".mutants-log").resolve()
    stamp = 1_000_000_000
    for line in sys.stdin:
        command = json.loads(line)
        stamp += 1
        log.unlink(missing_ok=True)
        if "record" in command:
            file = command["record"]
            shutil.rmtree(".mutants-children", ignore_errors=True)
            Path(".mutants-children").mkdir()
            found = in_fork(lambda file=file: record_file(file), limit_s=command["limit_s"], log=log)  # type: ignore[misc]
            Path(".mutants-context").unlink(missing_ok=True)
        else:
            tests = command["tests"]
            with applied(command["mutant"], stamp=stamp):
                found = in_fork(lambda tests=tests: run_tests(tests), limit_s=command["limit_s"], log=log)  # type: ignore[misc]
        print(json.dumps(found), flush=True)


if __name__ == "__main__":
    main()
