"""The ear of a test phone: it keeps every packet that arrived, and recognises what was in it over time.

An ear answers questions about its packets: what is heard now, what was heard when, when a sound began, whether the
stream had a hole, whether every payload was one that was allowed.

Invariant: an ear never repairs. A packet that is late, doubled or foreign is counted as it arrived.

Units: times in seconds of one monotonic clock, taken when the packet reached the socket.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from holdfast.testing.audio.g722 import G722_TYPE
from holdfast.testing.audio.recogniser import (
    NO_PACKETS,
    SILENCE,
    Heard,
    Recogniser,
    describe,
)
from holdfast.testing.signals import FRAME_S, FRAME_SAMPLES, KNOWN, RATE_HZ, Samples, Sound
from holdfast.voice.media.codec.g711 import PAYLOAD_TYPE, decode

GONE_AFTER_S = 0.2
"""Without a packet for this long, the ear hears nothing at all; a healthy leg sends silence instead."""

SETTLED = 3
"""How many windows in a row make a sound heard; fewer are the edge between two sounds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Packet:
    """An RTP packet as it arrived. Source: RFC 3550 §5.1."""

    at_s: float
    payload_type: int
    marker: bool
    sequence: int
    timestamp: int
    ssrc: int
    payload: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Interval:
    """A stretch of time in which the ear heard one thing."""

    start_s: float
    end_s: float
    heard: Heard

    @property
    def length_s(self) -> float:
        return self.end_s - self.start_s

    def __str__(self) -> str:
        return f"{self.start_s:8.3f}-{self.end_s:8.3f} {describe(self.heard)}"


class Ear:
    """The ear of one phone. The phone's RTP stream adds packets; questions may be asked at any time."""

    def __init__(self, sounds: Iterable[Sound] = KNOWN) -> None:
        self._recogniser = Recogniser(sounds)
        self._packets: list[Packet] = []
        self._heard: list[Heard] = []

    def take(self, packet: Packet) -> None:
        """Add a packet of audio that arrived, not earlier than the one before."""
        self._packets.append(packet)

    def packets(self, *, since_s: float = 0.0, until_s: float = float("inf")) -> list[Packet]:
        """Return the packets that arrived in this time, in order of arrival."""
        return self._packets[self._index(since_s) : self._index(until_s)]

    def heard(self, *, since_s: float = 0.0, until_s: float = float("inf")) -> list[tuple[Packet, Heard]]:
        """Return the packets that arrived in this time, each with what is in it."""
        fresh = self._packets[len(self._heard) :]
        if fresh:
            self._heard += self._recogniser.recognise(np.stack([window(packet) for packet in fresh]))
        start, stop = self._index(since_s), self._index(until_s)
        return list(zip(self._packets[start:stop], self._heard[start:stop], strict=False))

    def now(self, now_s: float) -> Heard:
        """Return what is heard at this moment: what most of the last few windows carry."""
        latest = [heard for _, heard in self.heard(since_s=now_s - GONE_AFTER_S, until_s=now_s)[-SETTLED:]]
        if not latest:
            return NO_PACKETS
        return max(latest, key=latest.count)

    def intervals(self, *, since_s: float = 0.0, until_s: float = float("inf")) -> list[Interval]:
        """Return what was heard when. An edge shorter than `SETTLED` windows belongs to the sound before it."""
        runs: list[_Run] = []
        before_s = float("inf")
        for packet, heard in self.heard(since_s=since_s, until_s=until_s):
            if packet.at_s - before_s > GONE_AFTER_S:
                runs.append(_Run(start_s=before_s + FRAME_S, windows=SETTLED, heard=NO_PACKETS))
            if runs and runs[-1].heard == heard:
                runs[-1].windows += 1
            else:
                runs.append(_Run(start_s=packet.at_s, windows=1, heard=heard))
            before_s = packet.at_s
        return _settled(runs, end_s=before_s + FRAME_S)

    def first(self, sound: str, *, since_s: float = 0.0) -> float | None:
        """Return when a sound began: the arrival of the first of `SETTLED` packets in a row that carry it."""
        run: list[float] = []
        for packet, heard in self.heard(since_s=since_s):
            run = [*run, packet.at_s] if sound in heard else []
            if len(run) == SETTLED:
                return run[0]
        return None

    def last(self, sound: str, *, since_s: float = 0.0) -> float | None:
        """Return when a sound was last in a packet, or None if it never was."""
        times = [packet.at_s for packet, heard in self.heard(since_s=since_s) if sound in heard]
        return times[-1] if times else None

    def _index(self, at_s: float) -> int:
        return bisect_left(self._packets, at_s, key=lambda packet: packet.at_s)

    def samples(self, *, since_s: float, until_s: float) -> Samples:
        """Return the audio that was heard, each packet where it arrived, with silence where none did.

        A packet's place is counted from the one before it by the RTP timestamp, as a player would, so that the jitter
        of its arrival is not heard; it is taken from the clock again if the two drift apart. Shape: [n], int16, 8 kHz.
        """
        audio = np.zeros(max(0, round((until_s - since_s) * RATE_HZ)), dtype=np.int16)
        place, expected = 0, None
        for packet in self.packets(since_s=since_s, until_s=until_s):
            by_clock = round((packet.at_s - since_s) * RATE_HZ)
            place = by_clock if expected is None else place + (packet.timestamp - expected) % 2**32
            if abs(place - by_clock) > GONE_AFTER_S * RATE_HZ:
                place = by_clock
            sound = decoded(packet)[: max(0, len(audio) - place)]
            audio[place : place + len(sound)] = sound
            place, expected = place + len(packet.payload), packet.timestamp + len(packet.payload)
        return audio


@dataclass(frozen=True, slots=True, kw_only=True)
class Stream:
    """The continuity of the packets of an ear.

    `holes` counts packets whose sequence number is not the one before plus one; `leaps` those whose timestamp advanced
    by anything but the length of the payload before.
    """

    packets: int
    sources: int
    holes: int
    leaps: int
    longest_gap_s: float


def stream(packets: Sequence[Packet]) -> Stream:
    """Measure whether these packets are one unbroken stream. Source: RFC 3550 §5.1."""
    pairs = list(pairwise(packets))
    return Stream(
        packets=len(packets),
        sources=len({packet.ssrc for packet in packets}),
        holes=sum(1 for before, after in pairs if (after.sequence - before.sequence) % 2**16 != 1),
        leaps=sum(1 for before, after in pairs if (after.timestamp - before.timestamp) % 2**32 != len(before.payload)),
        longest_gap_s=max((after.at_s - before.at_s for before, after in pairs), default=0.0),
    )


def foreign(packets: Iterable[Packet], allowed: Collection[bytes]) -> list[Packet]:
    """Return the packets whose payload is none of the allowed ones, byte for byte."""
    return [packet for packet in packets if packet.payload not in allowed]


def frames(encoded: bytes) -> list[bytes]:
    """Split encoded audio into the payloads it is sent in; the last one is padded with µ-law silence."""
    pieces = [encoded[start : start + FRAME_SAMPLES] for start in range(0, len(encoded), FRAME_SAMPLES)]
    return [piece.ljust(FRAME_SAMPLES, b"\xff") for piece in pieces]


def decoded(packet: Packet) -> Samples:
    """Return the audio in a packet; silence for an unknown payload type. The RTP stream has turned G.722 into µ-law."""
    if packet.payload_type == G722_TYPE:
        return decode(packet.payload)
    if packet.payload_type not in PAYLOAD_TYPE:
        return np.zeros(len(packet.payload), dtype=np.int16)
    return decode(packet.payload, PAYLOAD_TYPE.index(packet.payload_type))


def window(packet: Packet) -> Samples:
    """Return the first frame of a packet, padded with silence if the packet is shorter. Shape: 160 samples, int16."""
    sound = decoded(packet)[:FRAME_SAMPLES]
    return np.pad(sound, (0, FRAME_SAMPLES - len(sound)))


@dataclass(slots=True, kw_only=True)
class _Run:
    """Windows in a row that carry the same; extended while the packets are read."""

    start_s: float
    windows: int
    heard: Heard


def _settled(runs: Sequence[_Run], *, end_s: float) -> list[Interval]:
    kept: list[_Run] = []
    for run in runs:
        settled = run.windows >= SETTLED or not kept
        if settled and not (kept and kept[-1].heard == run.heard):
            kept.append(run)
    ends_s = [*[run.start_s for run in kept[1:]], end_s]
    return [
        Interval(start_s=run.start_s, end_s=stop_s, heard=run.heard) for run, stop_s in zip(kept, ends_s, strict=False)
    ]


__all__ = [
    "NO_PACKETS",
    "SILENCE",
    "Ear",
    "Heard",
    "Interval",
    "Packet",
    "Stream",
    "describe",
    "foreign",
    "frames",
    "stream",
]
