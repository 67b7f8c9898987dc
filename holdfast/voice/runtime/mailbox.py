"""The mailbox of the engine: the one port through which its parts report what happened.

A part posts and goes on; the switch handles what waits here at the next turn of the event loop, in order. So every
part is whole before the switch, which carries out its effects by these parts, is made.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Protocol

from holdfast.voice.control.read_only_state import Message
from holdfast.voice.model.effects import LogNotification
from holdfast.voice.model.ports import Trace
from holdfast.voice.runtime.counters import Counters
from holdfast.voice.runtime.notification_log import Notifications


class EngineEvents(Protocol):
    """The port to which a part of the engine reports, and from which it reads the time."""

    def now(self) -> float:
        """Return the current time. Units: seconds since the Unix epoch."""

    def post(self, message: Message) -> None:
        """Post a fact or a command to the switch."""

    def notify(self, notification: LogNotification) -> None:
        """Log a warning or an error of a document, a fetch or a sound for the developer."""

    def trace(self, exchange: Trace) -> None:
        """Record a SIP message or a webhook for the ladder."""

    def count_refusal(self, message: str, status: str) -> None:
        """Count a message that a machine of the part refused in this status."""


class Mailbox:
    """A mailbox implements `EngineEvents`. Invariant: what waits is taken once, in the order in which it was posted."""

    def __init__(self, *, now: Callable[[], float], notifications: Notifications, counters: Counters) -> None:
        self.now = now
        self._notifications = notifications
        self._counters = counters
        self._waiting: deque[Message | Trace] = deque()
        self._filled = asyncio.Event()
        self._emptied = asyncio.Event()
        self._emptied.set()

    def post(self, message: Message) -> None:
        """Post a fact or a command to the switch."""
        self._add(message)

    def notify(self, notification: LogNotification) -> None:
        """Count and keep a warning or an error."""
        self._counters.count_notification(notification)
        self._notifications.add(notification)

    def trace(self, exchange: Trace) -> None:
        """Count an exchange with a web server, and have the switch record it."""
        self._counters.count_trace(exchange)
        self._add(exchange)

    def count_refusal(self, message: str, status: str) -> None:
        """Count a message that a machine of the part refused in this status."""
        self._counters.count_refusal(message, status)

    def take(self) -> Message | Trace | None:
        """Take the oldest that waits; None when the mailbox is empty."""
        if self._waiting:
            return self._waiting.popleft()
        self._emptied.set()
        self._filled.clear()
        return None

    async def filled(self) -> None:
        """Wait until something waits."""
        await self._filled.wait()

    async def emptied(self) -> None:
        """Wait until all that was posted is handled."""
        await self._emptied.wait()

    def clear(self) -> None:
        """Drop what waits, because the switch has stopped."""
        self._waiting.clear()
        self._emptied.set()

    @property
    def is_empty(self) -> bool:
        """Whether all that was posted is handled."""
        return self._emptied.is_set()

    def _add(self, item: Message | Trace) -> None:
        self._waiting.append(item)
        self._emptied.clear()
        self._filled.set()
