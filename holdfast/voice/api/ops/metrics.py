"""Figures for Prometheus: what lives, counted at each scrape from the board, and what was asked of us."""

from __future__ import annotations

import logging
import time
from collections import Counter as Count
from collections.abc import Callable, Iterator, Sequence
from typing import Protocol

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from holdfast.voice.api.ports import SwitchPort
from holdfast.voice.control.entities import FINAL, CallStatus, RoomStatus
from holdfast.voice.runtime.counters import Counters

BUCKETS_S = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)

log = logging.getLogger(__name__)


class Metrics:
    """One registry of its own, so that two engines in one process do not meet.

    Invariant: a part whose figures cannot be made is missing from them, and `holdfast_figures_missing` says so; the
    figures of all others are shown.
    """

    def __init__(self, *, switch: SwitchPort) -> None:
        self._registry = CollectorRegistry()
        self._parts: list[Part] = []
        self._registry.register(Parts(self._parts))
        self.show("calls", StateCollector(switch))
        self.requests = Counter(
            "holdfast_api_requests", "REST requests answered.", ("method", "status"), registry=self._registry
        )
        self.seconds = Histogram(
            "holdfast_api_request_seconds", "Time to answer a REST request.", buckets=BUCKETS_S, registry=self._registry
        )

    def show(self, name: str, collector: Collector) -> None:
        """Show the figures of one more part; `name` is what an operator calls it."""
        self._parts.append(Part(name, collector))

    def count(self, tally: Counters, not_ready: Callable[[], str | None]) -> None:
        """Show an engine's counts and whether it is ready, too."""
        self.show("webhooks", CounterCollector(tally, not_ready))

    def exposition(self) -> bytes:
        """Everything in the text format. Source: Prometheus exposition format 0.0.4."""
        return generate_latest(self._registry)


class Part:
    """One collector, whose faults stay its own."""

    def __init__(self, name: str, collector: Collector) -> None:
        self.name = name
        self._collector = collector
        self._said = False

    def figures(self) -> Sequence[Metric] | None:
        """Its figures, or None when they cannot be made; the log says why, the first time."""
        try:
            return list(self._collector.collect())
        except Exception:
            # A fault of ours in one figure must not blind an operator for all of them.
            if not self._said:
                log.exception("the figures of %s cannot be made; /metrics shows the others", self.name)
            self._said = True
            return None


class Parts(Collector):
    """The figures of every part that can make its own, and which part cannot."""

    def __init__(self, parts: Sequence[Part]) -> None:
        self._parts = parts

    def collect(self) -> Iterator[Metric]:
        """The figures, part by part."""
        told = "1 when the figures of this part cannot be made (the log says why), else 0."
        missing = GaugeMetricFamily("holdfast_figures_missing", told, labels=["part"])
        for part in self._parts:
            figures = part.figures()
            missing.add_metric([part.name], 1 if figures is None else 0)
            yield from figures or ()
        yield missing


class StateCollector(Collector):
    """Counts the board whenever somebody scrapes, so that no count can drift from what is."""

    def __init__(self, switch: SwitchPort) -> None:
        self._switch = switch

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """The gauges."""
        board = self._switch.state
        statuses = Count(call.status for call in board.calls.values())
        calls = GaugeMetricFamily("holdfast_calls", "Calls that live, by status.", labels=["status"])
        for status in CallStatus:
            if status not in FINAL:
                calls.add_metric([status.value], statuses[status])
        yield calls
        active = [
            room
            for room in board.rooms.values()
            if room.kind == "conference" and room.status is not RoomStatus.COMPLETED
        ]
        yield GaugeMetricFamily("holdfast_conferences", "Conferences that are not over.", value=len(active))
        everybody = [member for room in active for member in room.participants]
        yield GaugeMetricFamily("holdfast_participants", "Calls in conferences.", value=len(everybody))
        held = sum(member.held for member in everybody)
        yield GaugeMetricFamily("holdfast_participants_held", "Participants on hold.", value=held)
        queues = [queue for queue in board.queues.values() if not queue.deleted]
        yield GaugeMetricFamily("holdfast_queues", "Queues.", value=len(queues))
        waiting = sum(len(queue.members) for queue in queues)
        yield GaugeMetricFamily("holdfast_queue_members", "Calls that wait in queues.", value=waiting)


class CounterCollector(Collector):
    """What went over HTTP and what was noted since the start, and whether calls can be made."""

    def __init__(self, tally: Counters, not_ready: Callable[[], str | None]) -> None:
        self._tally = tally
        self._not_ready = not_ready

    def collect(self) -> Iterator[GaugeMetricFamily | CounterMetricFamily]:
        """The counters."""
        tally = self._tally
        ready = GaugeMetricFamily("holdfast_ready", "1 when calls can be made, else 0.")
        ready.add_metric([], 0 if self._not_ready() else 1)
        yield ready
        webhooks = CounterMetricFamily(
            "holdfast_webhooks", "Requests to web servers, by kind and outcome.", labels=["kind", "outcome"]
        )
        for (kind, outcome), count in sorted(tally.webhooks.items()):
            webhooks.add_metric([kind, outcome], count)
        yield webhooks
        seconds = CounterMetricFamily("holdfast_webhook_seconds", "Time web servers took.", labels=["kind"])
        for kind, took_s in sorted(tally.webhook_s.items()):
            seconds.add_metric([kind], took_s)
        yield seconds
        noted = CounterMetricFamily("holdfast_notifications", "Errors and warnings told.", labels=["level"])
        for level in ("error", "warning"):
            noted.add_metric([level], tally.notifications[level])
        yield noted


class Backlog(Protocol):
    """Those who send callbacks."""

    def backlog(self) -> tuple[int, float]:
        """How many are not taken yet, and how long the oldest of them waits. Units: seconds."""


class CallbackCollector(Collector):
    """Callbacks that no web server has taken yet, so that a receiver that is dead is seen while calls go on."""

    def __init__(self, callbacks: Backlog) -> None:
        self._callbacks = callbacks

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """The gauges."""
        count, longest_s = self._callbacks.backlog()
        yield GaugeMetricFamily("holdfast_callbacks_waiting", "Callbacks that are not taken yet.", value=count)
        told = "How long the oldest of them waits."
        yield GaugeMetricFamily("holdfast_callbacks_longest_seconds", told, value=longest_s)


class CountedRequests:
    """ASGI middleware: counts and times every request."""

    def __init__(self, app: ASGIApp, *, metrics: Metrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on, and note how it was answered."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began = time.perf_counter()
        method = scope["method"] if scope["method"] in ("GET", "POST", "DELETE") else "other"

        async def noted(message: Message) -> None:
            if message["type"] == "http.response.start":
                self._metrics.requests.labels(method, str(message["status"])).inc()
                self._metrics.seconds.observe(time.perf_counter() - began)
            await send(message)

        await self._app(scope, receive, noted)
