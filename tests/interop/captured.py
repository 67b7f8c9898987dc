"""Sound as a capture file that sipp plays: RTP packets with the moments at which they leave.

Source: the pcap file format (classic, microseconds); RFC 791, RFC 768 for the headers that sipp replaces by its own.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable
from pathlib import Path

from holdfast.testing.signals import FRAME_S, FRAME_SAMPLES

SSRC = 0x5EED


def capture(path: Path, frame: bytes, sent: Iterable[tuple[int, float]]) -> Path:
    """Write one frame of PCMU as the packets of these numbers, each of which leaves so many seconds late."""
    leaves = sorted((number * FRAME_S + late_s, number) for number, late_s in sent)
    packets = [_record(at_s, _udp(_rtp(number, frame))) for at_s, number in leaves]
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
