"""Every figure that `/metrics` can show is on the page for operators, and that page promises no other."""

from __future__ import annotations

import re
from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families

from holdfast.holds.clock import SystemClock
from holdfast.holds.figures import HoldsCollector
from holdfast.holds.ledger import Ledger
from holdfast.holds.memory import MemoryStore
from holdfast.voice.api.metrics import Metrics
from holdfast.voice.api.quality import QualityCollector
from holdfast.voice.api.trunks import TrunkCollector
from holdfast.voice.model.effects import LogNotification
from holdfast.voice.model.ids import CallSid
from holdfast.voice.model.ports import SipSeen, WebSeen
from holdfast.voice.runtime.legs.trunks import Trunks
from holdfast.voice.runtime.mediaplane.messages import Load
from holdfast.voice.runtime.quality import Quality
from holdfast.voice.runtime.tally import Tally
from tests.conformance.engine import Engine

PAGE = Path(__file__).parents[2] / "docs" / "operating.md"


def scraped(tally: Tally, *, not_ready: str | None = None) -> dict[str, float]:
    """Every sample, by its name with its labels."""
    engine, quality = Engine(), Quality()
    quality.note(
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
    metrics.registry.register(QualityCollector(quality))
    metrics.count(tally, lambda: not_ready)
    metrics.registry.register(TrunkCollector(Trunks()))
    metrics.registry.register(HoldsCollector(Ledger(MemoryStore(), SystemClock()), lambda: 0.0))
    found = {}
    for family in text_string_to_metric_families(metrics.exposition().decode()):
        found[f"family {family.name}"] = 1.0
        for sample in family.samples:
            found["|".join([sample.name, *sample.labels.values()])] = sample.value
    return found


def test_the_page_names_what_is_shown_and_nothing_else() -> None:
    promised = {name.removesuffix("_total") for name in re.findall(r"^\| `(holdfast_\w+)`", PAGE.read_text(), re.M)}
    families = (name.removeprefix("family ") for name in scraped(Tally()) if name.startswith("family "))
    shown = {name for name in families if not name.endswith("_created")}  # when a histogram began, not a figure
    assert shown == promised


def test_webhooks_and_notifications_are_counted() -> None:
    tally = Tally()
    for status, kind in ((200, "document"), (204, "call"), (404, "call"), (0, "document")):
        tally.saw(WebSeen(call=None, kind=kind, method="POST", url="http://x/", form=(), status=status, took_ms=250))
    tally.saw(SipSeen(call=CallSid("CA1"), received=True, summary="INVITE", peer="127.0.0.1"))
    for level in (0, 1, 1):
        tally.noted(LogNotification(call=None, code=11200, log=level, message="x"))
    found = scraped(tally)
    assert found["holdfast_webhooks_total|document|2xx"] == 1
    assert found["holdfast_webhooks_total|document|none"] == 1
    assert found["holdfast_webhooks_total|call|2xx"] == 1
    assert found["holdfast_webhooks_total|call|4xx"] == 1
    assert found["holdfast_webhook_seconds_total|call"] == 0.5
    assert (found["holdfast_notifications_total|error"], found["holdfast_notifications_total|warning"]) == (1, 2)


def test_readiness_is_a_figure_too() -> None:
    assert scraped(Tally())["holdfast_ready"] == 1
    assert scraped(Tally(), not_ready="the media process is away")["holdfast_ready"] == 0
