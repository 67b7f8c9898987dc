"""Write and read the header of a WAV file: 16-bit linear samples at 8 kHz.

Source: Microsoft RIFF/WAVE, format tag 1 (PCM).
"""

from __future__ import annotations

import struct

RATE_HZ = 8000
SAMPLE_BYTES = 2
HEADER_BYTES = 44
_HEADER = struct.Struct("<4sI4s4sIHHIIHH4sI")
_MAX_SIZE = 0xFFFFFFFF


def wav_header(*, channels: int, data_bytes: int) -> bytes:
    """Return the 44 bytes before the samples.

    A file that is too large for the size fields of the format carries their largest value.
    """
    block = channels * SAMPLE_BYTES
    return _HEADER.pack(
        b"RIFF",
        min(data_bytes + HEADER_BYTES - 8, _MAX_SIZE),
        b"WAVE",
        b"fmt ",
        16,
        1,
        channels,
        RATE_HZ,
        RATE_HZ * block,
        block,
        8 * SAMPLE_BYTES,
        b"data",
        min(data_bytes, _MAX_SIZE),
    )


def read_channels(header: bytes) -> int | None:
    """Return the number of channels that a header gives; None when the file is not in our format."""
    if len(header) < HEADER_BYTES:
        return None
    riff, _, wave, fmt, _, tag, channels, rate, _, _, bits, data, _ = _HEADER.unpack(header[:HEADER_BYTES])
    ours = (riff, wave, fmt, data) == (b"RIFF", b"WAVE", b"fmt ", b"data") and (tag, rate, bits) == (1, RATE_HZ, 16)
    return int(channels) if ours and channels in (1, 2) else None
