"""The supervisor with real processes: it restarts, gives up, stops in order, and kills."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import pytest

from holdfast.voice.runtime import supervisor
from holdfast.voice.runtime.supervisor import CANNOT_WORK, Child, restart_delay_s, supervise

POLITE = """
import signal, sys, pathlib
log = pathlib.Path(sys.argv[1])
def note(word):
    with log.open("a") as file:
        file.write(f"{sys.argv[2]} {word}\\n")
def leave(*_):
    note("stopped")
    sys.exit(0)
signal.signal(signal.SIGTERM, leave)
note("started")
while True:
    signal.pause()
"""
STUBBORN = POLITE.replace("signal.signal(signal.SIGTERM, leave)", "signal.signal(signal.SIGTERM, signal.SIG_IGN)")
DIES = POLITE.replace("while True:", "sys.exit(3)\nwhile True:")
GIVES_UP = POLITE.replace("while True:", f"sys.exit({CANNOT_WORK})\nwhile True:")
READS = POLITE.replace("while True:\n    signal.pause()", "sys.stdin.read()\nnote('orphaned')")


def child(log: Path, name: str, program: str = POLITE, grace_s: float = 20.0) -> Child:
    return Child(name=name, argv=[sys.executable, "-c", program, str(log), name], grace_s=grace_s)


async def until(log: Path, *lines: str) -> None:
    """Wait until the log contains each line as often as it is given."""
    async with asyncio.timeout(20):
        while True:
            written = log.read_text().splitlines() if log.exists() else []
            if all(written.count(line) >= lines.count(line) for line in lines):
                return
            await asyncio.sleep(0.01)


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "log"


async def test_the_child_started_last_is_stopped_first(log: Path) -> None:
    stop = asyncio.Event()
    running = asyncio.create_task(supervise([child(log, "media"), child(log, "control")], stop=stop))
    await until(log, "media started", "control started")
    stop.set()
    assert await running == 0
    assert log.read_text().splitlines()[2:] == ["control stopped", "media stopped"]


async def test_a_child_that_dies_is_started_again(log: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervisor, "FIRST_DELAY_S", 0.01)
    stop = asyncio.Event()
    running = asyncio.create_task(supervise([child(log, "media"), child(log, "control", DIES)], stop=stop))
    await until(log, "media started", *["control started"] * 3)
    stop.set()
    assert await running == 0
    assert log.read_text().splitlines().count("media started") == 1


async def test_a_child_that_exits_finally_ends_all(log: Path) -> None:
    status = await supervise([child(log, "media"), child(log, "control", GIVES_UP)], stop=asyncio.Event())
    assert status == CANNOT_WORK
    assert log.read_text().splitlines().count("control started") == 1


async def test_a_missing_program_ends_all(log: Path) -> None:
    missing = Child(name="control", argv=[str(log / "missing")])
    assert await supervise([missing], stop=asyncio.Event()) == CANNOT_WORK


async def test_a_child_that_does_not_end_is_killed_after_its_grace(log: Path) -> None:
    stop = asyncio.Event()
    running = asyncio.create_task(supervise([child(log, "control", STUBBORN, grace_s=0.05)], stop=stop))
    await until(log, "control started")
    stop.set()
    assert await running == 0


async def test_the_kill_event_ends_the_grace(log: Path) -> None:
    stop, hurry = asyncio.Event(), asyncio.Event()
    running = asyncio.create_task(supervise([child(log, "control", STUBBORN, 3600)], stop=stop, kill=hurry))
    await until(log, "control started")
    stop.set()
    hurry.set()
    assert await running == 0


async def test_a_child_notices_the_end_of_its_supervisor(log: Path) -> None:
    program = f"""
import asyncio, sys
from holdfast.voice.runtime.supervisor import Child, supervise
child = Child(name="control", argv=[sys.executable, "-c", {READS!r}, {str(log)!r}, "control"])
asyncio.run(supervise([child], stop=asyncio.Event()))
"""
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", program)
    await until(log, "control started")
    process.kill()
    await process.wait()
    await until(log, "control orphaned")


def test_the_delay_doubles_up_to_a_limit() -> None:
    assert [restart_delay_s(failures) for failures in (0, 1, 2, 3, 6, 7, 100)] == [0.2, 0.2, 0.4, 0.8, 6.4, 10.0, 10.0]
