"""Every metric of `/metrics` is on the page for operators, and that page names no other."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.registry import Collector

from holdfast.holds.clock import SystemClock
from holdfast.holds.history.hold_log import HoldLog
from holdfast.holds.history.memory_store import MemoryStore
from holdfast.holds.web.metrics import HoldsCollector
from holdfast.voice.api.ops.metrics_endpoint import CallbackCollector, Metrics, TrunkCollector
from holdfast.voice.api.ops.quality_endpoint import QualityCollector
from holdfast.voice.media_process.control_link.protocol import Load
from holdfast.voice.model.effects import LogNotification
from holdfast.voice.model.ids import CallSid
from holdfast.voice.model.ports import SipMessageTrace, WebhookTrace
from holdfast.voice.runtime.counters import Counters
from holdfast.voice.runtime.quality_reports import Quality
from holdfast.voice.runtime.sip.trunks import Trunks
from tests.conformance.engine import Engine

PAGE = Path(__file__).parents[2] / "docs" / "operating.md"


def scraped(tally: Counters, *, not_ready: str | None = None) -> dict[str, float]:
    """Return every sample, by its name with its labels."""
    engine, quality = Engine(), Quality()
    quality.record(
        Load(
            rows=1,
            ticks=250,
            ticks_skipped=0,
            busy=0.1,
            p50_tick_ms=1.0,
            p99_tick_ms=2.0,
            p99_worked_ms=1.5,
            longest_tick_ms=3.0,
            latest_start_ms=0.5,
        )
    )
    metrics = Metrics(switch=engine)
    metrics.add("media", QualityCollector(quality))
    metrics.add_counters(tally, lambda: not_ready)
    metrics.add("callbacks", CallbackCollector(NoCallbacks()))
    metrics.add("trunks", TrunkCollector(Trunks()))
    metrics.add("holds", HoldsCollector(HoldLog(MemoryStore(), SystemClock()), lambda: 0.0))
    return read(metrics)


class NoCallbacks:
    """A web server that accepts everything."""

    def backlog(self) -> tuple[int, float]:
        return 0, 0.0


def read(metrics: Metrics) -> dict[str, float]:
    """Return every sample, by its name with its labels, and the name of each family."""
    found = {}
    for family in text_string_to_metric_families(metrics.exposition().decode()):
        found[f"family {family.name}"] = 1.0
        for sample in family.samples:
            found["|".join([sample.name, *sample.labels.values()])] = sample.value
    return found


def test_the_page_names_exactly_the_metrics_that_exist() -> None:
    promised = {name.removesuffix("_total") for name in re.findall(r"^\| `(holdfast_\w+)`", PAGE.read_text(), re.M)}
    families = (name.removeprefix("family ") for name in scraped(Counters()) if name.startswith("family "))
    shown = {name for name in families if not name.endswith("_created")}  # when a histogram began, not a figure
    assert shown == promised


def test_webhooks_and_notifications_are_counted() -> None:
    tally = Counters()
    for status, kind in ((200, "document"), (204, "call"), (404, "call"), (0, "document")):
        tally.count_trace(
            WebhookTrace(call=None, kind=kind, method="POST", url="http://x/", form=(), status=status, took_ms=250)
        )
    tally.count_trace(SipMessageTrace(call=CallSid("CA1"), received=True, summary="INVITE", peer="127.0.0.1"))
    for level in (0, 1, 1):
        tally.count_notification(LogNotification(call=None, code=11200, log=level, message="x"))
    found = scraped(tally)
    assert found["holdfast_webhooks_total|document|2xx"] == 1
    assert found["holdfast_webhooks_total|document|none"] == 1
    assert found["holdfast_webhooks_total|call|2xx"] == 1
    assert found["holdfast_webhooks_total|call|4xx"] == 1
    assert found["holdfast_webhook_seconds_total|call"] == 0.5
    assert (found["holdfast_notifications_total|error"], found["holdfast_notifications_total|warning"]) == (1, 2)


def test_refused_messages_are_counted_by_message_and_status() -> None:
    tally = Counters()
    for status in ("queued", "in-progress", "in-progress"):
        tally.count_refusal("LegAnswered", status)
    found = scraped(tally)
    assert found["holdfast_messages_refused_total|LegAnswered|queued"] == 1
    assert found["holdfast_messages_refused_total|LegAnswered|in-progress"] == 2


def test_readiness_is_a_metric() -> None:
    assert scraped(Counters())["holdfast_ready"] == 1
    assert scraped(Counters(), not_ready="the media process is away")["holdfast_ready"] == 0


class Broken(Collector):
    """A collector that yields one metric and fails on the next."""

    def collect(self) -> Iterator[GaugeMetricFamily]:
        yield GaugeMetricFamily("holdfast_half", "A figure of a part that fails.", value=1)
        raise TypeError("'<' not supported between instances of 'NoneType' and 'str'")


def test_a_failing_collector_affects_no_other_and_is_named(caplog: pytest.LogCaptureFixture) -> None:
    metrics = Metrics(switch=Engine())
    metrics.add("the broken part", Broken())
    metrics.add_counters(Counters(), lambda: None)
    for _ in range(3):
        found = read(metrics)
        assert found["holdfast_figures_missing|the broken part"] == 1
        assert [found[f"holdfast_figures_missing|{part}"] for part in ("calls", "webhooks")] == [0, 0]
        assert (found["holdfast_ready"], found["holdfast_conferences"]) == (1, 0)
        assert "family holdfast_half" not in found
    assert [record.message for record in caplog.records] == [
        "the metrics of the broken part cannot be collected; /metrics shows the others"
    ]
