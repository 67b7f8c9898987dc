"""RTCP is read once a tick; what is told of it is as of when it came."""

from __future__ import annotations

import socket
import struct
import time
from contextlib import closing

from holdfast.voice.media.rtcp import RECEIVER_REPORT, ntp
from holdfast.voice.runtime.mediaplane.reports import Reports

OURS, THEIRS = 7, 9


def answer(*, echoed: int) -> bytes:
    """A receiver report of their ear on our stream, given out at once."""
    block = struct.pack("!IIIIII", OURS, 0, 1, 0, echoed, 0)
    return struct.pack("!BBHI", 0x81, RECEIVER_REPORT, 7, THEIRS) + block


def test_a_round_trip_ends_when_the_answer_comes_not_when_it_is_read() -> None:
    reports = Reports("test")
    with closing(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as party:
        ours = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        for sock in (party, ours):
            sock.bind(("127.0.0.1", 0))
        ours.setblocking(False)
        reports.open(3, ours, ssrc=OURS)
        try:
            asked = time.time()
            party.sendto(answer(echoed=ntp(asked) >> 16 & 0xFFFF_FFFF), ours.getsockname())
            answered = time.time()
            time.sleep(0.3)
            assert reports.waiting() == [3]
            reports.hear(3, remote=("127.0.0.1", 1), now=time.monotonic())
            trip_ms = reports.round_trip_ms(3)
            assert trip_ms is not None
            assert trip_ms <= (answered - asked) * 1000 + 1
            assert reports.waiting() == []
        finally:
            reports.close(3, remote=None)
