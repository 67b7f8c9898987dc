"""Figures of the holds for Prometheus."""

from collections import Counter
from collections.abc import Callable, Iterator

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector

from holdfast.holds.history.hold_log import HoldLog


class HoldsCollector(Collector):
    """What the book of holds says whenever somebody scrapes.

    Units: `now` is seconds since the Unix epoch, by the clock of the holds.
    """

    def __init__(self, ledger: HoldLog, now: Callable[[], float]) -> None:
        self._ledger = ledger
        self._now = now

    def collect(self) -> Iterator[GaugeMetricFamily | CounterMetricFamily]:
        """The gauges and counters."""
        active = self._ledger.active()
        standing = Counter((str(hold.way or ""), hold.status.value) for hold in active)
        meaning = "Holds that go on, by the way they are held and where they stand."
        family = GaugeMetricFamily("holdfast_holds", meaning, labels=["way", "status"])
        for labels, count in sorted(standing.items()):
            family.add_metric(labels, count)
        yield family
        longest = max((self._now() - hold.asked_at for hold in active), default=0.0)
        yield GaugeMetricFamily("holdfast_holds_longest_seconds", "How long the oldest of them lasts.", value=longest)
        ended = CounterMetricFamily("holdfast_holds_ended", "Holds that ended, by how.", labels=["way", "status"])
        # A hold that was refused ended before it had a way: the labels are compared, not what they stand for.
        told = {(str(way or ""), status.value): count for (way, status), count in self._ledger.ended.items()}
        for labels, count in sorted(told.items()):
            ended.add_metric(labels, count)
        yield ended
