"""A sound as telephones carry it."""

from __future__ import annotations

from dataclasses import dataclass

RATE_HZ = 8000


@dataclass(frozen=True, slots=True, kw_only=True)
class Sound:
    """One mono channel, µ-law, 8,000 samples a second.

    Units: `level_db` (RMS) and `peak_db` relative to full scale.
    """

    audio: bytes
    level_db: float
    peak_db: float

    @property
    def seconds(self) -> float:
        """How long it lasts."""
        return len(self.audio) / RATE_HZ
