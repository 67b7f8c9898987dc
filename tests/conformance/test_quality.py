"""Operators and Prometheus read the audio quality of calls."""

from __future__ import annotations

from dataclasses import replace

import pytest
from prometheus_client import CollectorRegistry, generate_latest

from holdfast.voice.api.ops.quality_endpoint import QualityCollector, make_quality
from holdfast.voice.media_process.control_link.protocol import FactsLost, FirstPacket, RowAudioStarted, TicksSkipped
from holdfast.voice.runtime.quality_reports import Quality
from tests.conformance.engine import ACCOUNT, TOKEN
from tests.conformance.rest_client import BASIC, RestApi, new_rest_api
from tests.unit.voice.runtime.test_quality_reports import ONE, load

CALL = f"CA{'1' * 32}"


async def place_with(quality: Quality) -> RestApi:
    api = await new_rest_api()
    api.diagnostics().include_router(make_quality(quality, account_sid=ACCOUNT, auth_token=TOKEN))
    return api


async def test_every_live_call_is_listed_and_can_be_read() -> None:
    quality = Quality()
    api = await place_with(quality)
    assert (await api.request("GET", "/engine/quality")).json == {"calls": []}
    quality.record(replace(ONE, leg=CALL, reported_lost=2, round_trip_ms=12.5))
    (listed,) = (await api.request("GET", "/engine/quality")).json["calls"]
    assert listed == (await api.request("GET", f"/engine/quality/{CALL}")).json
    assert listed == {
        "call": CALL,
        "ended": False,
        "codec": "PCMU",
        "mos": 3.9,
        "reported_mos": None,
        "round_trip_ms": 12.5,
        "jitter_ms": 3.5,
        "buffer_ms": 60,
        "packets_sent": 250,
        "packets_received": 240,
        "packets_lost": 10,
        "packets_late": 1,
        "packets_refused": 0,
        "packets_too_long": 0,
        "strange": 0,
        "stranger": None,
        "frames_concealed": 11,
        "reported_lost": 2,
        "reported_jitter_ms": None,
    }
    quality.record(replace(ONE, leg=CALL, final=True))
    assert (await api.request("GET", "/engine/quality")).json == {"calls": []}
    assert (await api.request("GET", f"/engine/quality/{CALL}")).json["ended"] is True


@pytest.mark.parametrize("path", ["/engine/quality", f"/engine/quality/{CALL}"])
async def test_quality_needs_the_account(path: str) -> None:
    api = await place_with(Quality())
    for authorization in ("", BASIC[:-3] + "AAA"):
        assert (await api.request("GET", path, authorization=authorization)).status == 401


async def test_a_call_without_measurements_is_not_found() -> None:
    api = await place_with(Quality())
    assert (await api.request("GET", f"/engine/quality/{CALL}")).status == 404


def test_prometheus_gets_the_mean_and_the_worst() -> None:
    quality, registry = Quality(), CollectorRegistry()
    registry.register(QualityCollector(quality))
    empty = generate_latest(registry).decode()
    assert "holdfast_media_packets_lost 0.0" in empty
    assert "holdfast_media_mos{" not in empty
    assert "holdfast_media_busy" not in empty
    quality.record(ONE)
    quality.record(replace(ONE, leg="CA2", mos=4.3, jitter_ms=9.5, packets_lost=5))
    quality.record(load(3))
    text = generate_latest(registry).decode()
    for line in (
        'holdfast_media_mos{of="mean"} 4.1',
        'holdfast_media_mos{of="worst"} 3.9',
        'holdfast_media_jitter_ms{of="worst"} 9.5',
        "holdfast_media_packets_lost 15.0",
        "holdfast_media_ticks_skipped 3.0",
        "holdfast_media_rows 1.0",
        'holdfast_media_tick_ms{quantile="0.99"} 2.0',
    ):
        assert line in text.splitlines()


def test_prometheus_gets_the_reports_of_the_media_process() -> None:
    quality, registry = Quality(), CollectorRegistry()
    registry.register(QualityCollector(quality))
    for fact in (TicksSkipped(count=7), FactsLost(count=9), FirstPacket(leg="CA1", source=("127.0.0.1", 4000))):
        quality.record(fact)
    for token in ("one", "two"):
        quality.record(RowAudioStarted(leg="CA1", token=token, monotonic_s=1.5))
    shown = generate_latest(registry).decode().splitlines()
    for line in (
        "holdfast_media_stalls_total 1.0",
        "holdfast_media_facts_lost_total 9.0",
        "holdfast_media_sources_total 1.0",
        "holdfast_media_sounds_started_total 2.0",
    ):
        assert line in shown
