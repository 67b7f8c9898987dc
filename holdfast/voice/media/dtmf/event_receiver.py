"""Receive DTMF digits as telephone events in RTP.

A phone sends one press as many packets with one timestamp, the last of them three times, and any of them may be lost.
The first packet that arrives is the press; all others with its timestamp belong to it.
Source: RFC 4733 §2.3, §2.5.1.
"""

from __future__ import annotations

from dataclasses import dataclass

DIGITS = "0123456789*#ABCD"
"""The digits, indexed by event code. Source: RFC 4733 §3.2."""

_WRAP = 1 << 32
_RECENT = 5 * 8000
"""Samples by which a late packet of an older press is still recognised as old."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DigitPress:
    """A digit press is the latest press in the stream `ssrc`. Units: `timestamp` and `duration` in samples."""

    ssrc: int
    event: int
    timestamp: int
    duration: int


def receive(
    last: DigitPress | None, payload: bytes, *, timestamp: int, marker: bool, ssrc: int
) -> tuple[DigitPress | None, str | None]:
    """Return the latest press, and the digit if this packet is the first of a new press.

    Another stream has its own clock, so its timestamps say nothing about presses of this one. A press too long for the
    duration field goes on under a new timestamp, without a marker; it stays one press.
    Source: RFC 4733 §2.5.1.3.
    """
    if len(payload) < 4 or payload[0] >= len(DIGITS):
        return last, None
    press = DigitPress(ssrc=ssrc, event=payload[0], timestamp=timestamp, duration=int.from_bytes(payload[2:4], "big"))
    if last is not None and last.ssrc == ssrc:
        later_by = (timestamp - last.timestamp) % _WRAP
        if later_by == 0:
            return (press if press.duration > last.duration else last), None
        if later_by > _WRAP - _RECENT:
            return last, None
        if not marker and press.event == last.event and later_by == last.duration:
            return press, None
    return press, DIGITS[press.event]
