"""The audio of `<Say>`, measured: pitch, vowels, duration and level.

All is measured in the telephone's band and code, as a phone would get it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

import numpy as np
import pytest
from numpy.typing import NDArray

from holdfast.voice.media.codec.g711 import decode
from holdfast.voice.runtime.sounds.generated import built_in
from holdfast.voice.runtime.sounds.sound import DecodedAudio
from holdfast.voice.runtime.sounds.tts_client import Espeak, Utterance
from holdfast.voice.twiml.voices import LANGUAGES

BUSY = "All of our agents are busy at the moment. Please hold the line, your call is important to us."
SPOKEN = (
    *(Utterance(language=language, gender="woman", ssml="1 2 3") for language in LANGUAGES),
    *(Utterance(language="en-US", gender=gender, ssml=BUSY) for gender in ("man", "woman")),
    *(Utterance(language="en-US", gender="man", ssml=word) for word in ("bee", "bah", "see", "sah")),
    *(Utterance(language="en-US", gender="man", ssml="telephone " * words) for words in (5, 20)),
)


@pytest.fixture(scope="module")
def spoken() -> Mapping[Utterance, DecodedAudio]:
    """Speak all texts in one process."""

    async def speak() -> dict[Utterance, DecodedAudio]:
        engine = Espeak()
        try:
            return {each: await engine.speak(each) for each in SPOKEN}
        finally:
            await engine.close()

    return asyncio.run(speak())


def english(spoken: Mapping[Utterance, DecodedAudio], marked: str, gender: str = "man") -> DecodedAudio:
    return spoken[Utterance(language="en-US", gender=gender, ssml=marked)]


def pitch_hz(sound: DecodedAudio) -> float:
    """Return the median pitch of the voiced windows of 50 ms. Units: Hz."""
    samples, found = decode(sound.audio).astype(float), []
    for start in range(0, len(samples) - 400, 160):
        window = samples[start : start + 400] - np.mean(samples[start : start + 400])
        likeness = np.correlate(window, window, "full")[399:]
        lag = int(np.argmax(likeness[25:120])) + 25
        if np.sqrt(np.mean(window**2)) > 600 and likeness[lag] > likeness[0] / 2:
            found.append(8000 / lag)
    return float(np.median(found))


def brightness_hz(sound: DecodedAudio) -> float:
    """Return the centre of power of the loudest 100 ms above the first formant. Units: Hz."""
    samples = decode(sound.audio).astype(float)
    loudest = int(np.argmax(np.convolve(samples**2, np.ones(400), "same")))
    window: NDArray[np.float64] = samples[max(0, loudest - 400) : loudest + 400]
    power = np.abs(np.fft.rfft(window * np.hanning(len(window)), 2048)) ** 2
    hz = np.fft.rfftfreq(2048, 1 / 8000)
    return float(np.sum((hz * power)[hz > 900]) / np.sum(power[hz > 900]))


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_language_of_a_voice_is_spoken_as_loud_as_the_music_plays(
    spoken: Mapping[Utterance, DecodedAudio], language: str
) -> None:
    sound, music = spoken[Utterance(language=language, gender="woman", ssml="1 2 3")], built_in("music")
    assert music is not None
    assert abs(sound.level_db - music.level_db) < 4
    assert sound.peak_db < -2.9, "nothing is clipped"
    assert 0.9 < sound.seconds < 3, "three words"
    loud = np.abs(decode(sound.audio).astype(int)).reshape(-1)[: len(sound.audio) // 160 * 160].reshape(-1, 160).max(1)
    assert 0.3 < np.mean(loud > 1000) < 1, "words, and pauses between them"


def test_each_language_sounds_different(spoken: Mapping[Utterance, DecodedAudio]) -> None:
    by_language: dict[str, set[bytes]] = {}
    for each, sound in spoken.items():
        if each.ssml == "1 2 3":
            by_language.setdefault(each.language.split("-")[0], set()).add(sound.audio)
    audios = [audio for said in by_language.values() for audio in said]
    assert len(set(audios)) == len(audios), "no two languages say the same"
    assert len(by_language) > 25


def test_a_man_and_a_woman_have_the_pitch_of_one(spoken: Mapping[Utterance, DecodedAudio]) -> None:
    assert 80 < pitch_hz(english(spoken, BUSY)) < 145
    assert 160 < pitch_hz(english(spoken, BUSY, "woman")) < 250


def test_vowels_can_be_told_apart_on_a_telephone(spoken: Mapping[Utterance, DecodedAudio]) -> None:
    """The second resonance of "ee" lies above 2 kHz, that of "ah" near 1.2 kHz."""
    for bright, dark in (("bee", "bah"), ("see", "sah")):
        assert brightness_hz(english(spoken, bright)) > 2200
        assert brightness_hz(english(spoken, dark)) < 1700


def test_the_duration_fits_the_text(spoken: Mapping[Utterance, DecodedAudio]) -> None:
    few, many = english(spoken, "telephone " * 5), english(spoken, "telephone " * 20)
    assert many.seconds / few.seconds == pytest.approx(4, rel=0.15)
    sentence = Utterance(language="en-US", gender="man", ssml=BUSY)
    assert spoken[sentence].seconds == pytest.approx(sentence.pause_s, rel=0.3), "as the pause that stands in for it"
