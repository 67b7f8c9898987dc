"""The built-in sounds: their tones, their level, and that they loop."""

import hashlib

import numpy as np
import pytest
from numpy.typing import NDArray

from holdfast.voice.media.codec import g711
from holdfast.voice.media.dtmf.tone_generator import DTMF_HZ
from holdfast.voice.runtime.sounds.generated import (
    FRAME,
    built_in,
    dtmf_tones,
    music,
)
from holdfast.voice.runtime.sounds.sound import RATE_HZ, DecodedAudio


def heard(sound: DecodedAudio | None) -> NDArray[np.float64]:
    assert sound is not None
    return g711.decode(sound.audio).astype(np.float64) / 32768


def level_db(samples: NDArray[np.float64]) -> float:
    return float(10 * np.log10(np.mean(samples**2) + 1e-12))


def strongest_hz(samples: NDArray[np.float64], count: int) -> list[int]:
    """Return the frequencies of the strongest peaks, to the nearest 10 Hz, lowest first."""
    spectrum = np.abs(np.fft.rfft(samples * np.hanning(len(samples)), RATE_HZ))
    found = []
    for _ in range(count):
        peak = int(np.argmax(spectrum))
        found.append(round(peak / 10) * 10)
        spectrum[max(0, peak - 40) : peak + 40] = 0
    return sorted(found)


def test_music_is_at_the_level_of_speech_and_never_silent() -> None:
    sound = built_in("music")
    samples = heard(sound)

    assert sound is not None
    assert sound.level_db == pytest.approx(-20, abs=0.1)
    assert sound.peak_db < -3
    assert 20 < sound.seconds < 30
    quarters = [level_db(samples[start : start + 2000]) for start in range(0, len(samples) - 2000, 2000)]
    assert min(quarters) > -34
    assert sound == built_in("hold")


def test_music_loops_without_a_seam() -> None:
    samples = music()
    steps = np.abs(np.diff(samples))

    assert len(samples) % FRAME == 0
    assert abs(samples[0] - samples[-1]) <= np.quantile(steps, 0.99)


def test_music_is_the_same_every_time() -> None:
    first, second = built_in("music"), built_in("music")

    assert first is not None
    assert first == second
    assert hashlib.sha256(first.audio).hexdigest() != hashlib.sha256(heard(built_in("beep")).tobytes()).hexdigest()


def test_ringback_is_two_seconds_of_two_tones_and_four_of_silence() -> None:
    samples = heard(built_in("ringback"))

    assert len(samples) == 6 * RATE_HZ
    assert strongest_hz(samples[: 2 * RATE_HZ], 2) == [440, 480]
    assert level_db(samples[: 2 * RATE_HZ]) == pytest.approx(-23, abs=1)
    assert level_db(samples[2 * RATE_HZ :]) < -80


def test_a_beep_is_short() -> None:
    samples = heard(built_in("beep"))

    assert len(samples) < RATE_HZ / 2
    assert strongest_hz(samples, 1) == [850]


def test_an_unknown_name_has_no_sound() -> None:
    assert built_in("nonsense") is None


@pytest.mark.parametrize("digit", "1234567890*#ABCD")
def test_every_digit_is_its_two_tones(digit: str) -> None:
    samples = heard(dtmf_tones(digit))
    low, high = DTMF_HZ[digit]

    found = strongest_hz(samples[:800], 2)
    assert found[0] == pytest.approx(low, abs=15)
    assert found[1] == pytest.approx(high, abs=15)
    assert -16 < level_db(samples[80:720]) < -10


def test_digits_and_pauses_follow_each_other() -> None:
    samples = heard(dtmf_tones("1w2Wa"))

    assert len(samples) == int(3 * 0.2 * RATE_HZ + 1.5 * RATE_HZ)
    assert level_db(samples[1700:5500]) < -80
    assert samples[-1600:].tobytes() == heard(dtmf_tones("A")).tobytes()


@pytest.mark.parametrize("digits", ["", "12x", "+1", "1" * 201])
def test_a_character_that_is_no_digit_has_no_tone(digits: str) -> None:
    assert dtmf_tones(digits) is None
