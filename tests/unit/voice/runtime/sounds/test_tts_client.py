"""Utterances are parsed from the source of a sound; a pause replaces one that cannot be spoken."""

from __future__ import annotations

import pytest

from holdfast.voice.runtime.sounds.tts_client import (
    MAX_DURATION_S,
    Utterance,
    clip_of,
    pause_for,
    utterance_of,
)


def test_a_source_names_language_gender_and_text() -> None:
    source = 'say:en-GB:woman:one: <break time="1s"></break> two'
    marked = 'one: <break time="1s"></break> two'
    assert utterance_of(source) == Utterance(language="en-GB", gender="woman", ssml=marked)


@pytest.mark.parametrize("source", ["clip:x", "say:", "say:en-US:child:x", "say:en US:man:x", "digits:1"])
def test_other_sources_are_no_utterance(source: str) -> None:
    assert utterance_of(source) is None


@pytest.mark.parametrize(
    ("marked", "seconds"), [("", 1.0), ("x" * 45, 3.0), ('<p role="x">' + "y" * 30 + "</p>", 2.0), ("z" * 10**6, 600.0)]
)
def test_a_pause_is_as_long_as_the_text_without_its_markup(marked: str, seconds: float) -> None:
    pause = pause_for(Utterance(language="en-US", gender="man", ssml=marked))
    assert pause.seconds == pytest.approx(min(MAX_DURATION_S, seconds))
    assert set(pause.audio) == {0xFF}


def test_one_text_with_one_voice_is_one_clip() -> None:
    assert clip_of("say:en-US:man:x") == clip_of("say:en-US:man:x")
    assert clip_of("say:en-US:man:x") != clip_of("say:en-US:woman:x")
