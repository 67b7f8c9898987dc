"""The newest statistics of every leg are kept for a while after its end."""

from __future__ import annotations

import logging
from dataclasses import replace

import pytest

from holdfast.voice.media_process.control_link.protocol import (
    FactsLost,
    FirstPacket,
    Load,
    RowAudioStarted,
    Statistics,
    TicksSkipped,
)
from holdfast.voice.model.ids import CallSid
from holdfast.voice.runtime.quality_reports import MAX_ENDED, Quality

ONE = Statistics(
    leg="CA1",
    codec="PCMU",
    packets_sent=250,
    packets_received=240,
    packets_lost=10,
    packets_late=1,
    packets_refused=0,
    frames_concealed=11,
    jitter_ms=3.5,
    depth=3,
    reported_lost=None,
    reported_jitter_ms=None,
    round_trip_ms=None,
    mos=3.9,
    reported_mos=None,
)


def load(skipped: int) -> Load:
    return Load(
        rows=1,
        ticks=250,
        ticks_skipped=skipped,
        busy=0.1,
        p50_tick_ms=1.0,
        p99_tick_ms=2.0,
        p99_worked_ms=1.5,
        longest_tick_ms=3.0,
        latest_start_ms=0.5,
    )


def test_the_newest_statistics_count_and_the_last_ones_stay() -> None:
    quality, call = Quality(), CallSid("CA1")
    assert quality.latest(call) is None
    quality.record(ONE)
    quality.record(replace(ONE, packets_sent=500))
    assert [each.packets_sent for each in quality.live.values()] == [500]
    quality.record(replace(ONE, packets_sent=510, final=True))
    assert not quality.live
    last = quality.latest(call)
    assert last is not None
    assert (last.packets_sent, last.final) == (510, True)


def test_only_so_many_ended_legs_are_kept() -> None:
    quality = Quality()
    for k in range(MAX_ENDED + 5):
        quality.record(replace(ONE, leg=f"CA{k}", final=True))
    assert quality.latest(CallSid("CA4")) is None
    assert quality.latest(CallSid("CA5")) is not None


def test_legs_lost_with_the_media_process_have_ended() -> None:
    quality, call = Quality(), CallSid("CA1")
    quality.record(ONE)
    quality.mark_lost([call, CallSid("CA2")])
    assert not quality.live
    assert quality.latest(call) == ONE


def test_packets_of_unexpected_sources_add_up_over_ended_legs() -> None:
    quality = Quality()
    quality.record(replace(ONE, strange=5))
    quality.record(replace(ONE, leg="CA2", strange=3))
    quality.record(replace(ONE, strange=7, final=True))
    assert quality.unexpected_source_packets == 10
    quality.mark_lost([CallSid("CA2")])
    assert quality.unexpected_source_packets == 10


def test_packets_that_are_too_long_add_up_over_ended_legs() -> None:
    quality = Quality()
    quality.record(replace(ONE, packets_too_long=5))
    quality.record(replace(ONE, leg="CA2", packets_too_long=3))
    quality.record(replace(ONE, packets_too_long=7, final=True))
    assert quality.too_long_packets == 10
    quality.mark_lost([CallSid("CA2")])
    assert quality.too_long_packets == 10


def test_skipped_ticks_add_up() -> None:
    quality = Quality()
    quality.record(load(2))
    quality.record(load(3))
    assert quality.ticks_skipped == 5
    assert quality.load == load(3)


def test_a_party_is_silent_when_no_packet_arrived_between_two_reports() -> None:
    quality, call = Quality(), CallSid("CA1")
    quality.record(ONE)
    assert not quality.is_silent(call)
    quality.record(ONE)
    assert quality.is_silent(call)
    quality.record(replace(ONE, packets_received=241))
    assert not quality.is_silent(call)
    for _ in range(2):
        quality.record(ONE)
    quality.record(replace(ONE, final=True))
    assert not quality.is_silent(call)
    for _ in range(2):
        quality.record(ONE)
    quality.mark_lost([call])
    assert not quality.is_silent(call)


def test_stalls_lost_facts_sources_and_started_sounds_are_counted_and_logged(caplog: pytest.LogCaptureFixture) -> None:
    quality = Quality()
    with caplog.at_level(logging.DEBUG, "holdfast.voice.runtime.quality_reports"):
        for fact in (
            TicksSkipped(count=3),
            TicksSkipped(count=2),
            FactsLost(count=9),
            FactsLost(count=1),
            FirstPacket(leg="CA1", source=("127.0.0.1", 4000)),
            RowAudioStarted(leg="CA1", token="t", monotonic_s=1.5),
            load(5),
            load(0),
        ):
            quality.record(fact)
    assert (quality.stalls, quality.facts_lost, quality.sources, quality.sounds_started) == (2, 10, 1, 1)
    assert [(record.levelname, record.getMessage()) for record in caplog.records] == [
        ("ERROR", "fact=FactsLost the media process dropped 9 facts that control did not read"),
        ("ERROR", "fact=FactsLost the media process dropped 1 facts that control did not read"),
        ("INFO", "call=CA1 fact=FirstPacket source=127.0.0.1:4000"),
        ("DEBUG", "call=CA1 fact=RowAudioStarted token=t"),
        ("WARNING", "the media process skipped 5 of 255 ticks"),
    ]
