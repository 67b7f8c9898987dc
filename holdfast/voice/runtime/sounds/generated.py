"""Generate the hold music, ringback, a beep and DTMF tones: the same bytes every time, free of rights.

Units: 8,000 samples a second; levels relative to full scale.
"""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray

from holdfast.voice.media.dtmf.event_sender import OFF_FRAMES, PAUSE_FRAMES
from holdfast.voice.media.dtmf.tone_generator import DTMF_HZ, tone
from holdfast.voice.runtime.sounds.ringback import ringing
from holdfast.voice.runtime.sounds.sound import RATE_HZ, DecodedAudio, encode_samples

FRAME = 160

Samples = NDArray[np.float64]

MUSIC_LEVEL = 0.1
"""The RMS level of the music, −20 dBFS, as speech on a telephone."""
RINGBACK_HZ = (440.0, 480.0)
"""Source: ITU-T E.180 supplement 2, United States: 2 s on, 4 s off."""

PAUSES_S = {char: 0.02 * frames for char, frames in PAUSE_FRAMES.items()}
MAX_DIGITS = 200

# The music: four chords of two bars, a soft pad under a plucked pattern. Notes are MIDI numbers.
_BEAT = 36 * FRAME
_BEATS = 32
_CHORDS = (
    (60, 64, 67, 71, 74),  # C major seventh, ninth
    (57, 60, 64, 67, 72),  # A minor seventh
    (53, 60, 65, 69, 72),  # F
    (55, 59, 62, 67, 74),  # G
)
_PATTERN = (0, 2, 3, 1, 4, 2, 3, 2)
_MELODY = {0: 76, 3: 79, 6: 74, 8: 72, 11: 76, 14: 71, 16: 69, 19: 72, 21: 74, 24: 71, 27: 74, 30: 79}


def built_in(name: str) -> DecodedAudio | None:
    """Return the built-in sound with this name, or None."""
    match name:
        case "music" | "hold":
            return _music()
        case "ringback":
            return encode_samples(ringback())
        case "beep":
            return encode_samples(beep())
        case _:
            return None


@cache
def _music() -> DecodedAudio:
    return encode_samples(music())


def music() -> Samples:
    """Return about 23 s of quiet music that loops without a gap. Shape: (samples,), float64, −1 to 1."""
    length = _BEAT * _BEATS
    loop = np.zeros(length)
    for beat in range(_BEATS):
        chord = _CHORDS[beat // 8]
        for half in range(2):
            note = chord[_PATTERN[(2 * beat + half) % len(_PATTERN)]] + 12
            _mix_in(loop, beat * _BEAT + half * _BEAT // 2, _plucked(note, seconds=1.6), 0.5)
        if beat % 8 == 0:
            for note in chord[:4]:
                _mix_in(loop, beat * _BEAT, _sustained(note, samples=8 * _BEAT), 0.22)
        if beat in _MELODY:
            _mix_in(loop, beat * _BEAT, _plucked(_MELODY[beat] + 12, seconds=2.2), 0.8)
    return loop * (MUSIC_LEVEL / float(np.sqrt(np.mean(loop**2))))


def generated_tones(source: str) -> DecodedAudio | None:
    """Return the tones of a source `digits:…` or `ringing:COUNTRY`; None for any other source."""
    kind, _, argument = source.partition(":")
    match kind:
        case "digits":
            return dtmf_tones(argument)
        case "ringing":
            return ringing(argument)
        case _:
            return None


def ringback() -> Samples:
    """Return one period of the tone that a caller hears while the callee rings. Shape: (samples,), float64, −1 to 1."""
    on = np.arange(2 * RATE_HZ) / RATE_HZ
    tone = sum((0.07 * np.sin(2 * np.pi * hz * on) for hz in RINGBACK_HZ), np.zeros_like(on))
    return np.concatenate([_faded(tone), np.zeros(4 * RATE_HZ)])


def beep() -> Samples:
    """Return a short tone that announces a participant who enters or leaves. Shape: (samples,), float64, −1 to 1."""
    time = np.arange(RATE_HZ // 5) / RATE_HZ
    return _faded(0.14 * np.sin(2 * np.pi * 850.0 * time))


def dtmf_tones(digits: str) -> DecodedAudio | None:
    """Return the DTMF tones of digits, or None if a character is no digit; `w` waits half a second, `W` a second."""
    if not digits or len(digits) > MAX_DIGITS:
        return None
    parts: list[Samples] = []
    for digit in digits:
        if digit in PAUSES_S:
            parts.append(np.zeros(int(PAUSES_S[digit] * RATE_HZ)))
            continue
        if digit.upper() not in DTMF_HZ:
            return None
        parts += [tone(digit.upper()), np.zeros(OFF_FRAMES * FRAME)]
    return encode_samples(np.concatenate(parts))


def _mix_in(loop: Samples, start: int, samples: Samples, level: float) -> None:
    """Mix samples into the loop; samples beyond its end wrap to its beginning."""
    indices = np.arange(start, start + len(samples)) % len(loop)
    np.add.at(loop, indices, level * samples)


def _hertz(note: int) -> float:
    return float(440.0 * 2.0 ** ((note - 69) / 12))


def _plucked(note: int, *, seconds: float) -> Samples:
    """Return a plucked tone that decays, its overtones faster. Shape: (samples,), float64."""
    time = np.arange(int(seconds * RATE_HZ)) / RATE_HZ
    hz = _hertz(note)
    samples = np.zeros_like(time)
    for partial, strength in ((1, 1.0), (2, 0.35), (3, 0.12)):
        if partial * hz < 3300:
            samples += strength * np.exp(-time * (2.6 + 1.7 * partial)) * np.sin(2 * np.pi * partial * hz * time)
    return _faded(samples)


def _sustained(note: int, *, samples: int) -> Samples:
    """Return a tone that swells and fades. Shape: (samples,), float64."""
    time = np.arange(samples) / RATE_HZ
    hz = _hertz(note)
    swell = 0.6 + 0.4 * np.sin(np.pi * np.arange(samples) / samples)
    return _faded(swell * (np.sin(2 * np.pi * hz * time) + 0.3 * np.sin(2 * np.pi * 2 * hz * time + 0.5)), fade_s=0.08)


def _faded(samples: Samples, *, fade_s: float = 0.006) -> Samples:
    """Fade samples in and out, so that they begin and end without a click. Shape: as given, float64."""
    fade = np.minimum(1.0, np.arange(len(samples)) / (fade_s * RATE_HZ))
    return samples * fade * fade[::-1]
