"""Phones hum so that every frame they send is the same bytes, and nobody shares a tone."""

from itertools import combinations

import numpy as np
import pytest

from holdfast.testing.signals import ALICE, BOB, FRAME_SAMPLES, HUMS, KNOWN, RINGBACK, Chord, as_samples, sum_of_tones


@pytest.mark.parametrize("hum", HUMS, ids=lambda hum: hum.name)
def test_a_hum_repeats_every_frame(hum: Chord) -> None:
    frame = hum.frame()

    second = as_samples(sum_of_tones(hum.tones_hz, 2 * FRAME_SAMPLES))

    assert np.array_equal(np.tile(frame, 2), second)


def test_a_chord_off_the_grid_cannot_be_hummed() -> None:
    with pytest.raises(ValueError, match="440"):
        RINGBACK.frame()


def test_no_two_sounds_share_a_tone() -> None:
    for one, other in combinations(KNOWN, 2):
        assert not set(one.tones_hz) & set(other.tones_hz)


def test_a_renamed_chord_keeps_its_tones() -> None:
    customer = ALICE.named("customer")

    assert (customer.name, customer.tones_hz) == ("customer", ALICE.tones_hz)


def test_a_wave_that_is_too_loud_is_clipped_not_wrapped() -> None:
    loud = as_samples(np.array([1.5, -1.5, 0.0]))

    assert loud.tolist() == [32767, -32768, 0]
    assert BOB.frame().dtype == np.int16
