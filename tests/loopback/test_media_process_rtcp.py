"""RTCP is read once a tick; its figures refer to the time it arrived."""

from __future__ import annotations

import socket
import struct
import time
from contextlib import closing

from holdfast.voice.media.rtp.rtcp import RECEIVER_REPORT, ntp
from holdfast.voice.media_process.legs.rtcp_sockets import RtcpSockets

ROW, OURS, THEIRS = 3, 7, 9


def answer(*, lsr: int) -> bytes:
    """Send a receiver report on our stream at once."""
    block = struct.pack("!IIIIII", OURS, 0, 1, 0, lsr, 0)
    return struct.pack("!BBHI", 0x81, RECEIVER_REPORT, 7, THEIRS) + block


def ends_when_it_comes(rtcp_sockets: RtcpSockets, party: socket.socket, ours: socket.socket) -> bool:
    """Return whether the round trip of an answer that waits to be read ends when it arrives."""
    asked = time.time()
    party.sendto(answer(lsr=ntp(asked) >> 16 & 0xFFFF_FFFF), ours.getsockname())
    answered = time.time()
    time.sleep(0.1)
    assert rtcp_sockets.readable() == [ROW]
    rtcp_sockets.receive(ROW, remote=("127.0.0.1", 1), now=time.monotonic(), max_skipped=0)
    trip_ms = rtcp_sockets.round_trip_ms(ROW)
    assert trip_ms is not None
    return trip_ms <= (answered - asked) * 1000 + 1


def test_a_round_trip_ends_when_the_answer_arrives_not_when_it_is_read() -> None:
    rtcp_sockets = RtcpSockets("test")
    with closing(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as party:
        ours = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        for sock in (party, ours):
            sock.bind(("127.0.0.1", 0))
        ours.setblocking(False)
        rtcp_sockets.open(ROW, ours, ssrc=OURS)
        try:
            # The system begins to note times a moment after the option is set.
            assert any(ends_when_it_comes(rtcp_sockets, party, ours) for _ in range(20))
            assert rtcp_sockets.readable() == []
        finally:
            rtcp_sockets.close(ROW, remote=None)


def test_unauthenticated_rtcp_hides_no_report_and_is_not_read_for_ever() -> None:
    rtcp_sockets = RtcpSockets("test")
    with closing(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as party:
        ours = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        party.bind(("127.0.0.1", 0))
        ours.bind(("127.0.0.1", 0))
        ours.setblocking(False)
        rtcp_sockets.open(ROW, ours, ssrc=OURS)
        try:
            with closing(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as foreign_phone:
                foreign_phone.bind(("127.0.0.2", 0))
                for _ in range(50):
                    foreign_phone.sendto(answer(lsr=0), ours.getsockname())
            party.sendto(answer(lsr=0), ours.getsockname())
            remote = ("127.0.0.1", 1)
            assert rtcp_sockets.receive(ROW, remote=remote, now=5.0, max_skipped=29) == 29
            assert rtcp_sockets.received_at(ROW) == float("-inf")
            assert rtcp_sockets.receive(ROW, remote=remote, now=6.0, max_skipped=40) == 20
            assert rtcp_sockets.received_at(ROW) == 6.0
            assert rtcp_sockets.receive(ROW, remote=remote, now=7.0, max_skipped=40) == 0
        finally:
            rtcp_sockets.close(ROW, remote=None)
