"""Each DTMF digit in the audio is detected once; speech, music and near misses are not digits. Source: ITU-T Q.24."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from holdfast.voice.media.codec.g711 import ALAW, ENCODE, ULAW
from holdfast.voice.media.dtmf import tone_detector
from holdfast.voice.media.dtmf.tone_detector import (
    DTMF_DIGITS,
    HIGH_HZ,
    LOOKS_TO_BEGIN,
    LOOKS_TO_END,
    LOW_HZ,
    ToneDetector,
)

Floats = NDArray[np.float64]


def tones_of(digit: str, ms: float, *, level_db: float = -13.0, twist_db: float = 0.0, off: float = 0.0) -> Floats:
    """Return the tones of a digit. Units: each tone's level relative to full scale; `off` is the relative frequency
    error."""
    place = list(DTMF_DIGITS).index(digit)
    time = np.arange(round(8 * ms)) / 8000
    low, high = (1 + off) * LOW_HZ[place // 4], (1 + off) * HIGH_HZ[place % 4]
    loud = 32767 * 10 ** (level_db / 20)
    audio: Floats = loud * (np.sin(2 * np.pi * low * time) + 10 ** (twist_db / 20) * np.sin(2 * np.pi * high * time))
    return audio


def quiet(ms: float) -> Floats:
    return np.zeros(round(8 * ms))


def pressed(*parts: Floats, companding: int = ULAW, after_ms: float = 0) -> str:
    """Return the digits detected in these pieces of audio, one after the other."""
    audio = np.concatenate([quiet(after_ms), *parts, quiet(60)])
    audio = np.pad(audio, (0, -len(audio) % 160))
    detector, detected = ToneDetector(1), ""
    detector.set_enabled(0, enabled=True)
    codes = ENCODE[companding][np.clip(np.rint(audio), -32768, 32767).astype(int) + 32768].reshape(-1, 1, 160)
    for frame in codes:
        detected += "".join(digit for _, digit in detector.detect(frame, np.array([companding])))
    return detected


@pytest.mark.parametrize("companding", [ULAW, ALAW])
def test_every_digit_is_detected(companding: int) -> None:
    digits = "".join(DTMF_DIGITS)
    assert (
        pressed(*[part for digit in digits for part in (tones_of(digit, 60), quiet(60))], companding=companding)
        == digits
    )


@pytest.mark.parametrize("after_ms", range(0, 21, 2))
def test_40_ms_of_tone_are_a_digit_wherever_they_begin(after_ms: int) -> None:
    assert pressed(tones_of("5", 40), quiet(40), tones_of("5", 40), after_ms=after_ms) == "55"


def test_a_long_digit_is_detected_once() -> None:
    assert pressed(tones_of("9", 3000)) == "9"


@pytest.mark.parametrize("ms", [5, 10, 15])
def test_a_short_tone_is_no_digit(ms: int) -> None:
    for after_ms in range(0, 21, 3):
        assert pressed(tones_of("5", ms), after_ms=after_ms) == ""


def test_a_gap_of_10_ms_is_no_second_press() -> None:
    assert pressed(tones_of("7", 60), quiet(10), tones_of("7", 60)) == "7"


def test_a_different_digit_at_once_is_a_second_one() -> None:
    assert pressed(tones_of("1", 80), tones_of("2", 80)) == "12"


@pytest.mark.parametrize("off", [-0.015, 0.015])
def test_frequencies_a_little_off_are_accepted(off: float) -> None:
    assert pressed(*[part for digit in "147*" for part in (tones_of(digit, 100, off=off), quiet(60))]) == "147*"


@pytest.mark.parametrize("off", [-0.035, 0.035])
def test_frequencies_far_off_are_refused(off: float) -> None:
    assert pressed(*[part for digit in "369#" for part in (tones_of(digit, 200, off=off), quiet(60))]) == ""


@pytest.mark.parametrize("twist_db", [-6.0, 6.0])
def test_unequal_tones_are_accepted(twist_db: float) -> None:
    assert pressed(tones_of("6", 100, level_db=-20, twist_db=twist_db)) == "6"


def test_one_tone_alone_is_no_digit() -> None:
    assert pressed(tones_of("6", 300, twist_db=-20)) == ""
    assert pressed(tones_of("6", 300, level_db=-30, twist_db=20)) == ""


def test_soft_digits_are_detected_and_softer_ones_are_not() -> None:
    assert pressed(tones_of("3", 100, level_db=-33)) == "3"
    assert pressed(tones_of("3", 100, level_db=-50)) == ""


def test_digits_are_detected_through_noise() -> None:
    dice = np.random.default_rng(1)
    audios = [part for digit in "0123456789" for part in (tones_of(digit, 80), quiet(80))]
    noisy = np.concatenate(audios)
    noisy += dice.normal(0, 32767 * 10 ** (-13 / 20) / 8, len(noisy))
    assert pressed(noisy) == "0123456789"


@settings(max_examples=20)
@given(st.integers(0, 10**6), st.floats(80, 300))
def test_a_voice_is_no_digit(seed: int, pitch_hz: float) -> None:
    """A gliding pitch with overtones and breath."""
    dice = np.random.default_rng(seed)
    time = np.arange(8000) / 8000
    phase = 2 * np.pi * np.cumsum(pitch_hz * (1 + 0.1 * np.sin(2 * np.pi * 3 * time))) / 8000
    voice = sum((dice.random() / k * np.sin(k * phase) for k in range(1, 15)), start=np.zeros(8000))
    assert pressed(8000 * voice / np.abs(voice).max() + dice.normal(0, 100, 8000)) == ""


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.sampled_from(list(DTMF_DIGITS)),
            st.integers(20, 90),
            st.floats(-40, -6),
            st.floats(-9, 9),
            st.floats(-0.03, 0.03),
            st.integers(10, 70),
        ),
        min_size=1,
        max_size=6,
    ),
    st.integers(0, 10**6),
    st.floats(0, 3000),
)
def test_examining_some_frames_closely_finds_every_digit(
    pressings: list[tuple[str, int, float, float, float, int]], seed: int, noise: float
) -> None:
    """The result equals that of examining every look closely."""
    parts = [
        part
        for digit, ms, level_db, twist_db, off, pause_ms in pressings
        for part in (tones_of(digit, ms, level_db=level_db, twist_db=twist_db, off=off), quiet(pause_ms))
    ]
    audio = np.concatenate([*parts, quiet(60)])
    audio += np.random.default_rng(seed).normal(0, noise, len(audio))
    assert pressed(audio) == by_every_look(audio)


def by_every_look(audio: Floats) -> str:
    """Return the digits of some audio, by the rules alone."""
    audio = np.pad(audio, (0, -len(audio) % 160))
    # As it is heard: a quiet half frame before, and 60 ms of quiet behind.
    audio = np.concatenate([quiet(10), audio, quiet(60)])
    codes = ENCODE[ULAW][np.clip(np.rint(audio), -32768, 32767).astype(int) + 32768]
    looks = np.stack([codes[at : at + 160] for at in range(0, len(codes) - 159, 80)])
    detected, seen, times, held, gone = "", -1, 0, -1, 0
    for found in tone_detector.detect_digits(looks, np.zeros(len(looks), dtype=np.intp)).tolist():
        times = times + 1 if found == seen else 1
        seen = found
        gone = 0 if found == held else gone + 1
        if gone >= LOOKS_TO_END:
            held = -1
        if found != -1 and times == LOOKS_TO_BEGIN and found != held:
            held, gone = found, 0
            detected += str(DTMF_DIGITS[found])
    return detected


def test_rows_are_kept_apart_and_disabled_rows_are_not_examined() -> None:
    detector = ToneDetector(5)
    for row in (1, 3):
        detector.set_enabled(row, enabled=True)
    audio = np.rint(tones_of("4", 60)).astype(int)
    codes = ENCODE[ULAW][audio + 32768].reshape(-1, 160)
    detected = []
    for frame in codes:
        frames = np.full((4, 160), 0xFF, dtype=np.uint8)
        frames[[0, 3]] = frame
        detected += detector.detect(frames, np.zeros(5, dtype=np.intp))
    assert detected == [(3, "4")]
    detector.set_enabled(3, enabled=False)
    detector.set_enabled(1, enabled=False)
    assert detector.detect(frames, np.zeros(5, dtype=np.intp)) == []
