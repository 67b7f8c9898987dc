"""Report the audio quality of calls, by `/engine/quality` and by gauges in `/metrics`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from statistics import fmean

from fastapi import APIRouter
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from pydantic import BaseModel

from holdfast.voice.api.ops.json_errors import engine_router
from holdfast.voice.media_process.control_link.protocol import Statistics
from holdfast.voice.model.errors import NotFound
from holdfast.voice.model.ids import AccountSid, CallSid
from holdfast.voice.runtime.quality_reports import Quality


class CallQuality(BaseModel):
    """The audio quality of one call so far. Units: milliseconds.

    `mos` is the estimated opinion score (1 to 4.5, ITU-T G.107) of the audio from the party, `reported_mos` that of
    the audio to the party. The party reports `reported_…` by RTCP; they are null before its first report. `strange`
    packets, which are among the refused, came from addresses that `rtp_source` excludes, the newest from `stranger`
    (address and port). Packets that were too long are among those received, and were not played: they hold more than
    200 ms.
    """

    call: str
    ended: bool
    codec: str
    mos: float | None
    reported_mos: float | None
    round_trip_ms: float | None
    jitter_ms: float
    buffer_ms: int
    packets_sent: int
    packets_received: int
    packets_lost: int
    packets_late: int
    packets_refused: int
    packets_too_long: int
    strange: int
    stranger: tuple[str, int] | None
    frames_concealed: int
    reported_lost: int | None
    reported_jitter_ms: float | None


class CallQualities(BaseModel):
    """The audio quality of every call that has audio now."""

    calls: list[CallQuality]


def make_quality(quality: Quality, *, account_sid: AccountSid, auth_token: str) -> APIRouter:
    """Return the router, to be included at the root. It needs the account's credentials, as all of `/engine/…` does."""
    engine = engine_router(account_sid, auth_token)

    @engine.get("/quality", summary="The audio quality of every call")
    async def calls() -> CallQualities:
        return CallQualities(calls=[quality_response(each) for each in quality.live.values()])

    @engine.get("/quality/{call}", summary="The audio quality of a call, live or ended")
    async def call_quality(call: str) -> CallQuality:
        statistics = quality.latest(CallSid(call))
        if statistics is None:
            raise NotFound(f"the audio of {call} was not measured yet")
        return quality_response(statistics)

    return engine


def quality_response(statistics: Statistics) -> CallQuality:
    """Return the response for a leg's statistics."""
    fields = {name: value for name, value in asdict(statistics).items() if name in CallQuality.model_fields}
    return CallQuality(call=statistics.leg, ended=statistics.final, buffer_ms=20 * statistics.depth, **fields)


class QualityCollector(Collector):
    """Makes gauges of all live legs at each scrape."""

    def __init__(self, quality: Quality) -> None:
        self._quality = quality

    def collect(self) -> Iterator[Metric]:
        """Yield the gauges."""
        live = list(self._quality.live.values())
        scores = [each.mos for each in live if each.mos is not None]
        reported = [each.reported_mos for each in live if each.reported_mos is not None]
        trips = [each.round_trip_ms for each in live if each.round_trip_ms is not None]
        for name, meaning, values in (
            ("holdfast_media_mos", "Estimated opinion score of live legs, of the audio we receive", scores),
            (
                "holdfast_media_reported_mos",
                "Estimated opinion score of live legs, of the audio the parties receive",
                reported,
            ),
            ("holdfast_media_jitter_ms", "Jitter of live legs", [each.jitter_ms for each in live]),
            ("holdfast_media_round_trip_ms", "Round trip of live legs by RTCP", trips),
        ):
            gauge = GaugeMetricFamily(name, f"{meaning}: the mean and the worst.", labels=["of"])
            if values:
                worst = min(values) if name.endswith("mos") else max(values)
                gauge.add_metric(["mean"], fmean(values))
                gauge.add_metric(["worst"], worst)
            yield gauge
        lost, late = sum(each.packets_lost for each in live), sum(each.packets_late for each in live)
        concealed = sum(each.frames_concealed for each in live)
        for name, meaning, value in (
            ("holdfast_media_packets_lost", "Packets of live legs that were lost.", lost),
            ("holdfast_media_packets_late", "Packets of live legs that arrived too late.", late),
            ("holdfast_media_frames_concealed", "Frames of live legs that were concealed.", concealed),
            ("holdfast_media_ticks_skipped", "Ticks skipped since the start.", self._quality.ticks_skipped),
        ):
            yield GaugeMetricFamily(name, meaning, value=value)
        quality = self._quality
        for name, meaning, value in (
            (
                "holdfast_media_packets_strange",
                "Packets of all legs from addresses that rtp_source excludes.",
                quality.unexpected_source_packets,
            ),
            (
                "holdfast_media_packets_too_long",
                "Packets of all legs that held more than 200 ms, and were not played.",
                quality.too_long_packets,
            ),
            ("holdfast_media_stalls", "Times the media process skipped ticks.", quality.stalls),
            ("holdfast_media_facts_lost", "Facts the media process dropped unread.", quality.facts_lost),
            ("holdfast_media_sources", "Addresses that legs latched to.", quality.sources),
            ("holdfast_media_sounds_started", "Sounds whose first packet was sent.", quality.sounds_started),
        ):
            yield CounterMetricFamily(name, meaning, value=value)
        if (load := self._quality.load) is not None:
            yield GaugeMetricFamily("holdfast_media_rows", "Legs the media process carries.", value=load.rows)
            yield GaugeMetricFamily(
                "holdfast_media_busy", "Share of one core that the media process uses.", value=load.busy
            )
            tick = GaugeMetricFamily("holdfast_media_tick_ms", "How long a tick took.", labels=["quantile"])
            for quantile, took_ms in (("0.5", load.p50_tick_ms), ("0.99", load.p99_tick_ms)):
                tick.add_metric([quantile], took_ms)
            yield tick
