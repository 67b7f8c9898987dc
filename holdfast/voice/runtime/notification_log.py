"""Keep the newest warnings and errors of documents, fetches and sounds, for the developer to see.

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
from holdfast.voice.model.masking import mask_passwords
from holdfast.voice.model.ports import KeyValues

log = logging.getLogger(__name__)

CAPACITY = 1000
RETRY_S = 5.0
"""The time after which a write to a failed store is tried again."""
_KIND = "notification"


@dataclass(frozen=True, slots=True, kw_only=True)
class LoggedNotification:
    """A notification that was logged. Units: `logged_at` seconds since the Unix epoch."""

    sid: str
    logged_at: float
    notification: LogNotification


class Notifications:
    """A bounded list holds the newest notifications; each is also written to the log.

    `seed` is a random text from which notification SIDs are derived. With a `store`, notifications that `run` has
    written survive this process.
    """

    def __init__(
        self, *, clock: Callable[[], float], seed: str, capacity: int = CAPACITY, store: KeyValues | None = None
    ) -> None:
        self._clock = clock
        self._seed = seed
        self._count = 0
        self._capacity = capacity
        self._store = store
        self._newest: deque[LoggedNotification] = deque()
        self._to_write: deque[LoggedNotification] = deque()
        self._to_remove: deque[str] = deque()
        self._changed = asyncio.Event()
        self._failed = False

    def add(self, notification: LogNotification) -> None:
        """Keep and log a notification, with passwords masked."""
        self._count += 1
        notification = replace(
            notification, url=mask_passwords(notification.url), message=mask_passwords(notification.message)
        )
        logged = LoggedNotification(
            sid=derive("NO", self._seed, str(self._count)), logged_at=self._clock(), notification=notification
        )
        self._newest.append(logged)
        if self._store is not None:
            self._to_write.append(logged)
        self._drop_old()
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
        """Return the notifications of one call, or of all calls, the newest first."""
        found = (logged for logged in reversed(self._newest) if call is None or logged.notification.call == call)
        return [logged for logged, _ in zip(found, range(limit), strict=False)]

    async def load(self) -> None:
        """Load the notifications of earlier runs; one that cannot be read is left out."""
        if self._store is None:
            return
        stored = (_read(sid, text) for sid, text in (await self._store.get_all(_KIND)).items())
        earlier = sorted((logged for logged in stored if logged is not None), key=lambda logged: logged.logged_at)
        self._newest.extendleft(reversed(earlier))
        self._drop_old()

    async def run(self) -> None:
        """Write new notifications and remove old ones until cancelled; retry a store that fails."""
        while True:
            await self._changed.wait()
            self._changed.clear()
            if not await self.write():
                await asyncio.sleep(RETRY_S)
                self._changed.set()

    async def write(self) -> bool:
        """Write and remove all that is due; return whether the store accepted it."""
        while self._store is not None and (self._to_write or self._to_remove):
            logged = self._to_write[0] if self._to_write else None
            sid = self._to_remove[0] if logged is None else logged.sid
            try:
                if logged is None:
                    await self._store.remove(_KIND, sid)
                else:
                    await self._store.put(
                        _KIND, sid, json.dumps({"at": logged.logged_at, "said": asdict(logged.notification)})
                    )
            except StoreFailed as error:
                if not self._failed:
                    log.error("notifications could not be stored yet: %s", error.message)
                self._failed = True
                return False
            self._failed = False
            # While it was written, it may have been dropped from the list and from the queue.
            if logged is not None and self._to_write and self._to_write[0] is logged:
                self._to_write.popleft()
            elif logged is not None:
                self._to_remove.append(sid)
            elif self._to_remove and self._to_remove[0] == sid:
                self._to_remove.popleft()
        return True

    def _drop_old(self) -> None:
        while len(self._newest) > self._capacity:
            dropped = self._newest.popleft()
            if self._to_write and self._to_write[0] == dropped:
                self._to_write.popleft()  # it was never written
            elif self._store is not None:
                self._to_remove.append(dropped.sid)
        self._changed.set()


def read_notification(sid: str, text: str) -> LoggedNotification:
    """Parse a stored notification. Raises: KeyError, TypeError, ValueError."""
    values = json.loads(text)
    return LoggedNotification(sid=sid, logged_at=float(values["at"]), notification=LogNotification(**values["said"]))


def _read(sid: str, text: str) -> LoggedNotification | None:
    try:
        return read_notification(sid, text)
    except (KeyError, TypeError, ValueError) as error:
        log.error("a stored notification cannot be read: %r", error)
        return None
