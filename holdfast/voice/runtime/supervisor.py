"""Start the processes of a server, restart one that dies, and stop all of them in order.

Children are given in the order in which they start, and are stopped in reverse order, each with time for an orderly
end. A child that exits with a final status has printed what the operator must change: nothing is restarted, and the
other children are stopped.
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
"""After this running time the count of failures starts again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Child:
    """A child is a process that the supervisor keeps running.

    Shape: `stdin_data` is written to its standard input at each start; `final_statuses` are the exit statuses after
    which another start would not help. Units: `grace_s` seconds from the request to stop until it is killed.
    """

    name: str
    argv: Sequence[str]
    stdin_data: bytes = field(default=b"", repr=False)
    grace_s: float = 5.0
    final_statuses: frozenset[int] = frozenset({CANNOT_WORK})


def restart_delay_s(failures: int) -> float:
    """Return the delay before the next start, after this number of early exits in a row."""
    return min(FIRST_DELAY_S * 2.0 ** max(failures - 1, 0), LONGEST_DELAY_S)


async def supervise(children: Sequence[Child], *, stop: asyncio.Event, kill: asyncio.Event | None = None) -> int:
    """Keep the children running until `stop` is set or one exits finally; then end all, the last started first.

    When `kill` is set, every child is killed at once. Returns the exit status of the server: 0 if `stop` was set.
    """
    keepers = [ChildKeeper(child) for child in children]
    async with asyncio.TaskGroup() as tasks:
        stopped = tasks.create_task(_wait(stop), name="supervisor-stop")
        killed = tasks.create_task(_kill_all_when(kill or asyncio.Event(), keepers), name="supervisor-kill")
        kept = [tasks.create_task(keeper.keep(), name=f"supervisor-{keeper.child.name}") for keeper in keepers]
        done, _ = await asyncio.wait([stopped, *kept], return_when=asyncio.FIRST_COMPLETED)
        status = 0 if stopped in done else CANNOT_WORK
        stopped.cancel()
        for keeper, task in zip(reversed(keepers), reversed(kept), strict=True):
            await keeper.stop()
            await task
        killed.cancel()
    return status


async def _wait(event: asyncio.Event) -> None:
    await event.wait()


async def _kill_all_when(event: asyncio.Event, keepers: Sequence[ChildKeeper]) -> None:
    await event.wait()
    for keeper in keepers:
        keeper.kill()


class ChildKeeper:
    """A keeper keeps one child running. Invariant: at most one process of the child runs."""

    def __init__(self, child: Child) -> None:
        self.child = child
        self._stopping = asyncio.Event()
        self._process: asyncio.subprocess.Process | None = None

    async def keep(self) -> None:
        """Start the child, and start it again when it ends, until stopped or until it exits finally."""
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
        """Ask the child to end, and kill it when its grace is over."""
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
        """Kill the child at once, and do not start it again."""
        self._stopping.set()
        if self._process is not None and self._process.returncode is None:
            with suppress(ProcessLookupError):
                self._process.kill()

    async def _run_once(self) -> int:
        # The child has its own session: Ctrl-C in the terminal reaches the supervisor only, which stops all in order.
        # Its standard input is a pipe from us, which closes when we end in any way. Secrets are passed through it,
        # because arguments and environment can be read as long as the child runs.
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
        if self._stopping.is_set():  # stop was requested while it was starting
            started.terminate()
        return await started.wait()
