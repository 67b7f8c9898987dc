"""Concealment replaces a lost frame of speech by a continuation; a long loss is silence."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from holdfast.voice.media.codec.g711 import (
    ALAW,
    DECODE,
    ENCODE,
    SILENCE,
    ULAW,
)
from holdfast.voice.media.mix import concealment
from holdfast.voice.media.mix.concealment import CROSSFADE, MAX_CONCEALED, Concealment

NEVER = 1 << 30
Floats = NDArray[np.float64]


def vowel(seconds: float, *, pitch_hz: float = 120.0) -> Floats:
    """Return a steady speech-like tone: a pitch with overtones."""
    time = np.arange(round(8000 * seconds)) / 8000
    return sum(
        (3000 / k * np.sin(2 * np.pi * pitch_hz * k * time + k) for k in range(1, 9)),
        start=np.zeros_like(time),
    )


def codes(samples: Floats, companding: int) -> NDArray[np.uint8]:
    coded: NDArray[np.uint8] = ENCODE[companding][np.rint(samples).astype(int) + 32768].reshape(-1, 160)
    return coded


class ConcealedRows:
    """Some rows in step, of which some frames are lost."""

    def __init__(self, compandings: list[int]) -> None:
        self.companding = np.array(compandings, dtype=np.intp)
        self.concealment = Concealment(len(compandings))
        self.missed = np.full(len(compandings), NEVER, dtype=np.int64)
        for row, companding in enumerate(compandings):
            self.concealment.open(row, silence=SILENCE[companding])

    def play(self, rx: list[NDArray[np.uint8] | None], cut: list[int] | None = None) -> NDArray[np.uint8]:
        frames = np.stack(
            [
                np.full(160, SILENCE[companding], dtype=np.uint8) if frame is None else frame
                for frame, companding in zip(rx, self.companding.tolist(), strict=True)
            ]
        )
        missed_before = self.missed
        self.missed = np.where([frame is None for frame in rx], missed_before + 1, 0)
        self.concealment.conceal(
            frames,
            companding=self.companding,
            missed=self.missed,
            missed_before=missed_before,
            cut=np.array(cut or [], dtype=np.intp),
        )
        return frames


def heard(audio: Floats, lost: set[int], companding: int = ULAW) -> Floats:
    rows, out = ConcealedRows([companding]), []
    for k, frame in enumerate(codes(audio, companding)):
        out.append(rows.play([None if k in lost else frame])[0])
    samples: Floats = DECODE[companding][np.concatenate(out)].astype(float)
    return samples


def noise_db(audio: Floats, other: Floats) -> float:
    """Return how far below the audio its difference to another one is, in dB."""
    return float(10 * np.log10(np.mean(audio**2) / np.mean((audio - other) ** 2)))


@pytest.mark.parametrize("pitch_hz", [70.0, 100.0, 133.0, 190.0])
@pytest.mark.parametrize("companding", [ULAW, ALAW])
def test_one_lost_frame_of_a_vowel_is_hardly_audible(pitch_hz: float, companding: int) -> None:
    audio = vowel(0.4, pitch_hz=pitch_hz)
    actual = heard(audio, {10}, companding)
    lost = slice(10 * 160, 11 * 160)
    assert noise_db(audio[lost], actual[lost]) > 10
    # Where nothing was lost, and the blend is over, nothing is touched.
    plain = heard(audio, set(), companding)
    touched = np.zeros(len(audio), dtype=bool)
    touched[10 * 160 : 11 * 160 + CROSSFADE] = True
    assert np.array_equal(actual[~touched], plain[~touched])


def test_concealment_begins_and_ends_without_a_click() -> None:
    audio = vowel(0.4)
    actual = heard(audio, {8, 12, 13})
    assert np.abs(np.diff(actual)).max() < 1.5 * np.abs(np.diff(audio)).max()


def test_a_longer_loss_fades_out_in_60_ms() -> None:
    actual = heard(vowel(0.6), set(range(10, 20)))
    power = [float(np.sqrt(np.mean(actual[k * 160 : (k + 1) * 160] ** 2))) for k in range(9, 20)]
    assert power[0] > power[1] > power[2] > power[3] > 0
    assert power[1 + MAX_CONCEALED :] == [0.0] * (10 - MAX_CONCEALED)


def test_audio_after_a_long_loss_fades_in_within_5_ms() -> None:
    audio = vowel(0.6)
    actual, plain = heard(audio, set(range(10, 20))), heard(audio, set())
    at = 20 * 160
    assert np.array_equal(actual[at + CROSSFADE :], plain[at + CROSSFADE :])
    rising, there = actual[at : at + CROSSFADE], plain[at : at + CROSSFADE]
    assert np.all(np.abs(rising) <= np.abs(there) + 1)
    assert np.abs(rising[0]) <= 0.02 * np.abs(there).max()


HALF_STEPS = 512
"""What the codes of two samples below 16,384 may add to a step between them."""
BLENDING = 512
"""What giving way to another phase may add to it."""


def steepest(hz: float, phase: float, lost: set[int]) -> tuple[float, float]:
    """Return the largest step between samples of a sine with lost frames, and the largest of the sine itself."""
    time = np.arange(20 * 160) / 8000
    actual = heard(10_000 * np.sin(2 * np.pi * hz * time + phase), lost)
    return float(np.abs(np.diff(actual)).max()), float(20_000 * np.sin(np.pi * hz / 8000))


SINES = (st.floats(67, 3400), st.floats(0, 2 * np.pi))


@settings(max_examples=60, deadline=None)
@given(*SINES, st.integers(4, 12), st.integers(1, 6))
def test_a_concealed_tone_does_not_click(hz: float, phase: float, first: int, losses: int) -> None:
    found, natural = steepest(hz, phase, set(range(first, first + losses)))
    assert found <= natural + HALF_STEPS + BLENDING


@pytest.mark.parametrize(("blend", "gone"), [("_FALL", 0.0), ("_RISE", 1.0)])
@pytest.mark.parametrize("losses", [1, 5])
def test_without_crossfades_a_tone_would_click(
    blend: str, gone: float, losses: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The measure of the test before detects a beginning and an end that are not crossfaded."""
    monkeypatch.setattr(concealment, blend, np.full_like(getattr(concealment, blend), gone))
    tones = [(hz, phase) for hz in np.arange(150.0, 1500.0, 47.3).tolist() for phase in (0.0, 0.8, 1.6, 2.4)]
    steps = [steepest(hz, phase, set(range(10, 10 + losses))) for hz, phase in tones]
    assert any(found > natural + HALF_STEPS + BLENDING for found, natural in steps)


@pytest.mark.parametrize("period", [90, 100, 116])
def test_fading_audio_repeats_without_a_seam(period: int) -> None:
    """The last period is softer at its end than at its beginning, and the continuation repeats it."""
    time = np.arange(14 * 160)
    audio = 12_000 * np.exp(-time / 500) * np.cos(2 * np.pi * (time - 9 * 160) / period)
    made = heard(audio, {9, 10})[9 * 160 : 11 * 160]
    assert np.abs(np.diff(made)).max() < 1.5 * np.abs(np.diff(audio[8 * 160 :])).max()


def test_concealed_frames_are_counted() -> None:
    rows = ConcealedRows([ULAW, ULAW])
    for k, frame in enumerate(codes(vowel(0.4), ULAW)):
        rows.play([None if k in (3, 7, 8) else frame, frame])
    assert rows.concealment.concealed.tolist() == [3, 0]


def test_nothing_is_concealed_before_the_first_frame() -> None:
    rows = ConcealedRows([ALAW])
    assert set(rows.play([None])[0].tolist()) == {SILENCE[ALAW]}
    assert rows.concealment.concealed[0] == 0


def test_audio_from_before_a_reset_is_not_continued() -> None:
    rows = ConcealedRows([ULAW])
    for frame in codes(vowel(0.2), ULAW):
        rows.play([frame])
    rows.concealment.reset(0, silence=SILENCE[ULAW])
    assert set(rows.play([None])[0].tolist()) == {SILENCE[ULAW]}


def test_a_frame_after_a_cut_is_crossfaded() -> None:
    audio, rows = vowel(0.4), ConcealedRows([ULAW])
    frames = codes(audio, ULAW)
    for frame in frames[:8]:
        rows.play([frame])
    after = DECODE[ULAW][rows.play([frames[9]], cut=[0])[0]].astype(float)
    step = abs(after[0] - audio[8 * 160 - 1])
    assert step < 1.5 * np.abs(np.diff(audio)).max()
    assert np.array_equal(after[CROSSFADE:], DECODE[ULAW][frames[9]][CROSSFADE:])
    assert rows.concealment.concealed[0] == 0


@settings(max_examples=25)
@given(st.lists(st.tuples(st.booleans(), st.booleans(), st.booleans()), min_size=10, max_size=30))
def test_no_leg_touches_another(lost: list[tuple[bool, bool, bool]]) -> None:
    compandings = [ULAW, ALAW, ULAW]
    audios = [codes(vowel(0.6, pitch_hz=90.0 + 30 * row), companding) for row, companding in enumerate(compandings)]
    together, apart = ConcealedRows(compandings), [ConcealedRows([companding]) for companding in compandings]
    for k, losses in enumerate(lost):
        rx = [None if loss else audios[row][k] for row, loss in enumerate(losses)]
        frames = together.play(rx)
        for row, rows in enumerate(apart):
            assert np.array_equal(frames[row], rows.play([rx[row]])[0])
