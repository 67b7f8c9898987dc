"""20 ms are enough to tell the known sounds apart, alone and mixed, and to say that something else is there."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.testing.audio.music import (
    MUSIC_BOX,
    SLOW_BELLS,
    Score,
    play,
)
from holdfast.testing.audio.recogniser import (
    SILENCE,
    UNKNOWN,
    Recogniser,
    describe,
)
from holdfast.testing.signals import (
    FRAME_SAMPLES,
    HUMS,
    KNOWN,
    RATE_HZ,
    Chord,
    Samples,
    Sound,
    as_samples,
    sum_of_tones,
)
from holdfast.voice.media.codec.g711 import decode, encode

RECOGNISER = Recogniser(KNOWN)


def windows(samples: Samples) -> Samples:
    return samples[: len(samples) // FRAME_SAMPLES * FRAME_SAMPLES].reshape(-1, FRAME_SAMPLES)


@pytest.mark.parametrize("sound", [sound for sound in KNOWN if isinstance(sound, Chord)], ids=lambda sound: sound.name)
def test_a_chord_alone(sound: Sound) -> None:
    heard = RECOGNISER.recognise(windows(as_samples(sum_of_tones(sound.tones_hz, RATE_HZ))))

    assert set(heard) == {frozenset({sound.name})}


@pytest.mark.parametrize("score", [MUSIC_BOX, SLOW_BELLS], ids=lambda score: score.melody.name)
def test_music_is_known_in_every_window_after_the_telephone_made_it_worse(score: Score) -> None:
    telephone = decode(encode(as_samples(play(score, rate_hz=RATE_HZ))))

    heard = RECOGNISER.recognise(windows(telephone))

    assert {score.melody.name} == set.intersection(*map(set, heard))
    assert sum(names == {score.melody.name} for names in heard) >= 0.98 * len(heard)


@given(st.sets(st.sampled_from(HUMS), min_size=1), st.lists(st.floats(0.3, 1.0), min_size=4, max_size=4))
def test_a_mix_of_hums_names_each_of_them(hums: set[Chord], levels: list[float]) -> None:
    mixed = np.sum([hum.frame() * level / 4 for hum, level in zip(hums, levels, strict=False)], axis=0)

    assert RECOGNISER.recognise(mixed.astype(np.int16)[None]) == [frozenset(hum.name for hum in hums)]


def test_no_signal_is_silence_and_noise_is_unknown() -> None:
    noise = np.random.default_rng(1).normal(0, 2000, (200, FRAME_SAMPLES)).astype(np.int16)

    assert RECOGNISER.recognise(np.zeros((2, FRAME_SAMPLES), dtype=np.int16)) == [SILENCE, SILENCE]
    assert all(UNKNOWN in heard for heard in RECOGNISER.recognise(noise))
    assert RECOGNISER.recognise(np.zeros((0, FRAME_SAMPLES), dtype=np.int16)) == []


def test_an_unknown_sound_beside_a_known_party_is_noticed() -> None:
    stranger = as_samples(sum_of_tones((2500.0,), FRAME_SAMPLES))

    (heard,) = RECOGNISER.recognise((HUMS[0].frame() // 2 + stranger // 2)[None])

    assert heard == {HUMS[0].name, UNKNOWN}


def test_tones_that_a_frame_cannot_separate_are_refused() -> None:
    with pytest.raises(ValueError, match="told apart"):
        Recogniser([Chord(name="one", tones_hz=(500.0,)), Chord(name="two", tones_hz=(510.0,))])


def test_heard_sounds_are_described_in_a_fixed_order() -> None:
    assert describe(frozenset({"bob", "alice"})) == "alice + bob"
