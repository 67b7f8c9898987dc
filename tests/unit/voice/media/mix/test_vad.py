"""Voice activity detection follows levels over time."""

from __future__ import annotations

import numpy as np
import pytest

from holdfast.voice.media.codec.g711 import ENCODE, SILENCE
from holdfast.voice.media.frames import SAMPLES, Bytes, Numbers
from holdfast.voice.media.mix.vad import LOUD_FRAMES, QUIET_FRAMES, VoiceActivity


def tone(level_db: float, companding: int = 0) -> Bytes:
    """Return one frame of a tone with this root mean square, full scale being 0 dB."""
    wave = np.sin(2 * np.pi * 500 * np.arange(SAMPLES) / 8000) * np.sqrt(2) * 32768 * 10 ** (level_db / 20)
    encoded: Bytes = ENCODE[companding][wave.astype(np.int32) + 32768]
    return encoded


def hears(detector: VoiceActivity, *frames: Bytes, companding: Numbers | None = None) -> list[tuple[int, bool]]:
    """Return the speech changes of row 1 of three rows, tick by tick."""
    turned = []
    compandings = np.zeros(3, dtype=np.intp) if companding is None else companding
    for frame in frames:
        rx = np.full((3, SAMPLES), SILENCE[0], dtype=np.uint8)
        rx[1] = frame
        turned += list(detector.detect(rx, compandings))
    return turned


def listening() -> VoiceActivity:
    detector = VoiceActivity(3)
    detector.set_enabled(1, enabled=True)
    return detector


@pytest.mark.parametrize(("level_db", "speaks"), [(-20, True), (-38, True), (-42, False), (-60, False)])
def test_loud_audio_is_speech(level_db: float, *, speaks: bool) -> None:
    turned = hears(listening(), *[tone(level_db)] * 20)
    assert turned == ([(1, True)] if speaks else [])


def test_a_click_is_no_speech_and_a_breath_does_not_end_speech() -> None:
    detector = listening()
    loud, quiet = tone(-26), tone(-70)
    assert hears(detector, *[loud] * (LOUD_FRAMES - 1), quiet, *[loud] * (LOUD_FRAMES - 1)) == []
    assert hears(detector, loud) == [(1, True)]
    assert hears(detector, *[quiet] * (QUIET_FRAMES - 1), loud, *[quiet] * (QUIET_FRAMES - 1)) == []
    assert hears(detector, quiet) == [(1, False)]
    assert hears(detector, *[quiet] * 200) == []


def test_each_row_is_measured_in_its_companding() -> None:
    companding = np.ones(3, dtype=np.intp)
    detector = listening()
    assert hears(detector, *[tone(-26, companding=1)] * LOUD_FRAMES, companding=companding) == [(1, True)]


def test_a_row_is_watched_only_when_enabled_and_begins_quiet() -> None:
    detector = VoiceActivity(3)
    loud = tone(-20)
    assert hears(detector, *[loud] * 20) == []
    detector.set_enabled(1, enabled=True)
    assert hears(detector, *[loud] * 20) == [(1, True)]
    detector.set_enabled(1, enabled=True)
    assert hears(detector, *[loud] * 20) == []
    detector.set_enabled(1, enabled=False)
    assert hears(detector, *[loud] * 20) == []
    detector.set_enabled(1, enabled=True)
    assert hears(detector, *[loud] * 20) == [(1, True)]


def test_a_row_above_the_rows_in_use_is_skipped() -> None:
    detector = VoiceActivity(3)
    detector.set_enabled(2, enabled=True)
    assert list(detector.detect(np.zeros((2, SAMPLES), dtype=np.uint8), np.zeros(3, dtype=np.intp))) == []
