"""Sounds made here: the hold music, ringback, a beep and touch tones. The same bytes every time, free of rights.

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
"""−20 dBFS, as speech on a telephone."""
RINGBACK_HZ = (440.0, 480.0)
"""Source: ITU-T E.180 supplement 2, United States: 2 s on, 4 s off."""

PAUSES_S = {sign: 0.02 * frames for sign, frames in PAUSE_FRAMES.items()}
MAX_DIGITS = 200

# The music: four chords of two bars, a soft pad under a plucked pattern. Notes by MIDI number.
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
    """The built-in sound of a name, or None when there is none of that name."""
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
    """About 23 s of quiet music whose end leads into its beginning without a gap."""
    length = _BEAT * _BEATS
    loop = np.zeros(length)
    for beat in range(_BEATS):
        chord = _CHORDS[beat // 8]
        for half in range(2):
            note = chord[_PATTERN[(2 * beat + half) % len(_PATTERN)]] + 12
            _lay(loop, beat * _BEAT + half * _BEAT // 2, _plucked(note, seconds=1.6), 0.5)
        if beat % 8 == 0:
            for note in chord[:4]:
                _lay(loop, beat * _BEAT, _sustained(note, samples=8 * _BEAT), 0.22)
        if beat in _MELODY:
            _lay(loop, beat * _BEAT, _plucked(_MELODY[beat] + 12, seconds=2.2), 0.8)
    return loop * (MUSIC_LEVEL / float(np.sqrt(np.mean(loop**2))))


def generated_tones(source: str) -> DecodedAudio | None:
    """The tones of `digits:…` or `ringing:COUNTRY`; None when it names none."""
    kind, _, what = source.partition(":")
    match kind:
        case "digits":
            return dtmf_tones(what)
        case "ringing":
            return ringing(what)
        case _:
            return None


def ringback() -> Samples:
    """One round of the tone that a caller hears while the other phone rings."""
    on = np.arange(2 * RATE_HZ) / RATE_HZ
    tone = sum((0.07 * np.sin(2 * np.pi * hz * on) for hz in RINGBACK_HZ), np.zeros_like(on))
    return np.concatenate([_eased(tone), np.zeros(4 * RATE_HZ)])


def beep() -> Samples:
    """A short tone: somebody came in, or left."""
    time = np.arange(RATE_HZ // 5) / RATE_HZ
    return _eased(0.14 * np.sin(2 * np.pi * 850.0 * time))


def dtmf_tones(digits: str) -> DecodedAudio | None:
    """Keys one after the other: `w` waits half a second, `W` a second. None when a sign is no key."""
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


def _lay(loop: Samples, start: int, sound: Samples, level: float) -> None:
    """Add a sound to the loop; what sounds beyond its end sounds on at its beginning."""
    places = np.arange(start, start + len(sound)) % len(loop)
    np.add.at(loop, places, level * sound)


def _hertz(note: int) -> float:
    return float(440.0 * 2.0 ** ((note - 69) / 12))


def _plucked(note: int, *, seconds: float) -> Samples:
    """A struck tone that dies away, its overtones sooner."""
    time = np.arange(int(seconds * RATE_HZ)) / RATE_HZ
    hz = _hertz(note)
    sound = np.zeros_like(time)
    for partial, strength in ((1, 1.0), (2, 0.35), (3, 0.12)):
        if partial * hz < 3300:
            sound += strength * np.exp(-time * (2.6 + 1.7 * partial)) * np.sin(2 * np.pi * partial * hz * time)
    return _eased(sound)


def _sustained(note: int, *, samples: int) -> Samples:
    """A tone that swells and ebbs."""
    time = np.arange(samples) / RATE_HZ
    hz = _hertz(note)
    swell = 0.6 + 0.4 * np.sin(np.pi * np.arange(samples) / samples)
    return _eased(swell * (np.sin(2 * np.pi * hz * time) + 0.3 * np.sin(2 * np.pi * 2 * hz * time + 0.5)), ease_s=0.08)


def _eased(sound: Samples, *, ease_s: float = 0.006) -> Samples:
    """The same, beginning and ending without a click."""
    ease = np.minimum(1.0, np.arange(len(sound)) / (ease_s * RATE_HZ))
    return sound * ease * ease[::-1]
