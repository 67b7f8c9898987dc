"""Beeps add a tone to the audio of a leg, once, and change no other leg."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from holdfast.voice.media.codec.g711 import (
    ALAW,
    DECODE,
    ENCODE,
    SILENCE,
    ULAW,
)
from holdfast.voice.media.mix.beeps import (
    FRAMES,
    LEVEL,
    STEPS_HZ,
    TONES,
    Beeps,
    Tone,
    wave,
)

LAWS = np.array([ULAW, ALAW, ULAW], dtype=np.intp)


def silence() -> NDArray[np.uint8]:
    return np.array(SILENCE, dtype=np.uint8)[LAWS][:, None].repeat(160, axis=1)


def heard(beeps: Beeps, rx: NDArray[np.uint8] | None = None, *, ticks: int = FRAMES) -> NDArray[np.int32]:
    """Return the audio of each leg in the next ticks. Shape: `[leg, sample]`."""
    out = []
    for _ in range(ticks):
        frames = silence() if rx is None else rx.copy()
        beeps.add_to(frames, LAWS)
        out.append(DECODE[LAWS[:, None], frames].astype(np.int32))
    return np.concatenate(out, axis=1)


def strongest_hz(samples: NDArray[np.int32]) -> float:
    return float(np.argmax(np.abs(np.fft.rfft(samples, n=8000))))


@pytest.mark.parametrize("tone", TONES)
def test_a_tone_plays_once_to_the_given_legs(tone: Tone) -> None:
    beeps = Beeps(3)
    beeps.start([0, 1], tone=tone)
    first, second = heard(beeps)[:2]
    for samples in (first, second):
        half = len(samples) // 2
        assert [strongest_hz(part) for part in (samples[:half], samples[half:])] == pytest.approx(
            STEPS_HZ[tone], abs=8.0
        )
        assert np.abs(samples - wave(tone)).max() <= 32768 / 32 * LEVEL + 8, "no further off than a law's step"
    assert np.abs(heard(beeps, ticks=2)[:2]).max() <= 8, "it is over, and the least that A-law can say is 8"


def test_entry_and_exit_tones_differ() -> None:
    assert STEPS_HZ["entry"][0] < STEPS_HZ["entry"][1]
    assert STEPS_HZ["exit"][0] > STEPS_HZ["exit"][1]


def test_other_legs_hear_no_beep() -> None:
    beeps, rx = Beeps(3), np.random.default_rng(1).integers(0, 256, (3, 160)).astype(np.uint8)
    beeps.start([1], tone="entry")
    actual = heard(beeps, rx)
    plain = np.tile(DECODE[LAWS[:, None], rx], (1, FRAMES))
    assert np.array_equal(actual[[0, 2]], plain[[0, 2]])
    assert not np.array_equal(actual[1], plain[1])


def test_speech_goes_on_under_a_beep_and_the_sum_is_clipped() -> None:
    loud = np.full((3, 160), 20_000, dtype=np.intp)
    rx = ENCODE[LAWS[:, None], loud + 32768]
    plain = DECODE[LAWS[:, None], rx].astype(np.int32)
    beeps = Beeps(3)
    beeps.start([0, 1], tone="entry")
    actual = heard(beeps, rx)
    assert np.abs(actual[0] - wave("entry") - plain[0, 0]).max() <= 1024, "µ-law's step at that level"
    beeps.start([0], tone="exit")
    peak = ENCODE[LAWS[:, None], np.full((3, 160), 65535)]
    assert heard(beeps, peak)[0].min() > 20_000


def test_an_entry_during_a_tone_shares_that_tone() -> None:
    beeps = Beeps(3)
    beeps.start([0], tone="entry")
    heard(beeps, ticks=3)
    beeps.start([0, 2], tone="entry")
    rest = heard(beeps, ticks=FRAMES - 3)
    assert np.abs(rest[0] - wave("entry")[3 * 160 :]).max() <= 160
    assert np.abs(rest[2] - wave("entry")[: -3 * 160]).max() <= 160
    assert not heard(beeps, ticks=1)[0].any()


def test_entry_and_exit_tones_at_once_are_both_heard() -> None:
    beeps = Beeps(3)
    for tone in TONES:
        beeps.start([0], tone=tone)
    both = wave("entry").astype(np.int32) + wave("exit")
    assert np.abs(heard(beeps)[0] - both).max() <= 512


def test_a_closed_row_does_not_reopen_with_the_rest_of_a_tone() -> None:
    beeps = Beeps(3)
    beeps.start([0, 1], tone="entry")
    heard(beeps, ticks=2)
    beeps.stop(0)
    actual = heard(beeps, ticks=2)
    assert not actual[0].any()
    assert actual[1].any()


def test_a_beep_begins_and_ends_without_a_click() -> None:
    for tone in TONES:
        samples = wave(tone).astype(np.int32)
        assert samples[0] == samples[-1] == 0
        assert np.abs(np.diff(samples)).max() < 2 * np.pi * max(STEPS_HZ[tone]) / 8000 * LEVEL * 32767 * 1.05
