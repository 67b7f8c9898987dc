"""The one clock of a bench: monotonic, and zero at the Unix epoch so that it reads as a date too."""

from __future__ import annotations

import time

_EPOCH_S = time.time() - time.monotonic()


def now_s() -> float:
    """Seconds since the epoch as they were when the program began, plus what passed since."""
    return time.monotonic() + _EPOCH_S


def from_wall_s(wall_s: float) -> float:
    """A moment of the recent past read from the wall clock (a kernel's packet stamp) on this clock."""
    return now_s() - max(0.0, time.time() - wall_s)
