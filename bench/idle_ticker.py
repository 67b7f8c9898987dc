"""Measure the longest stall of an idle ticker: how late this machine itself wakes up a process.

A process of its own ticks every 20 ms until its standard input is closed; then it prints its worst lateness in seconds.
Whatever a stream of packets shows beyond it is caused by the engine.
"""

from __future__ import annotations

import select
import subprocess
import sys
import time
from types import TracebackType
from typing import Self

TICK_S = 0.02


class IdleTicker:
    """A ticker that runs beside a measurement, from `with` to its end."""

    longest_stall_s = 0.0

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "bench.idle_ticker"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        output, _ = self._process.communicate(timeout=10.0)
        self.longest_stall_s = float(output)


def tick_until_stopped() -> float:
    """Tick until standard input ends; return the longest lateness of a tick, in seconds."""
    longest_s, deadline_s = 0.0, time.monotonic() + TICK_S
    while True:
        remaining_s = deadline_s - time.monotonic()
        if remaining_s > 0 and select.select([sys.stdin], [], [], remaining_s)[0]:
            return longest_s
        lateness_s = max(0.0, time.monotonic() - deadline_s)
        longest_s = max(longest_s, lateness_s)
        deadline_s += TICK_S * (1 + int(lateness_s / TICK_S))


if __name__ == "__main__":
    print(tick_until_stopped())
