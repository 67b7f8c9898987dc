"""The supervisor: starts the processes of a server, restarts one that dies, and stops all of them in order.

Children are given in the order they start in; they are stopped in the opposite one, each with time to say goodbye.
A child that gives up has told a person what is wrong: nothing is restarted, and the rest is stopped.
"""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field

from holdfast.voice.runtime.child_environment import child_environment

log = logging.getLogger(__name__)

CANNOT_WORK = 78
"""The exit status of a child that cannot work as it is configured. Source: sysexits.h, EX_CONFIG."""
FIRST_DELAY_S = 0.2
LONGEST_DELAY_S = 10.0
HEALTHY_AFTER_S = 30.0
"""A child that lived this long is forgiven what happened before."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Child:
    """A process to keep alive.

    Shape: `given` is what it finds in its standard input at each start; `gives_up` are the exit statuses by which it
    says that another start would not help. Units: `grace_s` seconds from the request to stop until it is killed.
    """

    name: str
    argv: Sequence[str]
    stdin_data: bytes = field(default=b"", repr=False)
    grace_s: float = 5.0
    final_statuses: frozenset[int] = frozenset({CANNOT_WORK})


def restart_delay_s(failures: int) -> float:
    """How long to wait before the next start, after so many short lives in a row."""
    return min(FIRST_DELAY_S * 2.0 ** max(failures - 1, 0), LONGEST_DELAY_S)


async def supervise(children: Sequence[Child], *, stop: asyncio.Event, kill: asyncio.Event | None = None) -> int:
    """Keep the children alive until `stop` is set or one gives up; then end all, the last started first.

    `hurry` cuts every grace short. Returns the exit status for the whole: 0 when it was asked to stop.
    """
    keepers = [ChildKeeper(child) for child in children]
    async with asyncio.TaskGroup() as tasks:
        asked = tasks.create_task(_wait(stop), name="supervisor-stop")
        hurried = tasks.create_task(_kill_in_a_hurry(keepers, kill or asyncio.Event()), name="supervisor-hurry")
        kept = [tasks.create_task(keeper.keep(), name=f"supervisor-{keeper.child.name}") for keeper in keepers]
        done, _ = await asyncio.wait([asked, *kept], return_when=asyncio.FIRST_COMPLETED)
        status = 0 if asked in done else CANNOT_WORK
        asked.cancel()
        for keeper, task in zip(reversed(keepers), reversed(kept), strict=True):
            await keeper.stop()
            await task
        hurried.cancel()
    return status


async def _wait(event: asyncio.Event) -> None:
    await event.wait()


async def _kill_in_a_hurry(keepers: Sequence[ChildKeeper], hurry: asyncio.Event) -> None:
    await hurry.wait()
    for keeper in keepers:
        keeper.kill()


class ChildKeeper:
    """Keeps one child alive. Invariant: at most one process of the child runs."""

    def __init__(self, child: Child) -> None:
        self.child = child
        self._stopping = asyncio.Event()
        self._process: asyncio.subprocess.Process | None = None

    async def keep(self) -> None:
        """Start, and start again, until stopped or the child gives up."""
        failures = 0
        while not self._stopping.is_set():
            began = time.monotonic()
            status = await self._run_once()
            if self._stopping.is_set():
                return
            if status in self.child.final_statuses:
                self._stopping.set()
                return
            failures = 1 if time.monotonic() - began >= HEALTHY_AFTER_S else failures + 1
            delay = restart_delay_s(failures)
            log.error("process=%s ended status=%s restart_in=%.1fs", self.child.name, status, delay)
            with suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), delay)

    async def stop(self) -> None:
        """End the child: asked at first, killed when its grace is over."""
        self._stopping.set()
        process = self._process
        if process is None or process.returncode is not None:
            return
        with suppress(ProcessLookupError):
            process.terminate()
        try:
            await asyncio.wait_for(process.wait(), self.child.grace_s)
        except TimeoutError:
            log.warning("process=%s did not end in %.1fs, killed", self.child.name, self.child.grace_s)
            self.kill()
            await process.wait()

    def kill(self) -> None:
        """End the child now, without goodbye, and start it no more."""
        self._stopping.set()
        if self._process is not None and self._process.returncode is None:
            with suppress(ProcessLookupError):
                self._process.kill()

    async def _run_once(self) -> int:
        # A session of its own: Ctrl-C in the terminal reaches the supervisor only, which stops all in order. Its
        # standard input is a pipe from us that closes when we are gone, however we went. What it is given goes
        # that way, because arguments and environment can be read as long as it lives.
        try:
            self._process = started = await asyncio.create_subprocess_exec(
                *self.child.argv,
                env=child_environment(os.environ),
                stdin=asyncio.subprocess.PIPE,
                start_new_session=True,
            )
        except OSError as error:
            log.error("process=%s cannot be started: %s", self.child.name, error)
            return CANNOT_WORK
        if self.child.stdin_data and started.stdin is not None:
            started.stdin.write(self.child.stdin_data)
        if self._stopping.is_set():  # the request to stop came while it was being started
            started.terminate()
        return await started.wait()
