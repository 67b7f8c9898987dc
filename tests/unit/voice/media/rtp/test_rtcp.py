"""RTCP is built and parsed; no input raises an error."""

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.voice.media.rtp.receiver_stats import ReceptionReport
from holdfast.voice.media.rtp.rtcp import (
    MAX_ROUND_TRIP_S,
    PeerReport,
    ReportInterval,
    build_bye,
    build_report,
    ntp,
    parse,
    round_trip_s,
)

STANDING = ReceptionReport(ssrc=0xCAFE, highest=66_000, expected=200, received=190, jitter=40)


def written(
    reception: ReceptionReport | None = STANDING, *, previous: ReportInterval | None = None, last_report: int | None = 7
) -> bytes:
    return build_report(
        ssrc=0xBEEF,
        now=1_000_000_000.5,
        timestamp=123,
        packets=50,
        name="holdfast@127.0.0.1",
        reception=reception,
        previous=previous or ReportInterval(),
        last_report=last_report,
        last_report_ago_s=1.5,
    )


def packets(data: bytes) -> list[tuple[int, int, bytes]]:
    """Return count field, type and body of each packet; they fill the whole datagram."""
    found = []
    while data:
        flags, kind, words = struct.unpack_from("!BBH", data)
        assert flags >> 6 == 2
        found.append((flags & 31, kind, data[4 : 4 + 4 * words]))
        assert len(data) >= 4 + 4 * words
        data = data[4 + 4 * words :]
    return found


def test_ntp_time() -> None:
    """2001-09-09 01:46:40.5 UTC, counted from 1900."""
    assert ntp(1_000_000_000.5) == (3_208_988_800 << 32) + (1 << 31)


def test_a_report_of_both_directions() -> None:
    (count, kind, body), (_, description, name) = packets(written())
    assert (count, kind, description) == (1, 200, 202)
    assert struct.unpack("!IQIII", body[:24]) == (0xBEEF, ntp(1_000_000_000.5), 123, 50, 8000)
    ssrc, loss, highest, jitter, last, ago = struct.unpack("!IIIIII", body[24:])
    assert (ssrc, highest, jitter, last, ago) == (0xCAFE, 66_000, 40, 7, 98304)
    assert (loss >> 24, loss & 0xFFFFFF) == (10 * 256 // 200, 10)
    assert name[:6] == struct.pack("!IBB", 0xBEEF, 1, 18)
    assert name[6:24] == b"holdfast@127.0.0.1"
    assert not any(name[24:])


def test_the_fraction_counts_only_the_loss_since_the_last_report() -> None:
    loss = struct.unpack_from("!I", packets(written(previous=ReportInterval(expected=100, received=100)))[0][2], 28)[0]
    assert loss >> 24 == 10 * 256 // 100
    duplicates = ReceptionReport(ssrc=1, highest=9, expected=10, received=12, jitter=0)
    loss = struct.unpack_from("!I", packets(written(duplicates))[0][2], 28)[0]
    assert (loss >> 24, loss & 0xFFFFFF) == (0, 0xFFFFFE)


def test_a_party_that_sent_nothing_is_not_reported() -> None:
    (count, kind, body), _ = packets(written(None, last_report=None))
    assert (count, kind, len(body)) == (0, 200, 24)


def test_a_party_without_reports_gets_no_lsr() -> None:
    (_, _, body), _ = packets(written(last_report=None))
    assert struct.unpack("!II", body[-8:]) == (0, 0)


def test_a_bye_follows_an_empty_report() -> None:
    age = [(count, kind, body[:4]) for count, kind, body in packets(build_bye(ssrc=0xBEEF, name="x"))]
    assert age == [(count, kind, struct.pack("!I", 0xBEEF)) for count, kind in ((0, 201), (1, 202), (1, 203))]


def test_the_peers_report_about_our_stream_is_parsed() -> None:
    view = parse(written(), our_ssrc=0xCAFE)
    at = ntp(1_000_000_000.5) >> 16 & 0xFFFFFFFF
    assert view == PeerReport(lost=10, jitter=40, last_report=at, lsr=7, dlsr_s=1.5)
    assert parse(written(), our_ssrc=1) == PeerReport(last_report=ntp(1_000_000_000.5) >> 16 & 0xFFFFFFFF)


def test_the_report_time_of_a_party_without_reception_blocks_is_known() -> None:
    at = ntp(1_000_000_000.5) >> 16 & 0xFFFFFFFF
    sent = struct.pack("!BBHIQIII", 0x80, 200, 6, 99, ntp(1_000_000_000.5), 123, 50, 8000)
    assert parse(sent, our_ssrc=5) == PeerReport(last_report=at)


def test_a_party_that_receives_nothing_sends_eight_bytes() -> None:
    assert parse(struct.pack("!BBHI", 0x80, 201, 1, 99), our_ssrc=5) == PeerReport()


def test_a_negative_number_of_lost_packets_stays_negative() -> None:
    view = parse(written(ReceptionReport(ssrc=1, highest=1, expected=1, received=3, jitter=0)), our_ssrc=1)
    assert view is not None
    assert view.lost == -2


def test_a_receiver_report() -> None:
    block = struct.pack("!IIIIII", 5, 3, 0, 9, 0, 0)
    data = struct.pack("!BBHI", 0x82, 201, 13, 99) + struct.pack("!IIIIII", 4, 0, 0, 0, 0, 0) + block
    assert parse(data, our_ssrc=5) == PeerReport(lost=3, jitter=9)


@pytest.mark.parametrize("data", [b"", b"\x80", bytes(40), b"\x80\xc9\0", b"\x80\xcb\0\x01" + bytes(4)])
def test_other_packets_are_no_report(data: bytes) -> None:
    assert parse(data, our_ssrc=5) is None


@given(st.binary(max_size=100), st.integers(0, 100), st.integers(0, 255))
def test_no_input_raises_an_error(data: bytes, at: int, byte: int) -> None:
    parse(data, our_ssrc=5)
    parse(b"\x81\xc8" + data, our_ssrc=5)
    broken = bytearray(written())
    broken[at % len(broken)] = byte
    parse(bytes(broken[:at]), our_ssrc=0xCAFE)
    parse(bytes(broken), our_ssrc=0xCAFE)


def test_the_round_trip_excludes_the_time_at_the_peer() -> None:
    """Source: RFC 3550 §6.4.1, figure 2 (with numbers of our own)."""
    sent, kept_s, under_way_s = 1_000_000_000.25, 5.25, 0.125
    block = struct.pack("!IIIIII", 0xBEEF, 0, 0, 0, ntp(sent) >> 16 & 0xFFFFFFFF, round(kept_s * 65536))
    view = parse(struct.pack("!BBHI", 0x81, 201, 7, 9) + block, our_ssrc=0xBEEF)
    assert view is not None
    assert round_trip_s(view, sent + kept_s + under_way_s) == pytest.approx(under_way_s, abs=0.001)
    assert round_trip_s(view, sent + kept_s - 0.0005) == 0.0
    assert round_trip_s(view, sent + kept_s - 1) is None, "an answer before its question"
    assert round_trip_s(view, sent + kept_s + MAX_ROUND_TRIP_S + 1) is None
    assert round_trip_s(PeerReport(), sent) is None


def test_a_party_that_saw_no_report_of_ours_sends_no_lsr() -> None:
    block = struct.pack("!IIIIII", 0xBEEF, 0, 0, 0, 0, 0)
    view = parse(struct.pack("!BBHI", 0x81, 201, 7, 9) + block, our_ssrc=0xBEEF)
    assert view is not None
    assert view.lsr is None


@pytest.mark.parametrize(("ago_s", "age"), [(-0.01, 0), (0.0, 0), (1.5, 98304), (1e9, 0xFFFFFFFF)])
def test_the_age_of_a_report_always_fits(ago_s: float, age: int) -> None:
    """A report that arrived within the tick that answers it is younger than the tick."""
    data = build_report(
        ssrc=1,
        now=0.0,
        timestamp=0,
        packets=0,
        name="x",
        reception=STANDING,
        previous=ReportInterval(),
        last_report=7,
        last_report_ago_s=ago_s,
    )
    (_, _, body), _ = packets(data)
    assert struct.unpack("!IIIIII", body[24:])[5] == age
