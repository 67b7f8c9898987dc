"""The tones by which telephone networks say that the other phone rings, by country.

Source: ITU-T E.180 supplement 2, ringing tones.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np

from holdfast.voice.runtime.sounds.sound import RATE_HZ, DecodedAudio, encode_samples

LEVEL = 0.07


@dataclass(frozen=True, slots=True)
class Cadence:
    """Tones that sound and are silent in turn. Units: hertz; `beats` seconds, sound first.

    `modulated_hz`: the tone swells that many times a second.
    """

    tones_hz: tuple[float, ...]
    durations_s: tuple[float, ...]
    modulated_hz: float = 0.0


def _even(hz: float, on_s: float, off_s: float) -> Cadence:
    return Cadence((hz,), (on_s, off_s))


_DOUBLE = (0.4, 0.2, 0.4, 2.0)
CADENCES = {
    "at": _even(420, 1, 5),
    "au": Cadence((413, 438), _DOUBLE),
    "be": _even(425, 1, 3),
    "bg": _even(425, 1, 4),
    "br": _even(425, 1, 4),
    "ch": _even(425, 1, 4),
    "cl": _even(400, 1, 3),
    "cn": _even(450, 1, 4),
    "cz": _even(425, 1, 4),
    "de": _even(425, 1, 4),
    "dk": _even(425, 1, 4),
    "ee": _even(425, 1, 4),
    "es": _even(425, 1.5, 3),
    "fi": _even(425, 1, 4),
    "fr": _even(440, 1.5, 3.5),
    "gr": _even(425, 1, 4),
    "hu": _even(425, 1.25, 3.75),
    "il": _even(400, 1, 3),
    "in": Cadence((400,), _DOUBLE, 25),
    "it": _even(425, 1, 4),
    "jp": Cadence((400,), (1, 2), 16),
    "lt": _even(425, 1, 4),
    "mx": _even(425, 1, 4),
    "my": Cadence((425,), _DOUBLE),
    "nl": _even(425, 1, 4),
    "no": _even(425, 1, 4),
    "nz": Cadence((400, 450), _DOUBLE),
    "ph": Cadence((425, 480), (1, 4)),
    "pl": _even(425, 1, 4),
    "pt": _even(425, 1, 5),
    "ru": _even(425, 0.8, 3.2),
    "se": _even(425, 1, 5),
    "sg": Cadence((425,), _DOUBLE, 24),
    "th": _even(400, 1, 4),
    "tw": Cadence((440, 480), (1, 2)),
    "uk": Cadence((400, 450), _DOUBLE),
    "us": Cadence((440, 480), (2, 4)),
    "us-old": Cadence((420,), (2, 4), 40),
    "ve": _even(425, 1, 4),
    "za": Cadence((400,), _DOUBLE, 33),
}


@cache
def ringing(country: str) -> DecodedAudio | None:
    """One round of a country's ringing tone; None for a country that is not in the list."""
    cadence = CADENCES.get(country)
    if cadence is None:
        return None
    parts = []
    for number, beat_s in enumerate(cadence.durations_s):
        time = np.arange(round(beat_s * RATE_HZ)) / RATE_HZ
        tone = np.zeros_like(time)
        if number % 2 == 0:
            for hz in cadence.tones_hz:
                tone += LEVEL * np.sin(2 * np.pi * hz * time)
            if cadence.modulated_hz:
                tone *= (1 + np.sin(2 * np.pi * cadence.modulated_hz * time)) / 2
        parts.append(tone)
    return encode_samples(np.concatenate(parts))
