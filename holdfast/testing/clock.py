"""The clock of all measurements: monotonic, and zero at the Unix epoch so that it reads as a date too."""

from __future__ import annotations

import time

_EPOCH_S = time.time() - time.monotonic()


def now_s() -> float:
    """Return the seconds since the Unix epoch: the time at the start of the program, and what has passed since."""
    return time.monotonic() + _EPOCH_S


def from_wall_s(wall_s: float) -> float:
    """Convert a recent time of the wall clock (a kernel's packet stamp) to this clock."""
    return now_s() - max(0.0, time.time() - wall_s)
