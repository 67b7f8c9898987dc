"""Sound as a capture file that sipp plays: RTP packets with the moments at which they leave.

Source: the pcap file format (classic, microseconds); RFC 791, RFC 768 for the headers that sipp replaces by its own.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence
from pathlib import Path

from holdfast.testing.signals import FRAME_S, FRAME_SAMPLES

SSRC = 0x5EED


def capture(path: Path, frames: Sequence[bytes], sent: Iterable[tuple[int, float]] | None = None) -> Path:
    """Write these frames of PCMU as packets. `sent`: the numbers of those that leave, each so many seconds late."""
    leave = [(number, 0.0) for number in range(len(frames))] if sent is None else sent
    moments = sorted((number * FRAME_S + late_s, number) for number, late_s in leave)
    packets = [_record(at_s, _udp(_rtp(number, frames[number]))) for at_s, number in moments]
    path.write_bytes(struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 1) + b"".join(packets))
    return path


def _rtp(number: int, frame: bytes) -> bytes:
    return struct.pack("!BBHII", 0x80, 0, 1000 + number, FRAME_SAMPLES * number, SSRC) + frame


def _udp(payload: bytes) -> bytes:
    """The datagram with the headers in front of it."""
    udp = struct.pack("!HHHH", 6000, 6002, 8 + len(payload), 0) + payload
    local = bytes((127, 0, 0, 1))
    ip = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(udp), 0, 0, 64, 17, 0) + local + local
    return bytes(12) + b"\x08\x00" + ip + udp


def _record(at_s: float, data: bytes) -> bytes:
    return struct.pack("<IIII", 1 + int(at_s), round(at_s % 1 * 1e6) % 1_000_000, len(data), len(data)) + data
