"""Collect metrics for Prometheus: live nouns, counted in the engine state at each scrape, and REST requests."""

from __future__ import annotations

import logging
import time
from collections import Counter as Count
from collections.abc import Callable, Iterator, Sequence
from typing import Protocol

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from starlette.types import Message, Send

from holdfast.voice.api.ports import SwitchPort
from holdfast.voice.control.entities import FINAL, CallStatus, RoomStatus
from holdfast.voice.runtime.counters import Counters
from holdfast.voice.runtime.sip.trunks import Trunks

BUCKETS_S = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)

log = logging.getLogger(__name__)


class Metrics:
    """The metrics of one engine, in a registry of their own, so that two engines in one process do not share any.

    Invariant: when a collector fails, its metrics are missing and `holdfast_figures_missing` reports it; the metrics
    of all other collectors are shown.
    """

    def __init__(self, *, switch: SwitchPort) -> None:
        self._registry = CollectorRegistry()
        self._parts: list[GuardedCollector] = []
        self._registry.register(GuardedCollectors(self._parts))
        self.add("calls", StateCollector(switch))
        self.requests = Counter(
            "holdfast_api_requests", "REST requests answered.", ("method", "status"), registry=self._registry
        )
        self.seconds = Histogram(
            "holdfast_api_request_seconds", "Time to answer a REST request.", buckets=BUCKETS_S, registry=self._registry
        )

    def add(self, name: str, collector: Collector) -> None:
        """Add a collector. `name` is the name that operators see."""
        self._parts.append(GuardedCollector(name, collector))

    def add_counters(self, tally: Counters, not_ready: Callable[[], str | None]) -> None:
        """Add an engine's counters and its readiness."""
        self.add("webhooks", CounterCollector(tally, not_ready))

    def counted(self, method: str, send: Send) -> Send:
        """Return `send` for one request: it counts and times the response."""
        began = time.perf_counter()
        method = method if method in ("GET", "POST", "DELETE") else "other"

        async def counting(message: Message) -> None:
            if message["type"] == "http.response.start":
                self.requests.labels(method, str(message["status"])).inc()
                self.seconds.observe(time.perf_counter() - began)
            await send(message)

        return counting

    def exposition(self) -> bytes:
        """Return all metrics in the text format. Source: Prometheus exposition format 0.0.4."""
        return generate_latest(self._registry)


class GuardedCollector:
    """A collector whose failure does not affect the others."""

    def __init__(self, name: str, collector: Collector) -> None:
        self.name = name
        self._collector = collector
        self._logged = False

    def metrics(self) -> Sequence[Metric] | None:
        """Return the metrics, or None when the collector fails. The first failure is logged."""
        try:
            return list(self._collector.collect())
        except Exception:
            # One collector that fails must not hide the metrics of all others.
            if not self._logged:
                log.exception("the metrics of %s cannot be collected; /metrics shows the others", self.name)
            self._logged = True
            return None


class GuardedCollectors(Collector):
    """The metrics of all collectors that work, and the names of those that fail."""

    def __init__(self, parts: Sequence[GuardedCollector]) -> None:
        self._parts = parts

    def collect(self) -> Iterator[Metric]:
        """Yield the metrics, collector by collector."""
        description = "1 when the metrics of this part cannot be collected (the log says why), else 0."
        missing = GaugeMetricFamily("holdfast_figures_missing", description, labels=["part"])
        for part in self._parts:
            metrics = part.metrics()
            missing.add_metric([part.name], 1 if metrics is None else 0)
            yield from metrics or ()
        yield missing


class StateCollector(Collector):
    """Counts the engine state at each scrape, so that no count can differ from the state."""

    def __init__(self, switch: SwitchPort) -> None:
        self._switch = switch

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """Yield the gauges."""
        state = self._switch.state
        statuses = Count(call.status for call in state.calls.values())
        calls = GaugeMetricFamily("holdfast_calls", "Live calls, by status.", labels=["status"])
        for status in CallStatus:
            if status not in FINAL:
                calls.add_metric([status.value], statuses[status])
        yield calls
        active = [
            room
            for room in state.rooms.values()
            if room.kind == "conference" and room.status is not RoomStatus.COMPLETED
        ]
        yield GaugeMetricFamily("holdfast_conferences", "Conferences that have not ended.", value=len(active))
        participants = [member for room in active for member in room.participants]
        yield GaugeMetricFamily("holdfast_participants", "Calls in conferences.", value=len(participants))
        held = sum(member.held for member in participants)
        yield GaugeMetricFamily("holdfast_participants_held", "Participants on hold.", value=held)
        queues = [queue for queue in state.queues.values() if not queue.deleted]
        yield GaugeMetricFamily("holdfast_queues", "Queues.", value=len(queues))
        waiting = sum(len(queue.members) for queue in queues)
        yield GaugeMetricFamily("holdfast_queue_members", "Calls that wait in queues.", value=waiting)


class CounterCollector(Collector):
    """Counts webhooks, notifications and refused messages since the start, and reports whether calls can be made."""

    def __init__(self, tally: Counters, not_ready: Callable[[], str | None]) -> None:
        self._counters = tally
        self._not_ready = not_ready

    def collect(self) -> Iterator[GaugeMetricFamily | CounterMetricFamily]:
        """Yield the counters."""
        tally = self._counters
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
        noted = CounterMetricFamily("holdfast_notifications", "Errors and warnings logged.", labels=["level"])
        for level in ("error", "warning"):
            noted.add_metric([level], tally.notifications[level])
        yield noted
        refused = CounterMetricFamily(
            "holdfast_messages_refused",
            "Messages that no table lists for the status of their noun.",
            labels=["message", "status"],
        )
        for (message, status), count in sorted(tally.refusals.items()):
            refused.add_metric([message, status], count)
        yield refused


class Backlog(Protocol):
    """Knows the callbacks that are not delivered yet."""

    def backlog(self) -> tuple[int, float]:
        """Return how many callbacks are not delivered yet, and how long the oldest waits. Units: seconds."""


class CallbackCollector(Collector):
    """Reports callbacks that are not delivered yet, so that operators see a dead receiver while calls go on."""

    def __init__(self, callbacks: Backlog) -> None:
        self._callbacks = callbacks

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """Yield the gauges."""
        count, longest_s = self._callbacks.backlog()
        yield GaugeMetricFamily("holdfast_callbacks_waiting", "Callbacks that are not delivered yet.", value=count)
        description = "How long the oldest callback waits."
        yield GaugeMetricFamily("holdfast_callbacks_longest_seconds", description, value=longest_s)


class TrunkCollector(Collector):
    """Reports our registration with each trunk at each scrape."""

    def __init__(self, trunks: Trunks) -> None:
        self._trunks = trunks

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """Yield the gauges."""
        description = "1 when we are registered with the trunk, else 0."
        family = GaugeMetricFamily("holdfast_trunk_registered", description, labels=["trunk"])
        for standing in self._trunks.statuses():
            family.add_metric([standing.label], 1 if standing.state == "registered" else 0)
        yield family
