"""Parse and write the RTP headers of all legs at once.

A received datagram may hold anything: what is not a packet is marked as not valid, and its other columns mean nothing.
Source: RFC 3550 §5.1.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from holdfast.voice.media.frames import SAMPLES, Bytes, Mask, Numbers

HEADER = 12
DATAGRAM = 2112
"""Bytes read of a datagram: 200 ms of audio with every header option and what encryption adds.

An odd number of cache lines, so that the headers of many datagrams do not push each other out of the cache.
"""

PACKET = HEADER + SAMPLES
SRTP_PACKET = PACKET + 20
"""The size of a packet with room for what encryption adds, at most 16 bytes, rounded up to a whole cache line. Source:
RFC 7714 §14.2."""
VERSION = 2
_MARKER = 0x80_0000
VERSION_2 = VERSION << 6


@dataclass(frozen=True, slots=True, kw_only=True)
class Packets:
    """Packets are the headers of some datagrams, column by column.

    Shape: the payload of packet k is `size[k]` bytes at `start[k]`.
    """

    valid: Mask
    payload_type: Numbers
    marker: Mask
    sequence: NDArray[np.int64]
    timestamp: NDArray[np.int64]
    ssrc: NDArray[np.int64]
    start: Numbers
    size: Numbers


def parse_simple(data: Bytes, lengths: Numbers, payload_types: Numbers, *, max_payload: int) -> Packets | None:
    """Parse datagrams that all have the simplest form; return None if any has not.

    In the simplest form every header is 12 bytes, nothing is padded, the payload type is `payload_types[k]`, and the
    payload is at most `max_payload` bytes. The result is that of `parse`. Shape: `data[k, DATAGRAM]`, uint8;
    `lengths[k]`.
    """
    first, timestamp, ssrc = _words(data)
    size = lengths - HEADER
    # A datagram that fills its line was longer. None is so short that its size is below zero: as an unsigned number
    # that is large.
    max_payload = min(max_payload, data.shape[1] - HEADER - 1)
    if (first >> 16 & 0xFF7F != payload_types + (VERSION_2 << 8)).any() or (size.view(np.uint64) > max_payload).any():
        return None
    return Packets(
        valid=np.ones(len(size), dtype=np.bool_),
        payload_type=payload_types,
        marker=first & _MARKER != 0,
        sequence=first & 0xFFFF,
        timestamp=timestamp,
        ssrc=ssrc,
        start=np.full(len(size), HEADER, dtype=np.intp),
        size=size,
    )


def _words(data: Bytes) -> NDArray[np.int64]:
    """Return the first three words of each datagram. Shape: `[3, k]`, dtype int64.

    Datagrams lie far from each other: each is read once, and all headers lie side by side from then on.
    """
    words: NDArray[np.int64] = data.view(">u4")[:, :3].T.astype(np.int64, order="C")
    return words


def parse(data: Bytes, lengths: Numbers) -> Packets:
    """Parse the headers of datagrams. Shape: `data[k, DATAGRAM]`, of which `lengths[k]` bytes arrived.

    A datagram that fills its line may have been longer: its size is `DATAGRAM`, however long its options are.
    RTCP that strayed onto the RTP port is known by its packet type, which reads as payload type 64 to 95.
    Source: RFC 5761 §4.
    """
    first, timestamp, ssrc = _words(data)
    payload_type = first >> 16 & 0x7F
    start = HEADER + (first >> 22 & 0x3C)
    end = lengths.astype(np.intp)
    cut_off = end >= data.shape[1]
    valid = (end >= HEADER) & (first >> 30 == VERSION)
    valid &= payload_type & 0x60 != 0x40
    if (first & 0x3000_0000).any():
        flags = data[:, 0]
        _extensions(data, flags, start, end, valid)
        _padding(data, np.where(cut_off, 0, flags).astype(np.uint8), end, valid)
    size = np.where(cut_off, data.shape[1], end - start)
    valid &= size >= 0
    return Packets(
        valid=valid,
        payload_type=payload_type,
        marker=first & _MARKER != 0,
        sequence=first & 0xFFFF,
        timestamp=timestamp,
        ssrc=ssrc,
        start=start,
        size=size,
    )


def _extensions(data: Bytes, flags: Bytes, start: Numbers, end: Numbers, valid: Mask) -> None:
    """Move `start` behind header extensions. Source: RFC 3550 §5.3.1."""
    extended = np.flatnonzero(valid & (flags & 0x10 != 0))
    cut_off = extended[start[extended] + 4 > end[extended]]
    valid[cut_off] = False
    extended = np.setdiff1d(extended, cut_off, assume_unique=True)
    offset = start[extended]
    start[extended] += 4 + 4 * (data[extended, offset + 2].astype(np.intp) << 8 | data[extended, offset + 3])


def _padding(data: Bytes, flags: Bytes, end: Numbers, valid: Mask) -> None:
    """Move `end` before the padding, whose last byte is its length. Source: RFC 3550 §5.1."""
    padded = np.flatnonzero(valid & (flags & 0x20 != 0))
    padding = data[padded, end[padded] - 1].astype(np.intp)
    end[padded] -= padding
    valid[padded[padding == 0]] = False


class OutgoingStreams:
    """The outgoing streams hold the RTP stream of each row, through whatever audio is sent in it.

    Invariant: the SSRC of a row never changes, its sequence number grows by one per packet that left, and its timestamp
    by 160 per tick, whether a packet left or not.
    Shape: `packets[rows, SRTP_PACKET]`, uint8, of which `PACKET` bytes are written here; encryption uses those behind.
    """

    def __init__(self, rows: int) -> None:
        self.packets: Bytes = np.zeros((rows, SRTP_PACKET), dtype=np.uint8)
        self.packets[:, 0] = VERSION_2
        self._shorts = self.packets.view(">u2")
        self._words = self.packets.view(">u4")
        self._payload_type: NDArray[np.uint8] = np.zeros(rows, dtype=np.uint8)
        self._marker: NDArray[np.uint8] = np.zeros(rows, dtype=np.uint8)
        self.sequence: NDArray[np.uint16] = np.zeros(rows, dtype=np.uint16)
        self.timestamp: NDArray[np.uint32] = np.zeros(rows, dtype=np.uint32)
        self.sent: NDArray[np.int64] = np.zeros(rows, dtype=np.int64)

    def open(self, row: int, *, ssrc: int, sequence: int, timestamp: int) -> None:
        """Begin a stream with these random numbers."""
        self._words[row, 2] = ssrc
        self.sequence[row] = sequence
        self.timestamp[row] = timestamp
        self.sent[row] = 0
        self._marker[row] = 0x80

    def describe(self, row: int, *, payload_type: int) -> None:
        """Set the payload type of a stream."""
        self._payload_type[row] = payload_type

    def ssrc(self, row: int) -> int:
        """Return the source identifier of a stream."""
        return int(self._words[row, 2])

    def write(self, frames: Bytes) -> None:
        """Write the next packet of the first `len(frames)` rows. Shape: `frames[n, 160]`, uint8."""
        n = len(frames)
        self.packets[:n, 1] = self._payload_type[:n] | self._marker[:n]
        self._shorts[:n, 1] = self.sequence[:n]
        self._words[:n, 1] = self.timestamp[:n]
        self.packets[:n, HEADER:PACKET] = frames

    def advance(self, rows: int, sent: Numbers, *, skipped: int) -> None:
        """Advance all streams by one tick and `skipped` more.

        The packets of the rows `sent` were handed to their sockets. The marker is set on the packet that follows a
        pause.
        Shape: `sent` are row numbers. Source: RFC 3551 §4.1.
        """
        which: slice | Numbers = slice(rows) if len(sent) == rows else sent
        if len(sent) < rows:
            self._marker[:rows] = 0x80
        self._marker[which] = 0
        self.sequence[which] += np.uint16(1)
        self.sent[which] += 1
        self.timestamp[:rows] += np.uint32(SAMPLES * (1 + skipped) % (1 << 32))
