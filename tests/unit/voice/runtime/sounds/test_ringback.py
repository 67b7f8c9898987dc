"""Ringback tones of countries last as long as their cadence, and are audible and never loud."""

from __future__ import annotations

import numpy as np
import pytest

from holdfast.voice.media.codec.g711 import decode
from holdfast.voice.runtime.sounds.generated import generated_tones
from holdfast.voice.runtime.sounds.ringback import CADENCES, ringing
from holdfast.voice.twiml.verbs.dial_attributes import RING_TONES


def test_every_country_a_document_may_name_has_a_tone() -> None:
    assert sorted(RING_TONES) == sorted(CADENCES)


@pytest.mark.parametrize("country", RING_TONES)
def test_every_country_has_a_tone_of_its_length(country: str) -> None:
    sound = ringing(country)
    assert sound is not None
    beats = CADENCES[country].durations_s
    assert sound.seconds == pytest.approx(sum(beats), abs=0.021)
    samples = decode(sound.audio).astype(np.float64)
    first = samples[: int(beats[0] * 8000)]
    assert 300 < np.sqrt(np.mean(first**2)) < 8000
    pause = samples[int(beats[0] * 8000) + 160 : int(sum(beats[:2]) * 8000) - 160]
    assert np.abs(pause).max() < 50
    assert generated_tones(f"ringing:{country}") is sound


@pytest.mark.parametrize("source", ["ringing:mars", "ringing:", "singing:de", "digits:x", "de"])
def test_a_source_that_names_no_tone_has_none(source: str) -> None:
    assert generated_tones(source) is None
