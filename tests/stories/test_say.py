"""`<Say>`: the text is asked to be spoken by its voice, and the call goes on when it has been."""

from __future__ import annotations

import pytest

from holdfast.testing.world import World, twiml
from holdfast.voice.model.ids import CallSid

APP = "https://app.example"


def caller(world: World, document: str) -> CallSid:
    world.pages[f"{APP}/start"] = twiml(document)
    return world.calls_in("caller", f"{APP}/start")


def test_a_text_is_spoken_and_then_the_next_verb_runs(world: World) -> None:
    call = caller(
        world, '<Say voice="Polly.Celine" loop="2">Bonjour <break time="1s"/> &amp; merci</Say><Play>/a.mp3</Play>'
    )
    _, source, rounds = world.playing[call]
    assert (source, rounds) == ('say:fr-FR:woman:Bonjour <break time="1s"></break> &amp; merci', 2)
    world.sound_ends(call)
    assert world.heard_by(call) == f"{APP}/a.mp3"


def test_nothing_to_say_answers_nothing_and_goes_on(world: World) -> None:
    call = caller(world, "<Say> </Say><Play>/a.mp3</Play>")
    assert world.heard_by(call) == f"{APP}/a.mp3"


@pytest.mark.parametrize(
    ("attributes", "source"),
    [
        ("", "say:en-US:man:x"),
        ('voice="alice" language="en-GB"', "say:en-GB:woman:x"),
        ('voice="woman"', "say:en-US:woman:x"),
        ('voice="nobody"', "say:en-US:man:x"),
        ('language="not a tag"', "say:en-US:man:x"),
    ],
)
def test_voice_and_language(world: World, attributes: str, source: str) -> None:
    assert world.playing[caller(world, f"<Say {attributes}>x</Say>")][1] == source


def test_a_text_that_is_too_long_is_cut(world: World) -> None:
    call = caller(world, f"<Say>{'&amp;' * 5000}</Say>")
    assert world.playing[call][1] == "say:en-US:man:" + "&amp;" * 4096
    assert 13521 in [notice.code for notice in world.notifications]
