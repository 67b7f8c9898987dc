"""The statistics of a leg are computed from the counters of its row."""

from __future__ import annotations

import pytest

from holdfast.voice.media.quality import estimate
from holdfast.voice.media.rtp import rtcp
from holdfast.voice.media.rtp.receiver_stats import ReceptionReport
from holdfast.voice.media_process.control_link import protocol as m
from holdfast.voice.media_process.legs.statistics import statistics

HEARD = ReceptionReport(ssrc=1, highest=999, expected=1000, received=980, jitter=44)


def made(
    *,
    reception: ReceptionReport | None = HEARD,
    reported_lost: int | None = 5,
    reported_jitter: int | None = 12,
    round_trip_ms: float | None = 80.0,
    depth: int = 3,
    late: int = 10,
    unauthenticated: tuple[int, m.Address | None] = (0, None),
    final: bool = False,
) -> m.Statistics:
    return statistics(
        "CA1",
        "PCMA",
        reception=reception,
        peer_report=rtcp.PeerReport(lost=reported_lost, jitter=reported_jitter),
        round_trip_ms=round_trip_ms,
        sent=1100,
        received=981,
        late=late,
        refused=7,
        too_long=2,
        concealed=31,
        depth=depth,
        unauthenticated=unauthenticated,
        rtp_source="named",
        final=final,
    )


def test_each_figure_is_reported_in_its_unit() -> None:
    assert made(unauthenticated=(4, ("192.0.2.1", 5000)), final=True) == m.Statistics(
        leg="CA1",
        codec="PCMA",
        packets_sent=1100,
        packets_received=981,
        packets_lost=20,
        packets_late=10,
        packets_refused=11,
        packets_too_long=2,
        strange=4,
        stranger=("192.0.2.1", 5000),
        rtp_source="named",
        frames_concealed=31,
        jitter_ms=5.5,
        depth=3,
        reported_lost=5,
        reported_jitter_ms=1.5,
        round_trip_ms=80.0,
        mos=estimate(expected=1000, missing=30, round_trip_ms=80.0, buffered_ms=60.0),
        reported_mos=estimate(expected=1100, missing=5, round_trip_ms=80.0, buffered_ms=40.0),
        final=True,
    )


def test_before_the_first_packet_and_the_first_report_nothing_is_estimated() -> None:
    first = made(reception=None, reported_lost=None, reported_jitter=None, round_trip_ms=None)
    assert (first.packets_lost, first.jitter_ms, first.mos) == (0, 0.0, None)
    assert (first.reported_lost, first.reported_jitter_ms, first.reported_mos) == (None, None, None)
    assert not first.final


@pytest.mark.parametrize("received", [1000, 1003])
def test_duplicates_make_no_loss_below_zero(received: int) -> None:
    doubled = ReceptionReport(ssrc=1, highest=999, expected=1000, received=received, jitter=0)
    found = made(reception=doubled, late=0, reported_lost=-2)
    assert (found.packets_lost, found.reported_lost) == (0, -2)
    assert found.mos == estimate(expected=1000, missing=0, round_trip_ms=80.0, buffered_ms=60.0)
    assert found.reported_mos == estimate(expected=1100, missing=0, round_trip_ms=80.0, buffered_ms=40.0)


def test_a_deeper_buffer_and_late_packets_lower_the_score() -> None:
    scores = [made(depth=depth, late=late).mos for depth, late in ((2, 0), (6, 0), (6, 40))]
    assert None not in scores
    assert sorted(scores, key=lambda score: -(score or 0)) == scores
    assert len(set(scores)) == 3
