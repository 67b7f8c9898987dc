"""Send DTMF digits as telephone events in place of audio, one packet a tick.

While a digit lasts, and for the two repeats of its last packet, a leg is sent events alone; between digits it is sent
its audio. All packets of one digit carry the timestamp at which it began.
Source: RFC 4733 §2.3 (payload), §2.5.1 (timestamps, marker, three last packets); ITU-T Q.24 (lengths).
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

from holdfast.voice.media.dtmf.event_receiver import DIGITS
from holdfast.voice.media.frames import SAMPLES
from holdfast.voice.media.rtp.rtp import VERSION_2

ON_FRAMES, OFF_FRAMES = 5, 5
PAUSE_FRAMES = {"w": 25, "W": 50}
END_PACKETS = 3
_END, _VOLUME = 0x80, 10


@dataclass(frozen=True, slots=True, kw_only=True)
class OutgoingEvent:
    """An outgoing event is the packet of one tick of a digit. Units: `duration` in samples."""

    code: int
    duration: int
    first: bool
    last: bool


def plan(digits: str) -> tuple[OutgoingEvent | None, ...]:
    """Return what is sent in each tick: an event, or None for the leg's own audio.

    Characters that are neither a digit nor a pause take no time.
    """
    ticks: list[OutgoingEvent | None] = []
    for digit in digits:
        if digit in PAUSE_FRAMES:
            ticks += [None] * PAUSE_FRAMES[digit]
        elif digit.upper() in DIGITS:
            ticks += _event_ticks(DIGITS.index(digit.upper()))
    return tuple(ticks)


def _event_ticks(code: int) -> list[OutgoingEvent | None]:
    ticks: list[OutgoingEvent | None] = []
    for tick in range(ON_FRAMES + END_PACKETS - 1):
        ticks.append(
            OutgoingEvent(
                code=code,
                duration=min(tick + 1, ON_FRAMES) * SAMPLES,
                first=tick == 0,
                last=tick >= ON_FRAMES - 1,
            )
        )
    return ticks + [None] * (ON_FRAMES + OFF_FRAMES - len(ticks))


def packet(event: OutgoingEvent, *, payload_type: int, sequence: int, event_timestamp: int, ssrc: int) -> bytes:
    """Return the RTP packet of an event.

    Units: `event_timestamp` is the timestamp of the tick in which the digit began. It is the same for all packets of a
    digit, even when ticks were left out between them; a new one would mean another digit.
    """
    second_byte = payload_type | (0x80 if event.first else 0)
    payload = struct.pack("!BBH", event.code, (_END if event.last else 0) | _VOLUME, event.duration)
    return struct.pack("!BBHII", VERSION_2, second_byte, sequence, event_timestamp, ssrc) + payload
