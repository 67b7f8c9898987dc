"""The head of a WAV file: 16-bit linear samples at 8 kHz. Source: Microsoft RIFF/WAVE, format tag 1 (PCM)."""

from __future__ import annotations

import struct

RATE_HZ = 8000
SAMPLE_BYTES = 2
HEAD_BYTES = 44
_HEAD = struct.Struct("<4sI4s4sIHHIIHH4sI")
_MOST = 0xFFFFFFFF


def head(*, channels: int, data_bytes: int) -> bytes:
    """The 44 bytes before the samples. A file too large for its own size fields says the most they can."""
    block = channels * SAMPLE_BYTES
    return _HEAD.pack(
        b"RIFF",
        min(data_bytes + HEAD_BYTES - 8, _MOST),
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
        min(data_bytes, _MOST),
    )


def channels_in(head_bytes: bytes) -> int | None:
    """How many channels a file that begins so has; None when it is not one of ours."""
    if len(head_bytes) < HEAD_BYTES:
        return None
    riff, _, wave, fmt, _, tag, channels, rate, _, _, bits, data, _ = _HEAD.unpack(head_bytes[:HEAD_BYTES])
    ours = (riff, wave, fmt, data) == (b"RIFF", b"WAVE", b"fmt ", b"data") and (tag, rate, bits) == (1, RATE_HZ, 16)
    return int(channels) if ours and channels in (1, 2) else None
