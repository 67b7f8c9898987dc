"""Draw mutants of the product, run their tests, and print which survive: `python -m scripts.mutants --seed 1`."""

from __future__ import annotations

import argparse
import json
import os
import queue
import random
import shutil
import subprocess
import sys
import tempfile
import threading
import time
import tomllib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from scripts.mutants.candidates import Mutant, Source, draw
from scripts.mutants.coverage_map import Cache, CoverageMap, KnownTest, Record, portions
from scripts.mutants.recorder import SITECUSTOMIZE
from scripts.mutants.worker import LIBRARIES, limit_of

ROOT = Path(__file__).parents[2]
EQUIVALENTS = Path(__file__).with_name("equivalents.toml")
PACKAGES = (
    *("holdfast/holds", "holdfast/voice/control", "holdfast/voice/media", "holdfast/voice/media_process"),
    *("holdfast/voice/sip", "holdfast/voice/twiml"),
)
TEST_FOLDERS = ("tests/unit", "tests/stories", "tests/contract", "tests/conformance", "tests/loopback")
REAL_SOCKETS = ("tests/contract", "tests/conformance", "tests/loopback")
PROCESSES = 2
LIMITS_S = (3.0, 12.0, 45.0)
"""How many seconds of tests a mutant must survive, portion by portion."""
BAR = 0.85

T = TypeVar("T")
R = TypeVar("R")


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What became of a mutant."""

    mutant: Mutant
    state: str
    detail: str = ""

    @property
    def killed(self) -> bool:
        """Return whether a test noticed."""
        return self.state == "killed"


class Worker:
    """A process that runs tests in a copy of the checkout of its own."""

    def __init__(self, copy: Path, *, libraries: Sequence[str] = LIBRARIES) -> None:
        self.copy = copy
        self._process = subprocess.Popen(
            [sys.executable, "-m", "scripts.mutants.worker", *libraries],
            cwd=copy,
            env=os.environ | {"PYTHONPATH": str(copy), "PYTHONDONTWRITEBYTECODE": "1", "OPENBLAS_NUM_THREADS": "1"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def ask(self, command: dict[str, Any]) -> dict[str, Any]:
        """Have one command carried out."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(command) + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError("a worker of the mutants has ended")
        answer: dict[str, Any] = json.loads(line)
        return answer

    def log(self) -> str:
        """Return the end of what the last run has printed."""
        path = self.copy / ".mutants-log"
        return path.read_text("utf-8", "replace")[-2000:] if path.exists() else ""

    def end(self) -> None:
        """End the process, and all that it started."""
        self._process.terminate()
        self._process.communicate()


def judge(worker: Worker, mutant: Mutant, tests: Sequence[KnownTest]) -> Outcome:
    """Run the tests of a mutant, quickest first, until one fails."""
    if not tests:
        return Outcome(mutant=mutant, state="no test")
    timeouts: list[str] = []
    change = {"file": mutant.file, "source": mutant.source}
    ran = 0
    for portion in portions(tests, limits_s=LIMITS_S):
        left = {test.name: test.seconds for test in portion}
        while left:
            limit_s = 120 + 3 * sum(left.values())
            found = worker.ask({"tests": left, "mutant": change, "limit_s": limit_s})
            if found.get("hung"):
                return Outcome(mutant=mutant, state="timeout", detail="all of the run")
            ran += found["ran"]
            timeouts += found["timeouts"]
            killer = found["killed_by"]
            if killer is not None and not _believed(worker, killer, left):
                del left[killer]
                continue
            if killer is not None:
                return Outcome(mutant=mutant, state="killed", detail=killer)
            break
        if timeouts:
            return Outcome(mutant=mutant, state="timeout", detail=timeouts[0])
    return Outcome(mutant=mutant, state="survived", detail=f"{ran} of {len(tests)} tests")


def _believed(worker: Worker, killer: str, tests: dict[str, float]) -> bool:
    """Return whether a failure is the mutant's: a test with sockets must pass on the product as it is."""
    if killer not in tests or not killer.startswith(REAL_SOCKETS):
        return True
    alone = {killer: tests[killer]}
    found = worker.ask({"tests": alone, "mutant": None, "limit_s": 30 + 2 * limit_of(tests[killer])})
    return found.get("killed_by") is None and not found.get("hung") and not found["timeouts"]


def in_parallel(workers: Sequence[Worker], things: Sequence[T], task: Callable[[Worker, T], R]) -> Iterator[R]:
    """Carry out a task for each thing, each worker one at a time; yield the results as they come."""
    waiting: queue.SimpleQueue[T] = queue.SimpleQueue()
    results: queue.SimpleQueue[R | BaseException] = queue.SimpleQueue()
    for thing in things:
        waiting.put(thing)

    def work(worker: Worker) -> None:
        while True:
            try:
                thing = waiting.get_nowait()
            except queue.Empty:
                return
            try:
                results.put(task(worker, thing))
            except Exception as error:
                results.put(error)
                return

    for worker in workers:
        threading.Thread(target=work, args=(worker,), daemon=True).start()
    for _ in things:
        result = results.get()
        if isinstance(result, BaseException):
            raise result
        yield result


@contextmanager
def copies(number: int) -> Iterator[list[Worker]]:
    """Make copies of the checkout, with what is not committed, and a worker in each; remove them at the end."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        check=True,
        text=True,
    ).stdout
    files = [name for name in listed.split("\0") if name and (ROOT / name).is_file()]
    with tempfile.TemporaryDirectory(prefix="holdfast-mutants-") as folder:
        workers: list[Worker] = []
        try:
            for index in range(number):
                copy = Path(folder) / f"copy{index}"
                for name in files:
                    (copy / name).parent.mkdir(parents=True, exist_ok=True)
                    shutil.copy2(ROOT / name, copy / name)
                (copy / "sitecustomize.py").write_text(SITECUSTOMIZE, encoding="utf-8")
                subprocess.run([sys.executable, "-m", "compileall", "-q", "holdfast", "tests"], cwd=copy, check=True)
                workers.append(Worker(copy))
            yield workers
        finally:
            for worker in workers:
                worker.end()


def record(workers: Sequence[Worker], cache: Cache, test_files: Sequence[str]) -> list[Record]:
    """Record the test files whose record is missing or old."""
    kept = {file: record for file in test_files if (record := cache.get(file)) is not None}
    missing = [file for file in test_files if file not in kept]
    random.Random(0).shuffle(missing)  # So that the long ones of a folder do not stand all at the end.

    def task(worker: Worker, file: str) -> tuple[str, Record, str]:
        return file, worker.ask({"record": file, "limit_s": 900}), worker.log()

    for number, (file, found, log) in enumerate(in_parallel(workers, missing, task), 1):
        if "tests" not in found:
            say(f"not recorded: {file}\n{log}")
            continue
        kept[file] = found
        cache.put(file, found)
        failed = f", failed and left out: {', '.join(found['failed'])}" if found["failed"] else ""
        say(f"recorded {number}/{len(missing)} {file}: {len(found['tests'])} tests{failed}")
    return list(kept.values())


def equivalents(path: Path = EQUIVALENTS) -> dict[tuple[str, str, str], str]:
    """Read the known equivalents: (file, removed lines, added lines) and the reason, in one line."""
    listed = tomllib.loads(path.read_text("utf-8")).get("equivalent", [])
    return {(each["file"], each["before"].strip(), each["after"].strip()): each["reason"] for each in listed}


def key_of(mutant: Mutant) -> tuple[str, str, str]:
    """Return what a known equivalent is recognised by: its texts, not its line."""
    return mutant.file, _joined(mutant.removed), _joined(mutant.added)


def _joined(lines: Sequence[str]) -> str:
    return "\n".join(line.strip() for line in lines)


def table(outcomes: Sequence[Outcome], packages: Sequence[str]) -> str:
    """Return the figures, package by package."""
    rows = [f"{'package':<32}{'mutants':>9}{'killed':>8}{'%':>7}"]
    for package in [*packages, "all"]:
        those = [each for each in outcomes if package == "all" or each.mutant.file.startswith(package + "/")]
        if those:
            killed = sum(each.killed for each in those)
            rows.append(f"{package:<32}{len(those):>9}{killed:>8}{100 * killed / len(those):>7.1f}")
    return "\n".join(rows)


def say(text: str) -> None:
    """Print a line of progress at once."""
    print(text, flush=True)


def main(arguments: Sequence[str] | None = None) -> int:
    """Draw, run and report; return 1 if fewer than 85 % of the mutants are killed."""
    parser = argparse.ArgumentParser(prog="make mutants", description=__doc__)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("-n", "--number", type=int, default=200)
    parser.add_argument("--only", nargs="*", default=PACKAGES, help="folders or files to mutate")
    parser.add_argument("--tests", nargs="*", default=TEST_FOLDERS, help="folders or files of tests")
    parser.add_argument("--cache", type=Path, default=ROOT / ".mutants_cache")
    parser.add_argument("--processes", type=int, default=PROCESSES)
    parser.add_argument("--record", action="store_true", help="only record which lines each test runs")
    options = parser.parse_args(arguments)
    started = time.monotonic()
    test_files = [file for file in _python(options.tests) if Path(file).name.startswith("test_")]
    with copies(options.processes) as workers:
        records = record(workers, Cache(options.cache, root=ROOT), test_files)
        if options.record:
            return 0
        known = CoverageMap(records, root=ROOT)
        say(f"{len(known.tests)} tests known after {time.monotonic() - started:.0f} s")
        sources = [Source(file, (ROOT / file).read_text("utf-8")) for file in _python(options.only)]
        drawn = draw(sources, seed=options.seed, number=options.number)
        reasons = equivalents()
        equal = [mutant for mutant in drawn if key_of(mutant) in reasons]
        alive = [
            (mutant, known.tests_for(mutant.file, mutant.line)) for mutant in drawn if key_of(mutant) not in reasons
        ]
        say(
            f"{len(drawn)} mutants of {len(sources)} files, seed {options.seed}; "
            f"{len(equal)} known equivalents are left out"
        )
        outcomes: list[Outcome] = []
        for outcome in in_parallel(workers, alive, lambda worker, pair: judge(worker, *pair)):
            outcomes.append(outcome)
            place = f"{outcome.mutant.file}:{outcome.mutant.line}"
            say(f"{len(outcomes)}/{len(alive)} {outcome.state:<9} {place} {outcome.mutant.operator} {outcome.detail}")
    return _report(outcomes, equal, packages=options.only, seconds=time.monotonic() - started)


def _report(outcomes: Sequence[Outcome], equal: Sequence[Mutant], *, packages: Sequence[str], seconds: float) -> int:
    survivors = sorted((each for each in outcomes if not each.killed), key=lambda each: each.mutant.file)
    for each in survivors:
        say(f"\n{each.mutant.diff}\n  {each.state} {each.detail}")
    killed = len(outcomes) - len(survivors)
    rate = killed / len(outcomes) if outcomes else 1.0
    say(f"\n{table(outcomes, packages)}")
    say(
        f"\n{killed} of {len(outcomes)} killed: {100 * rate:.1f} % (bar {100 * BAR:.0f} %); "
        f"{len(equal)} equivalents; {seconds:.0f} s"
    )
    return 0 if rate >= BAR else 1


def _python(places: Sequence[str]) -> list[str]:
    """Return the Python files of folders, and files that are named, relative to the checkout."""
    found: list[str] = []
    for place in places:
        path = ROOT / place
        those = [path] if path.is_file() else sorted(path.rglob("*.py"))
        found += [str(each.relative_to(ROOT)) for each in those]
    return found


if __name__ == "__main__":
    sys.exit(main())
