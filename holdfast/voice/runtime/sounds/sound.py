"""Encode audio as telephones carry it, and measure its level."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from holdfast.voice.media.codec import g711

RATE_HZ = 8000
FLOOR_DB = -96.0
BLOCK = 1 << 16


@dataclass(frozen=True, slots=True, kw_only=True)
class DecodedAudio:
    """Decoded audio is one mono channel, µ-law, 8,000 samples a second.

    The format is that of the file it was decoded from; generated audio has none.

    Units: `level_db` (RMS) and `peak_db` relative to full scale.
    """

    audio: bytes
    level_db: float
    peak_db: float
    format: str = ""

    @property
    def seconds(self) -> float:
        """Return the duration. Units: seconds."""
        return len(self.audio) / RATE_HZ


def encode_samples(samples: NDArray[np.floating[Any]]) -> DecodedAudio:
    """Encode and measure samples; values beyond the range are clipped.

    Shape: (samples,), at least one, floating point. Units: −1 to 1.
    """
    blocks = (samples[start : start + BLOCK] for start in range(0, len(samples), BLOCK))
    audio = b"".join(
        g711.encode(np.clip(np.rint(block * 32767), -32768, 32767).astype(np.int16), g711.ULAW) for block in blocks
    )
    level = math.sqrt(float(np.mean(np.square(samples, dtype=np.float64))))
    return DecodedAudio(audio=audio, level_db=_decibels(level), peak_db=_decibels(float(np.max(np.abs(samples)))))


def _decibels(level: float) -> float:
    return max(FLOOR_DB, 20 * math.log10(level)) if level > 0 else FLOOR_DB
