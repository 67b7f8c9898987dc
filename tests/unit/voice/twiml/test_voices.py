"""Twilio's names of voices, as a language and a man or a woman."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.voice.twiml.voices import SpeechVoice, find_voice


@pytest.mark.parametrize(
    ("name", "language", "spoken", "gender"),
    [
        ("", "", "en-US", "man"),
        ("man", "", "en-US", "man"),
        ("woman", "en-GB", "en-GB", "woman"),
        ("alice", "fr-FR", "fr-FR", "woman"),
        ("Alice", "zh-HK", "zh-HK", "woman"),
        ("Polly.Joanna", "", "en-US", "woman"),
        ("Polly.Matthew-Neural", "", "en-US", "man"),
        ("Polly.Mathieu", "", "fr-FR", "man"),
        ("Polly.Zeina", "", "arb", "woman"),
        ("Polly.Amy-Generative", "en-AU", "en-AU", "woman"),
        ("Google.de-DE-Standard-A", "", "de-DE", "woman"),
        ("Google.en-US-Neural2-D", "", "en-US", "man"),
        ("Google.es-419-Wavenet-B", "", "es-419", "man"),
    ],
)
def test_a_name_is_a_language_and_a_gender(name: str, language: str, spoken: str, gender: str) -> None:
    voice, wrong = find_voice(name, language)
    assert (voice.language, voice.gender, wrong) == (spoken, gender, ())


def test_an_unknown_voice_or_language_is_a_warning_and_the_default_speaks() -> None:
    voice, wrong = find_voice("Polly.Nobody", "12")
    assert voice == SpeechVoice(language="en-US", gender="man")
    assert [message.split("=")[0] for message in wrong] == ["voice", "language"]


@given(st.text(max_size=60), st.text(max_size=60))
def test_every_voice_name_gives_a_voice(name: str, language: str) -> None:
    voice, _ = find_voice(name, language)
    assert ":" not in voice.language
    assert voice.language.isascii()
    assert voice.gender in ("man", "woman")
