"""The statistics of a leg, from the counters of its row."""

from __future__ import annotations

from holdfast.voice.media.quality import estimate
from holdfast.voice.media.rtp import rtcp
from holdfast.voice.media.rtp.latch import RtpSource
from holdfast.voice.media.rtp.receiver_stats import ReceptionReport
from holdfast.voice.media_process.control_link import protocol as m
from holdfast.voice.model.payload_types import Codec

FRAME_MS = 20.0
PEER_BUFFER_MS = 40.0
"""How much of our audio a phone may buffer; it does not say."""


def statistics(
    leg: m.Leg,
    codec: Codec,
    *,
    reception: ReceptionReport | None,
    peer_report: rtcp.PeerReport,
    round_trip_ms: float | None,
    sent: int,
    received: int,
    late: int,
    refused: int,
    too_long: int,
    concealed: int,
    depth: int,
    unauthenticated: tuple[int, m.Address | None],
    rtp_source: RtpSource,
    final: bool,
) -> m.Statistics:
    """Return the statistics of a leg so far. A packet that arrived too late counts as lost for its listener."""
    lost = 0 if reception is None else max(0, reception.lost)
    expected = 0 if reception is None else reception.expected
    return m.Statistics(
        leg=leg,
        codec=codec,
        packets_sent=sent,
        packets_received=received,
        packets_lost=lost,
        packets_late=late,
        packets_refused=refused + unauthenticated[0],
        packets_too_long=too_long,
        strange=unauthenticated[0],
        stranger=unauthenticated[1],
        rtp_source=rtp_source,
        frames_concealed=concealed,
        jitter_ms=0.0 if reception is None else round(reception.jitter / 8, 2),
        depth=depth,
        reported_lost=peer_report.lost,
        reported_jitter_ms=None if peer_report.jitter is None else round(peer_report.jitter / 8, 2),
        round_trip_ms=round_trip_ms,
        mos=estimate(expected=expected, missing=lost + late, round_trip_ms=round_trip_ms, buffered_ms=depth * FRAME_MS),
        reported_mos=None
        if peer_report.lost is None
        else estimate(
            expected=sent, missing=max(0, peer_report.lost), round_trip_ms=round_trip_ms, buffered_ms=PEER_BUFFER_MS
        ),
        final=final,
    )
