"""Build and parse RTCP: our reports about a leg, and the peer's reports about our stream.

Source: RFC 3550 §6.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

from holdfast.voice.media.rtp.receiver_stats import ReceptionReport

SENDER_REPORT, RECEIVER_REPORT, SDES, BYE = 200, 201, 202, 203
MAX_PACKET = 1500
MAX_ROUND_TRIP_S = 30.0
_NTP_EPOCH = 2_208_988_800
"""Seconds from 1900, where NTP counts from, to 1970. Source: RFC 5905 §6."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportInterval:
    """A report interval holds the counts at the last report, for the loss since then. Source: RFC 3550 appendix A.3."""

    expected: int = 0
    received: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class PeerReport:
    """A peer report says how the peer receives our stream, and when it last reported its own.

    Units: `jitter` in samples. `lost` is None if the peer does not report our stream. `last_report` is the middle 32
    bits of the NTP time of the peer's sender report, or None. `lsr` is the same of the sender report of ours that the
    peer saw last, `dlsr_s` how long ago; None if it saw none. Source: RFC 3550 §6.4.1 (LSR, DLSR).
    """

    lost: int | None = None
    jitter: int | None = None
    last_report: int | None = None
    lsr: int | None = None
    dlsr_s: float = 0.0


def round_trip_s(peer_report: PeerReport, now: float) -> float | None:
    """Return the round-trip time of our last report and the peer's answer. Units: `now` seconds since the Unix epoch.

    None when the peer does not say, or says what is impossible: clocks are set during calls, and peers err.
    Source: RFC 3550 §6.4.1 (delay since last SR).
    """
    if peer_report.lsr is None:
        return None
    under_way_s = ((ntp(now) >> 16 & 0xFFFF_FFFF) - peer_report.lsr) % (1 << 32) / 65536 - peer_report.dlsr_s
    if -0.001 <= under_way_s < 0:
        return 0.0
    return under_way_s if 0 <= under_way_s <= MAX_ROUND_TRIP_S else None


def ntp(now: float) -> int:
    """Convert seconds since the Unix epoch to a 64-bit NTP timestamp."""
    return round((now + _NTP_EPOCH) * (1 << 32)) & 0xFFFF_FFFF_FFFF_FFFF


def build_report(
    *,
    ssrc: int,
    now: float,
    timestamp: int,
    packets: int,
    name: str,
    reception: ReceptionReport | None,
    previous: ReportInterval,
    last_report: int | None,
    last_report_ago_s: float,
) -> bytes:
    """Build a sender report with at most one reception block, and the source description of every compound packet."""
    blocks = b"" if reception is None else _report_block(reception, previous, last_report, last_report_ago_s)
    body = struct.pack("!IQIII", ssrc, ntp(now), timestamp, packets, (packets * 160) & 0xFFFFFFFF) + blocks
    return _packet(SENDER_REPORT, body, count=1 if blocks else 0) + _sdes(ssrc, name)


def build_bye(*, ssrc: int, name: str) -> bytes:
    """Build the BYE of a stream.

    Source: RFC 3550 §6.6; §6.1 wants a report first, which may be empty.
    """
    empty_report = _packet(RECEIVER_REPORT, struct.pack("!I", ssrc), count=0)
    return empty_report + _sdes(ssrc, name) + _packet(BYE, struct.pack("!I", ssrc), count=1)


def _packet(kind: int, body: bytes, *, count: int) -> bytes:
    return struct.pack("!BBH", 0x80 | count, kind, len(body) // 4) + body


def _sdes(ssrc: int, name: str) -> bytes:
    text = name.encode()[:255]
    chunk = struct.pack("!IBB", ssrc, 1, len(text)) + text + b"\0"
    return _packet(SDES, chunk + bytes(-len(chunk) % 4), count=1)


def _report_block(
    reception: ReceptionReport, previous: ReportInterval, last_report: int | None, last_report_ago_s: float
) -> bytes:
    expected = reception.expected - previous.expected
    lost = expected - (reception.received - previous.received)
    fraction = min(255, (lost << 8) // expected) if expected > 0 and lost > 0 else 0
    total = max(-0x800000, min(0x7FFFFF, reception.lost)) & 0xFFFFFF
    # A report that arrived while its answer was being written has a negative age.
    age = max(0, min(0xFFFFFFFF, round(last_report_ago_s * 65536))) if last_report is not None else 0
    return struct.pack(
        "!IIIIII",
        reception.ssrc,
        fraction << 24 | total,
        reception.highest & 0xFFFFFFFF,
        reception.jitter,
        last_report or 0,
        age,
    )


def parse(data: bytes, *, our_ssrc: int) -> PeerReport | None:
    """Return the peer's report about our stream from a compound packet; None if it is not RTCP.

    Invariant: no input raises an exception. Source: RFC 3550 appendix A.2 (the checks).
    """
    if len(data) < 8 or data[0] >> 6 != 2 or data[1] not in (SENDER_REPORT, RECEIVER_REPORT):
        return None
    lost = jitter = last_report = lsr = None
    dlsr_s = 0.0
    offset = 0
    while offset + 4 <= len(data):
        flags, kind, words = struct.unpack_from("!BBH", data, offset)
        end = offset + 4 + 4 * words
        if flags >> 6 != 2 or end > len(data):
            return None
        if kind == SENDER_REPORT and words >= 6:
            last_report = int.from_bytes(data[offset + 10 : offset + 14], "big")
        if kind in (SENDER_REPORT, RECEIVER_REPORT):
            first_block = offset + (28 if kind == SENDER_REPORT else 8)
            for block in range(first_block, min(end, first_block + 24 * (flags & 0x1F)) - 23, 24):
                ssrc, loss, _, block_jitter, last_sr, delay_since_last_sr = struct.unpack_from("!IIIIII", data, block)
                if ssrc == our_ssrc:
                    total = loss & 0xFFFFFF
                    lost, jitter = total - (total >> 23 << 24), block_jitter
                    lsr, dlsr_s = last_sr or None, delay_since_last_sr / 65536
        offset = end
    return PeerReport(lost=lost, jitter=jitter, last_report=last_report, lsr=lsr, dlsr_s=dlsr_s)
