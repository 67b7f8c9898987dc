"""Generate ringback tones, which tell a caller that the callee rings, by country.

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
    """A cadence alternates tones and silence.

    Units: hertz; `durations_s` seconds, a tone first. `modulated_hz` is the frequency of its amplitude modulation.
    """

    tones_hz: tuple[float, ...]
    durations_s: tuple[float, ...]
    modulated_hz: float = 0.0


def _single_tone(hz: float, on_s: float, off_s: float) -> Cadence:
    return Cadence((hz,), (on_s, off_s))


_DOUBLE = (0.4, 0.2, 0.4, 2.0)
CADENCES = {
    "at": _single_tone(420, 1, 5),
    "au": Cadence((413, 438), _DOUBLE),
    "be": _single_tone(425, 1, 3),
    "bg": _single_tone(425, 1, 4),
    "br": _single_tone(425, 1, 4),
    "ch": _single_tone(425, 1, 4),
    "cl": _single_tone(400, 1, 3),
    "cn": _single_tone(450, 1, 4),
    "cz": _single_tone(425, 1, 4),
    "de": _single_tone(425, 1, 4),
    "dk": _single_tone(425, 1, 4),
    "ee": _single_tone(425, 1, 4),
    "es": _single_tone(425, 1.5, 3),
    "fi": _single_tone(425, 1, 4),
    "fr": _single_tone(440, 1.5, 3.5),
    "gr": _single_tone(425, 1, 4),
    "hu": _single_tone(425, 1.25, 3.75),
    "il": _single_tone(400, 1, 3),
    "in": Cadence((400,), _DOUBLE, 25),
    "it": _single_tone(425, 1, 4),
    "jp": Cadence((400,), (1, 2), 16),
    "lt": _single_tone(425, 1, 4),
    "mx": _single_tone(425, 1, 4),
    "my": Cadence((425,), _DOUBLE),
    "nl": _single_tone(425, 1, 4),
    "no": _single_tone(425, 1, 4),
    "nz": Cadence((400, 450), _DOUBLE),
    "ph": Cadence((425, 480), (1, 4)),
    "pl": _single_tone(425, 1, 4),
    "pt": _single_tone(425, 1, 5),
    "ru": _single_tone(425, 0.8, 3.2),
    "se": _single_tone(425, 1, 5),
    "sg": Cadence((425,), _DOUBLE, 24),
    "th": _single_tone(400, 1, 4),
    "tw": Cadence((440, 480), (1, 2)),
    "uk": Cadence((400, 450), _DOUBLE),
    "us": Cadence((440, 480), (2, 4)),
    "us-old": Cadence((420,), (2, 4), 40),
    "ve": _single_tone(425, 1, 4),
    "za": Cadence((400,), _DOUBLE, 33),
}


@cache
def ringing(country: str) -> DecodedAudio | None:
    """Return one period of a country's ringback tone; None for a country that is not in the list."""
    cadence = CADENCES.get(country)
    if cadence is None:
        return None
    parts = []
    for number, duration_s in enumerate(cadence.durations_s):
        time = np.arange(round(duration_s * RATE_HZ)) / RATE_HZ
        tone = np.zeros_like(time)
        if number % 2 == 0:
            for hz in cadence.tones_hz:
                tone += LEVEL * np.sin(2 * np.pi * hz * time)
            if cadence.modulated_hz:
                tone *= (1 + np.sin(2 * np.pi * cadence.modulated_hz * time)) / 2
        parts.append(tone)
    return encode_samples(np.concatenate(parts))
