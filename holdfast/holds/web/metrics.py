"""This module exports the metrics of holds for Prometheus."""

from collections import Counter
from collections.abc import Callable, Iterator

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector

from holdfast.holds.history.hold_log import HoldLog


class HoldsCollector(Collector):
    """A holds collector reads the hold log at every scrape.

    Units: `now` is seconds since the Unix epoch, by the clock of the holds.
    """

    def __init__(self, hold_log: HoldLog, now: Callable[[], float]) -> None:
        self._hold_log = hold_log
        self._now = now

    def collect(self) -> Iterator[GaugeMetricFamily | CounterMetricFamily]:
        """Yield the gauges and counters."""
        active = self._hold_log.active()
        active_counts = Counter((str(hold.way or ""), hold.status.value) for hold in active)
        description = "Active holds, by way and status."
        family = GaugeMetricFamily("holdfast_holds", description, labels=["way", "status"])
        for labels, count in sorted(active_counts.items()):
            family.add_metric(labels, count)
        yield family
        longest = max((self._now() - hold.asked_at for hold in active), default=0.0)
        yield GaugeMetricFamily("holdfast_holds_longest_seconds", "Age of the oldest active hold.", value=longest)
        ended = CounterMetricFamily(
            "holdfast_holds_ended", "Ended holds, by way and final status.", labels=["way", "status"]
        )
        # A hold that was refused ended before it had a way: the labels are compared, not what they stand for.
        ended_counts = {
            (str(way or ""), status.value): count for (way, status), count in self._hold_log.ended_counts.items()
        }
        for labels, count in sorted(ended_counts.items()):
            ended.add_metric(labels, count)
        yield ended
        refused = CounterMetricFamily(
            "holdfast_holds_messages_refused",
            "Messages that a hold did not take in its status.",
            labels=["status", "message"],
        )
        for (status, message), count in sorted(self._hold_log.refused_counts.items()):
            refused.add_metric((status.value, message), count)
        yield refused
