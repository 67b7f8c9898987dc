"""What a developer should see: warnings and errors of documents, fetches and sounds, the newest kept in memory.

Source: Twilio, Notifications.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from holdfast.voice.model.effects import LogNotification
from holdfast.voice.model.ids import CallSid, derive

log = logging.getLogger(__name__)

KEPT = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """A notification that was logged. Units: `at` seconds since the Unix epoch."""

    sid: str
    at: float
    said: LogNotification


class Notifications:
    """The newest notifications, oldest forgotten first; each is a line of the log as well.

    `seed` is a random text: notification SIDs follow from it.
    """

    def __init__(self, *, clock: Callable[[], float], seed: str, kept: int = KEPT) -> None:
        self._clock = clock
        self._seed = seed
        self._count = 0
        self._notices: deque[Notice] = deque(maxlen=kept)

    def add(self, said: LogNotification) -> None:
        """Keep and log a notification."""
        self._count += 1
        sid = derive("NO", self._seed, str(self._count))
        self._notices.append(Notice(sid=sid, at=self._clock(), said=said))
        level = logging.ERROR if said.log == 0 else logging.WARNING
        log.log(level, "call=%s code=%d url=%s message=%s", said.call or "-", said.code, said.url or "-", said.message)

    def of(self, call: CallSid | None = None, *, limit: int = KEPT) -> list[Notice]:
        """The notifications of one call, or of all; newest first."""
        found = (notice for notice in reversed(self._notices) if call is None or notice.said.call == call)
        return [notice for notice, _ in zip(found, range(limit), strict=False)]
