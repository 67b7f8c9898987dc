"""Counts of what went over HTTP and what was noted, since the start; read by `/metrics`."""

from __future__ import annotations

from collections import Counter, defaultdict

from holdfast.voice.model.effects import LogNotification
from holdfast.voice.model.ports import Trace, WebSeen


class Counters:
    """Told by the engine; asked by the API. Shape: outcomes are `2xx` to `5xx`, or `none` without an answer."""

    def __init__(self) -> None:
        self.webhooks: Counter[tuple[str, str]] = Counter()
        """By kind (`document`, `call`, `conference` …) and outcome."""
        self.webhook_s: defaultdict[str, float] = defaultdict(float)
        """Time that web servers took, by kind. Units: seconds."""
        self.notifications: Counter[str] = Counter()
        """By level: `error` or `warning`."""

    def count_trace(self, trace: Trace) -> None:
        """An exchange took place."""
        if isinstance(trace, WebSeen):
            outcome = f"{trace.status // 100}xx" if trace.status else "none"
            self.webhooks[trace.kind, outcome] += 1
            self.webhook_s[trace.kind] += trace.took_ms / 1000

    def count_notification(self, notification: LogNotification) -> None:
        """A developer was told of something."""
        self.notifications["error" if notification.log == 0 else "warning"] += 1
