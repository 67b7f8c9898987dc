"""Who speaks in a conference, told to whoever subscribed to `speaker`. Source: TwiML <Conference>."""

from __future__ import annotations

import pytest

from holdfast.testing.world import World
from holdfast.voice.model import twilio_assumptions
from holdfast.voice.model.commands import ChangeParticipant, EndRoom
from holdfast.voice.model.facts import LegSpeaks
from tests.stories.conference_events import PLAIN, room_of, room_page, two
from tests.stories.leg_events import Told, redirect

SPEAKER = 'statusCallback="/events" statusCallbackEvent="speaker"'


def test_each_turn_is_posted_once(world: World) -> None:
    told = two(world, SPEAKER)
    assert world.listening == {told["A"], told["B"]}
    world.speaks(told["A"])
    world.speaks(told["B"])
    world.post(LegSpeaks(call=told["B"], speaks=True))
    world.speaks(told["A"], begins=False)
    assert told.news() == [
        f"A POST /events 1 participant-speech-start {PLAIN}",
        f"B POST /events 2 participant-speech-start {PLAIN}",
        f"A POST /events 3 participant-speech-stop {PLAIN}",
    ]
    assert told.stands() == {"A": "in-progress hears B", "B": "in-progress hears A"}


def test_speech_is_not_detected_unsubscribed_or_before_the_start(world: World) -> None:
    told = two(world, 'statusCallback="/events" statusCallbackEvent="start end"')
    assert world.listening == set()
    world.post(LegSpeaks(call=told["A"], speaks=True))
    assert told.news() == []
    world.post(EndRoom(room=room_of(world, told["A"]).sid))
    alone = world.calls_in("alone", room_page(world, "first", SPEAKER))
    assert world.listening == set()
    assert room_of(world, alone).status == "init"


@pytest.mark.parametrize(("name", "word"), [("hold", "Hold"), ("muted", "Muted")])
def test_an_inaudible_participant_stops_speaking_and_has_no_detection(world: World, name: str, word: str) -> None:
    told = two(world, SPEAKER)
    world.speaks(told["A"])
    told.news()
    room = room_of(world, told["A"]).sid
    on: dict[str, bool] = {name: True}
    world.post(ChangeParticipant(room=room, call=told["A"], **on))  # type: ignore[arg-type]  # one of the booleans
    assert told.news() == [
        f"A POST /events 2 participant-speech-stop {PLAIN.replace(f'{word}=false', f'{word}=true')}",
    ]
    assert world.listening == {told["B"]}
    world.post(LegSpeaks(call=told["A"], speaks=True))
    assert told.news() == []
    off: dict[str, bool] = {name: False}
    world.post(ChangeParticipant(room=room, call=told["A"], **off))  # type: ignore[arg-type]  # one of the booleans
    assert world.listening == {told["A"], told["B"]}


def test_speech_detection_ends_when_a_participant_leaves(world: World) -> None:
    told = two(world, SPEAKER)
    world.speaks(told["A"])
    told.news()
    redirect(world, told["A"], "/music")
    assert world.listening == {told["B"]}
    assert "participant-speech-stop" not in " ".join(told.news())
    world.post(EndRoom(room=room_of(world, told["B"]).sid))
    assert world.listening == set()
    world.post(LegSpeaks(call=told["B"], speaks=True))
    assert [line for line in told.news() if "speech" in line] == []


def test_a_bridge_has_no_speech_detection(world: World) -> None:
    parent = world.calls_in("p", twiml="<Response><Dial><Client>c</Client></Dial></Response>")
    (child,) = world.children(parent)
    world.answers(child)
    assert world.listening == set()
    world.post(LegSpeaks(call=child, speaks=True))
    assert world.heard_by(parent) == {child}


def test_inaudible_participants_may_have_events_too(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(twilio_assumptions, "INAUDIBLE_HAS_SPEAKER_EVENTS", True)
    told = Told(world, A=world.calls_in("a", room_page(world, "first", f'muted="true" {SPEAKER}')))
    told.name(B=world.calls_in("b", room_page(world, "second")))
    told.news()
    world.speaks(told["A"])
    assert told.news() == [
        f"A POST /events 1 participant-speech-start {PLAIN.replace('Muted=false', 'Muted=true')}",
    ]
