"""Collect metrics for Prometheus of the trunks with which we register."""

from __future__ import annotations

from collections.abc import Iterator

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from holdfast.voice.runtime.sip.trunks import Trunks


class TrunkCollector(Collector):
    """Reports our registration with each trunk at each scrape."""

    def __init__(self, trunks: Trunks) -> None:
        self._trunks = trunks

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """Yield the gauges."""
        description = "1 when we are registered with the trunk, else 0."
        family = GaugeMetricFamily("holdfast_trunk_registered", description, labels=["trunk"])
        for standing in self._trunks.statuses():
            trunk = f"{standing.user}@{standing.host}:{standing.port}"
            family.add_metric([trunk], 1 if standing.state == "registered" else 0)
        yield family
