"""Count HTTP exchanges, notifications and refused messages since the start, for `/metrics`."""

from __future__ import annotations

from collections import Counter, defaultdict

from holdfast.voice.model.effects import LogNotification
from holdfast.voice.model.ports import Trace, WebhookTrace


class Counters:
    """The engine updates these counters, and the API reads them.

    Shape: outcomes are `2xx` to `5xx`, or `none` without a response.
    """

    def __init__(self) -> None:
        self.webhooks: Counter[tuple[str, str]] = Counter()
        """Requests by kind (`document`, `call`, `conference` …) and outcome."""
        self.webhook_s: defaultdict[str, float] = defaultdict(float)
        """The total time that web servers took, by kind. Units: seconds."""
        self.notifications: Counter[str] = Counter()
        """Notifications by level: `error` or `warning`."""
        self.refusals: Counter[tuple[str, str]] = Counter()
        """Messages that a machine refused, by message and status."""

    def count_trace(self, trace: Trace) -> None:
        """Count an exchange with a web server; other traces are ignored."""
        if isinstance(trace, WebhookTrace):
            outcome = f"{trace.status // 100}xx" if trace.status else "none"
            self.webhooks[trace.kind, outcome] += 1
            self.webhook_s[trace.kind] += trace.took_ms / 1000

    def count_notification(self, notification: LogNotification) -> None:
        """Count a notification."""
        self.notifications["error" if notification.log == 0 else "warning"] += 1

    def count_refusal(self, message: str, status: str) -> None:
        """Count a message that a machine refused."""
        self.refusals[message, status] += 1
