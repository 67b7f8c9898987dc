"""What a developer should see: warnings and errors of documents, fetches and sounds, the newest kept.

Source: Twilio, Notifications.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections import deque
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace

from holdfast.voice.model.effects import LogNotification
from holdfast.voice.model.errors import StoreFailed
from holdfast.voice.model.ids import CallSid, derive
from holdfast.voice.model.masking import masked
from holdfast.voice.model.ports import KeyValues

log = logging.getLogger(__name__)

CAPACITY = 1000
RETRY_S = 5.0
"""After this long a store that failed is tried again."""
_KIND = "notification"


@dataclass(frozen=True, slots=True, kw_only=True)
class LoggedNotification:
    """A notification that was logged. Units: `at` seconds since the Unix epoch."""

    sid: str
    logged_at: float
    notification: LogNotification


class Notifications:
    """The newest notifications, oldest forgotten first; each is a line of the log as well.

    `seed` is a random text: notification SIDs follow from it. With a `store` they outlive this process, as far as
    `run` came to write them.
    """

    def __init__(
        self, *, clock: Callable[[], float], seed: str, capacity: int = CAPACITY, store: KeyValues | None = None
    ) -> None:
        self._clock = clock
        self._seed = seed
        self._count = 0
        self._kept = capacity
        self._store = store
        self._notices: deque[LoggedNotification] = deque()
        self._to_write: deque[LoggedNotification] = deque()
        self._to_remove: deque[str] = deque()
        self._changed = asyncio.Event()
        self._failed = False

    def add(self, notification: LogNotification) -> None:
        """Keep and log a notification, without the passwords in it."""
        self._count += 1
        notification = replace(notification, url=masked(notification.url), message=masked(notification.message))
        notice = LoggedNotification(
            sid=derive("NO", self._seed, str(self._count)), logged_at=self._clock(), notification=notification
        )
        self._notices.append(notice)
        if self._store is not None:
            self._to_write.append(notice)
        self._forget_old()
        level = logging.ERROR if notification.log == 0 else logging.WARNING
        log.log(
            level,
            "call=%s code=%d url=%s message=%s",
            notification.call or "-",
            notification.code,
            notification.url or "-",
            notification.message,
        )

    def newest(self, call: CallSid | None = None, *, limit: int = CAPACITY) -> list[LoggedNotification]:
        """The notifications of one call, or of all; newest first."""
        found = (notice for notice in reversed(self._notices) if call is None or notice.notification.call == call)
        return [notice for notice, _ in zip(found, range(limit), strict=False)]

    async def load(self) -> None:
        """Put those of earlier runs before those of this one. One that cannot be read is left out."""
        if self._store is None:
            return
        stored = (_read(sid, text) for sid, text in (await self._store.get_all(_KIND)).items())
        earlier = sorted((notice for notice in stored if notice is not None), key=lambda notice: notice.logged_at)
        self._notices.extendleft(reversed(earlier))
        self._forget_old()

    async def run(self) -> None:
        """Write what is new and remove what is forgotten, until cancelled. A store that fails is tried again."""
        while True:
            await self._changed.wait()
            self._changed.clear()
            if not await self.write():
                await asyncio.sleep(RETRY_S)
                self._changed.set()

    async def write(self) -> bool:
        """Write and remove all that is due; whether the store took it."""
        while self._store is not None and (self._to_write or self._to_remove):
            notice = self._to_write[0] if self._to_write else None
            sid = self._to_remove[0] if notice is None else notice.sid
            try:
                if notice is None:
                    await self._store.remove(_KIND, sid)
                else:
                    await self._store.put(
                        _KIND, sid, json.dumps({"at": notice.logged_at, "said": asdict(notice.notification)})
                    )
            except StoreFailed as error:
                if not self._failed:
                    log.error("notifications could not be kept yet: %s", error.message)
                self._failed = True
                return False
            self._failed = False
            # While it was written it may have been forgotten, and have taken itself off.
            if notice is not None and self._to_write and self._to_write[0] is notice:
                self._to_write.popleft()
            elif notice is not None:
                self._to_remove.append(sid)
            elif self._to_remove and self._to_remove[0] == sid:
                self._to_remove.popleft()
        return True

    def _forget_old(self) -> None:
        while len(self._notices) > self._kept:
            gone = self._notices.popleft()
            if self._to_write and self._to_write[0] == gone:
                self._to_write.popleft()  # it was never written
            elif self._store is not None:
                self._to_remove.append(gone.sid)
        self._changed.set()


def read_notification(sid: str, text: str) -> LoggedNotification:
    """The notification that was written. Raises: KeyError, TypeError, ValueError."""
    values = json.loads(text)
    return LoggedNotification(sid=sid, logged_at=float(values["at"]), notification=LogNotification(**values["said"]))


def _read(sid: str, text: str) -> LoggedNotification | None:
    try:
        return read_notification(sid, text)
    except (KeyError, TypeError, ValueError) as error:
        log.error("a stored notification cannot be read: %r", error)
        return None
