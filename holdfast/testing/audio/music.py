"""The two pieces of hold music that ship with Holdfast, and how they are made.

Both are composed here, from sines alone, and are free to copy with the program. Each is a loop whose end leads into its
beginning. `python -m holdfast.testing.audio.music` writes the files again.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
from numpy.typing import NDArray

from holdfast.testing.signals import HOLD_MUSIC, SECOND_MUSIC, Melody

SOUNDS = Path(__file__).parents[1] / "sounds"
HOLD_MUSIC_MP3 = SOUNDS / "hold-music.mp3"
SECOND_MUSIC_MP3 = SOUNDS / "second-music.mp3"

STUDIO_RATE_HZ = 44100
RELEASE_S = 0.9
"""How long a note takes to fade to a tenth."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """A loop: beats of equal length, each with the notes struck on it, as indices into the melody's tones.

    Invariant: from any beat to the next a note sounds, so that every frame of the music is recognised.
    """

    melody: Melody
    beat_s: float
    beats: tuple[tuple[int, ...], ...]


MUSIC_BOX = Score(
    melody=HOLD_MUSIC,
    beat_s=0.25,
    beats=(
        *((0, 4), (1,), (2,), (4,), (2,), (1,), (0, 3), (2,)),
        *((1, 4), (2,), (3,), (4,), (3,), (2,), (1,), (0,)),
        *((0, 3), (1,), (3,), (4,), (3,), (1,), (2, 4), (1,)),
        *((0, 2), (1,), (2,), (3,), (4,), (2,), (1,), (0,)),
    ),
)

SLOW_BELLS = Score(
    melody=SECOND_MUSIC,
    beat_s=0.5,
    beats=((0, 1, 3), (3,), (4,), (2, 4), (3,), (1,), (0, 2), (3,), (1, 4), (3,), (2,), (1,)),
)


def play(score: Score, *, rate_hz: int = STUDIO_RATE_HZ) -> NDArray[np.float64]:
    """Return one round of the loop; what still sounds at its end is folded into its beginning.

    Shape: [n], float64, in -0.8…0.8.
    """
    length = round(len(score.beats) * score.beat_s * rate_hz)
    wave = np.zeros(length)
    for beat, notes in enumerate(score.beats):
        start = round(beat * score.beat_s * rate_hz)
        for note in notes:
            sound = _note(score.melody.tones_hz[note], rate_hz)
            np.add.at(wave, (start + np.arange(len(sound))) % length, sound)
    return wave * float(0.8 / np.max(np.abs(wave)))


def _note(tone_hz: float, rate_hz: int) -> NDArray[np.float64]:
    seconds = np.arange(round(3 * RELEASE_S * rate_hz)) / rate_hz
    attack = np.minimum(seconds / 0.01, 1.0)
    fade: NDArray[np.float64] = attack * 10 ** (-seconds / RELEASE_S) - 10 ** (-3) * seconds / seconds[-1]
    return fade * np.sin(2 * np.pi * tone_hz * seconds)


def write(score: Score, path: Path) -> None:
    """Write the loop as an MP3 file."""
    soundfile.write(path, play(score), STUDIO_RATE_HZ, format="MP3", subtype="MPEG_LAYER_III")


if __name__ == "__main__":
    SOUNDS.mkdir(exist_ok=True)
    write(MUSIC_BOX, HOLD_MUSIC_MP3)
    write(SLOW_BELLS, SECOND_MUSIC_MP3)
