"""The ticker says when ticks are due: every 20 ms of the monotonic clock, however long the ticks before took."""

from __future__ import annotations

TICK_S = 0.02


class Ticker:
    """A ticker has absolute deadlines. A tick that missed its slot is left out and counted, never made up for."""

    def __init__(self, now: float) -> None:
        self._start = now
        self._slot = 1
        self.skipped = 0

    @property
    def deadline(self) -> float:
        """The time at which the next tick is due. Units: seconds of the monotonic clock."""
        return self._start + self._slot * TICK_S

    def begin(self, now: float) -> int:
        """Begin a tick at or after its deadline; return how many whole slots before it were left out."""
        skipped = max(0, int((now - self.deadline) / TICK_S))
        self._slot += skipped + 1
        self.skipped += skipped
        return skipped
