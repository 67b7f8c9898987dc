"""The log of calls in that the engine never hears of."""

from __future__ import annotations

import logging
from collections.abc import Callable

from holdfast.voice.model.ids import CallSid

MAX_LINES = 10
LOG_INTERVAL_S = 10.0
"""No more than `MOST_TOLD` lines in this time: whoever dials at random dials much."""

log = logging.getLogger(__name__)


class RejectedCalls:
    """Tells of each call that was turned away, and of many at once only how many there were."""

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._count = 0
        self._until = 0.0

    def log_rejection(self, call: CallSid, why: str) -> None:
        """One more."""
        if self._now() >= self._until:
            if self._count > MAX_LINES:
                log.info("%d more calls were turned away", self._count - MAX_LINES)
            self._count, self._until = 0, self._now() + LOG_INTERVAL_S
        self._count += 1
        if self._count <= MAX_LINES:
            log.info("call=%s turned away: %s", call, why)
