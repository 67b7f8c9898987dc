"""Concealment: a lost frame of speech is made up from what went before, and a long loss is silence."""

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
    """Speech-like: a pitch with overtones, steady."""
    time = np.arange(round(8000 * seconds)) / 8000
    return sum(
        (3000 / k * np.sin(2 * np.pi * pitch_hz * k * time + k) for k in range(1, 9)),
        start=np.zeros_like(time),
    )


def codes(samples: Floats, companding: int) -> NDArray[np.uint8]:
    coded: NDArray[np.uint8] = ENCODE[companding][np.rint(samples).astype(int) + 32768].reshape(-1, 160)
    return coded


class Ear:
    """Some rows in step: what each hears of its frames when some are lost."""

    def __init__(self, compandings: list[int]) -> None:
        self.companding = np.array(compandings, dtype=np.intp)
        self.concealment = Concealment(len(compandings))
        self.missed = np.full(len(compandings), NEVER, dtype=np.int64)
        for row, companding in enumerate(compandings):
            self.concealment.open(row, silence=SILENCE[companding])

    def hear(self, said: list[NDArray[np.uint8] | None], cut: list[int] | None = None) -> NDArray[np.uint8]:
        frames = np.stack(
            [
                np.full(160, SILENCE[companding], dtype=np.uint8) if frame is None else frame
                for frame, companding in zip(said, self.companding.tolist(), strict=True)
            ]
        )
        missed_before = self.missed
        self.missed = np.where([frame is None for frame in said], missed_before + 1, 0)
        self.concealment.conceal(
            frames,
            companding=self.companding,
            missed=self.missed,
            missed_before=missed_before,
            cut=np.array(cut or [], dtype=np.intp),
        )
        return frames


def heard(sound: Floats, lost: set[int], companding: int = ULAW) -> Floats:
    ear, out = Ear([companding]), []
    for k, frame in enumerate(codes(sound, companding)):
        out.append(ear.hear([None if k in lost else frame])[0])
    samples: Floats = DECODE[companding][np.concatenate(out)].astype(float)
    return samples


def noise_db(sound: Floats, other: Floats) -> float:
    """How far below the sound its difference to another one is."""
    return float(10 * np.log10(np.mean(sound**2) / np.mean((sound - other) ** 2)))


@pytest.mark.parametrize("pitch_hz", [70.0, 100.0, 133.0, 190.0])
@pytest.mark.parametrize("companding", [ULAW, ALAW])
def test_one_lost_frame_of_a_vowel_is_hardly_audible(pitch_hz: float, companding: int) -> None:
    sound = vowel(0.4, pitch_hz=pitch_hz)
    got = heard(sound, {10}, companding)
    lost = slice(10 * 160, 11 * 160)
    assert noise_db(sound[lost], got[lost]) > 10
    # Where nothing was lost, and the blend is over, nothing is touched.
    plain = heard(sound, set(), companding)
    touched = np.zeros(len(sound), dtype=bool)
    touched[10 * 160 : 11 * 160 + CROSSFADE] = True
    assert np.array_equal(got[~touched], plain[~touched])


def test_concealment_begins_and_ends_without_a_click() -> None:
    sound = vowel(0.4)
    got = heard(sound, {8, 12, 13})
    assert np.abs(np.diff(got)).max() < 1.5 * np.abs(np.diff(sound)).max()


def test_a_longer_loss_fades_out_in_60_ms() -> None:
    got = heard(vowel(0.6), set(range(10, 20)))
    power = [float(np.sqrt(np.mean(got[k * 160 : (k + 1) * 160] ** 2))) for k in range(9, 20)]
    assert power[0] > power[1] > power[2] > power[3] > 0
    assert power[1 + MAX_CONCEALED :] == [0.0] * (10 - MAX_CONCEALED)


def test_audio_after_a_long_loss_fades_in_within_5_ms() -> None:
    sound = vowel(0.6)
    got, plain = heard(sound, set(range(10, 20))), heard(sound, set())
    at = 20 * 160
    assert np.array_equal(got[at + CROSSFADE :], plain[at + CROSSFADE :])
    rising, there = got[at : at + CROSSFADE], plain[at : at + CROSSFADE]
    assert np.all(np.abs(rising) <= np.abs(there) + 1)
    assert np.abs(rising[0]) <= 0.02 * np.abs(there).max()


HALF_STEPS = 512
"""What the codes of two samples below 16,384 may add to a step between them."""
BLENDING = 512
"""What giving way to another phase may add to it."""


def steepest(hz: float, phase: float, lost: set[int]) -> tuple[float, float]:
    """The largest step between samples of a sine of which frames were lost, and the largest it has by itself."""
    time = np.arange(20 * 160) / 8000
    got = heard(10_000 * np.sin(2 * np.pi * hz * time + phase), lost)
    return float(np.abs(np.diff(got)).max()), float(20_000 * np.sin(np.pi * hz / 8000))


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
    """The measure of the test before sees what it is to see: a beginning that is not blended, and an end."""
    monkeypatch.setattr(concealment, blend, np.full_like(getattr(concealment, blend), gone))
    tones = [(hz, phase) for hz in np.arange(150.0, 1500.0, 47.3).tolist() for phase in (0.0, 0.8, 1.6, 2.4)]
    steps = [steepest(hz, phase, set(range(10, 10 + losses))) for hz, phase in tones]
    assert any(found > natural + HALF_STEPS + BLENDING for found, natural in steps)


@pytest.mark.parametrize("period", [90, 100, 116])
def test_fading_audio_repeats_without_a_seam(period: int) -> None:
    """The last period is softer at its end than at its beginning, and what is made up repeats it."""
    time = np.arange(14 * 160)
    sound = 12_000 * np.exp(-time / 500) * np.cos(2 * np.pi * (time - 9 * 160) / period)
    made = heard(sound, {9, 10})[9 * 160 : 11 * 160]
    assert np.abs(np.diff(made)).max() < 1.5 * np.abs(np.diff(sound[8 * 160 :])).max()


def test_concealed_frames_are_counted() -> None:
    ear = Ear([ULAW, ULAW])
    for k, frame in enumerate(codes(vowel(0.4), ULAW)):
        ear.hear([None if k in (3, 7, 8) else frame, frame])
    assert ear.concealment.concealed.tolist() == [3, 0]


def test_nothing_is_concealed_before_the_first_frame() -> None:
    ear = Ear([ALAW])
    assert set(ear.hear([None])[0].tolist()) == {SILENCE[ALAW]}
    assert ear.concealment.concealed[0] == 0


def test_audio_from_before_a_reset_is_not_continued() -> None:
    ear = Ear([ULAW])
    for frame in codes(vowel(0.2), ULAW):
        ear.hear([frame])
    ear.concealment.reset(0, silence=SILENCE[ULAW])
    assert set(ear.hear([None])[0].tolist()) == {SILENCE[ULAW]}


def test_a_frame_after_a_cut_is_crossfaded() -> None:
    sound, ear = vowel(0.4), Ear([ULAW])
    frames = codes(sound, ULAW)
    for frame in frames[:8]:
        ear.hear([frame])
    after = DECODE[ULAW][ear.hear([frames[9]], cut=[0])[0]].astype(float)
    step = abs(after[0] - sound[8 * 160 - 1])
    assert step < 1.5 * np.abs(np.diff(sound)).max()
    assert np.array_equal(after[CROSSFADE:], DECODE[ULAW][frames[9]][CROSSFADE:])
    assert ear.concealment.concealed[0] == 0


@settings(max_examples=25)
@given(st.lists(st.tuples(st.booleans(), st.booleans(), st.booleans()), min_size=10, max_size=30))
def test_no_leg_touches_another(lost: list[tuple[bool, bool, bool]]) -> None:
    compandings = [ULAW, ALAW, ULAW]
    sounds = [codes(vowel(0.6, pitch_hz=90.0 + 30 * row), companding) for row, companding in enumerate(compandings)]
    together, apart = Ear(compandings), [Ear([companding]) for companding in compandings]
    for k, losses in enumerate(lost):
        said = [None if loss else sounds[row][k] for row, loss in enumerate(losses)]
        frames = together.hear(said)
        for row, ear in enumerate(apart):
            assert np.array_equal(frames[row], ear.hear([said[row]])[0])
