"""Log inbound calls that are rejected and never reported to the engine."""

from __future__ import annotations

import logging
from collections.abc import Callable

from holdfast.voice.model.ids import CallSid

MAX_LINES = 10
LOG_INTERVAL_S = 10.0
"""At most `MAX_LINES` calls are logged in this time: a peer that dials at random dials often."""

log = logging.getLogger(__name__)


class RejectedCalls:
    """A log of rejected calls; of many at once it reports only the number."""

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._count = 0
        self._until = 0.0

    def log_rejection(self, call: CallSid, why: str) -> None:
        """Log one rejected call."""
        if self._now() >= self._until:
            if self._count > MAX_LINES:
                log.info("%d more calls were rejected", self._count - MAX_LINES)
            self._count, self._until = 0, self._now() + LOG_INTERVAL_S
        self._count += 1
        if self._count <= MAX_LINES:
            log.info("call=%s rejected: %s", call, why)
