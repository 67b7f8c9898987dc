"""The music files that ship are what the scores in the tree say, and no frame of a loop is silent."""

from pathlib import Path

import numpy as np
import pytest
import soundfile
import soxr

from holdfast.testing.audio.music import (
    HOLD_MUSIC_MP3,
    MUSIC_BOX,
    SECOND_MUSIC_MP3,
    SLOW_BELLS,
    Score,
    play,
    write,
)
from holdfast.testing.audio.recogniser import Recogniser
from holdfast.testing.signals import FRAME_SAMPLES, KNOWN, RATE_HZ, as_samples

PIECES = [(MUSIC_BOX, HOLD_MUSIC_MP3), (SLOW_BELLS, SECOND_MUSIC_MP3)]


@pytest.mark.parametrize(("score", "path"), PIECES, ids=["hold music", "second music"])
def test_the_file_that_ships_is_the_score(score: Score, path: Path) -> None:
    audio, rate_hz = soundfile.read(path)
    telephone = as_samples(soxr.resample(audio, rate_hz, RATE_HZ))
    usable = len(telephone) // FRAME_SAMPLES * FRAME_SAMPLES

    heard = Recogniser(KNOWN).recognise(telephone[:usable].reshape(-1, FRAME_SAMPLES))

    assert len(audio) == round(len(score.beats) * score.beat_s * rate_hz)
    assert all(score.melody.name in names for names in heard)


@pytest.mark.parametrize("score", [MUSIC_BOX, SLOW_BELLS], ids=lambda score: score.melody.name)
def test_a_loop_has_no_click_where_it_begins_again(score: Score) -> None:
    wave = play(score, rate_hz=RATE_HZ)

    steps = np.abs(np.diff(np.concatenate([wave, wave[:1]])))

    assert np.max(np.abs(wave)) <= 0.8
    assert steps[-1] <= np.max(steps[:-1])


def test_music_can_be_written_again(tmp_path: Path) -> None:
    write(SLOW_BELLS, tmp_path / "again.mp3")

    audio, rate_hz = soundfile.read(tmp_path / "again.mp3")

    assert len(audio) / rate_hz == pytest.approx(len(SLOW_BELLS.beats) * SLOW_BELLS.beat_s)
