"""The sounds that a test knows by name: one hum per phone, two pieces of music, the tones of a telephone network.

Every sound is made of pure tones, and no two sounds share one, so that 20 ms of audio are enough to tell which of
them is in it (see `recognise`). A person listening to a recording can tell them apart too.

Units: frequencies in Hz, levels as a fraction of full scale.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

RATE_HZ = 8000
FRAME_SAMPLES = 160
FRAME_S = FRAME_SAMPLES / RATE_HZ
GRID_HZ = RATE_HZ // FRAME_SAMPLES
"""A tone on this grid repeats every frame, so that a phone that hums sends the same bytes in every packet."""

TONE_LEVEL = 0.2

Samples = NDArray[np.int16]


@dataclass(frozen=True, slots=True, kw_only=True)
class Chord:
    """Tones that sound together, all the time: the voice of a test phone."""

    name: str
    tones_hz: tuple[float, ...]

    def named(self, name: str) -> Chord:
        """Return the same tones under another name, such as the name of the party who hums them."""
        return replace(self, name=name)

    def frame(self) -> Samples:
        """Return one frame of this chord; frames in a row make the chord without a click.

        Shape: 160 samples, int16. Raises: ValueError for a tone that does not repeat every frame.
        """
        for tone_hz in self.tones_hz:
            if tone_hz % GRID_HZ:
                raise ValueError(f"{self.name}: {tone_hz} Hz is not a multiple of {GRID_HZ} Hz")
        return as_samples(sum_of_tones(self.tones_hz, FRAME_SAMPLES))


@dataclass(frozen=True, slots=True, kw_only=True)
class Melody:
    """Tones of which at least one sounds at any moment: a piece of music, recognised by its notes."""

    name: str
    tones_hz: tuple[float, ...]


Sound = Chord | Melody

ALICE = Chord(name="alice", tones_hz=(550.0, 1100.0))
BOB = Chord(name="bob", tones_hz=(650.0, 1300.0))
CAROL = Chord(name="carol", tones_hz=(850.0, 1700.0))
DAVE = Chord(name="dave", tones_hz=(950.0, 1900.0))
HUMS = (ALICE, BOB, CAROL, DAVE)

HOLD_MUSIC = Melody(name="hold music", tones_hz=(600.0, 750.0, 900.0, 1000.0, 1200.0))
SECOND_MUSIC = Melody(name="second music", tones_hz=(350.0, 700.0, 800.0, 1050.0, 1400.0))

RINGBACK = Chord(name="ringback", tones_hz=(440.0, 480.0))
"""Source: ITU-T E.180 supplement 2, ringing tone of North America."""

KNOWN: tuple[Sound, ...] = (*HUMS, HOLD_MUSIC, SECOND_MUSIC, RINGBACK)


def sum_of_tones(tones_hz: tuple[float, ...], samples: int) -> NDArray[np.float64]:
    """Return the sum of the tones, each at `TONE_LEVEL` and starting at phase 0. Shape: [samples], float64."""
    seconds = np.arange(samples) / RATE_HZ
    wave = np.zeros(samples)
    for tone_hz in tones_hz:
        wave += TONE_LEVEL * np.sin(2 * np.pi * tone_hz * seconds)
    return wave


def as_samples(wave: NDArray[np.float64]) -> Samples:
    """Convert a wave in -1…1 to 16-bit samples; values outside are clipped. Shape: [n], float64 to int16."""
    return np.clip(np.rint(wave * 32767), -32768, 32767).astype(np.int16)
