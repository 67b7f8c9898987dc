"""A party that is called into a conference is heard there before it answers: its ringing, or what its phone sends.

Source: Participant resource, EarlyMedia.
"""

from __future__ import annotations

import pytest

from holdfast.testing.world import World
from holdfast.voice.model.commands import AnnounceToRoom, ChangeParticipant, EndRoom, RemoveParticipant, WebRequest
from holdfast.voice.model.effects import PlaySound, StopSound
from holdfast.voice.model.facts import LegRinging, PhoneHeld
from holdfast.voice.model.ids import CallSid
from tests.stories.conference_events import called_in, room_of, room_page, two
from tests.stories.leg_events import APP, Told, end


def sends_audio(world: World, call: CallSid) -> None:
    """The called phone sends audio before it answers."""
    world.post(LegRinging(call=call, early_media=True))


def ringing(world: World) -> list[str]:
    """Return what begins and stops ringing for a room, in order."""
    sounds = [each for each in world.effects if isinstance(each, PlaySound | StopSound)]
    return [type(each).__name__ for each in sounds if each.token.endswith("/ringing")]


def calling(world: World) -> Told:
    """A and B talk, and X is called in."""
    told = two(world)
    told.name(X=called_in(world, "x", early_media=True))
    assert told.hears() == {"A": "B", "B": "A", "X": "silence"}
    assert told.beeps() == ["entry A B"]
    return told


def test_the_room_hears_ringing_then_the_phone_then_the_party(world: World) -> None:
    told = calling(world)
    world.rings(told["X"])
    assert told.hears() == {"A": "B+X rings", "B": "A+X rings", "X": "silence"}
    sends_audio(world, told["X"])
    assert told.hears() == {"A": "B+X", "B": "A+X", "X": "silence"}
    assert told.beeps() == []
    world.answers(told["X"])
    assert told.hears() == {"A": "B+X", "B": "A+X", "X": "A+B"}
    assert told.beeps() == ["entry A B X"]
    assert ringing(world) == ["PlaySound", "StopSound"]


def test_a_phone_that_sends_audio_at_once_is_heard_without_ringing(world: World) -> None:
    told = calling(world)
    sends_audio(world, told["X"])
    assert told.hears() == {"A": "B+X", "B": "A+X", "X": "silence"}
    assert ringing(world) == []


def test_ringing_ends_with_the_answer(world: World) -> None:
    told = calling(world)
    world.rings(told["X"])
    world.answers(told["X"])
    assert told.hears() == {"A": "B+X", "B": "A+X", "X": "A+B"}
    assert ringing(world) == ["PlaySound", "StopSound"]


@pytest.mark.parametrize("audio", ["ringing", "phone"])
def test_a_phone_that_has_not_answered_hears_no_beep(world: World, audio: str) -> None:
    told = calling(world)
    world.rings(told["X"])
    if audio == "phone":
        sends_audio(world, told["X"])
    told.name(C=world.calls_in("c", room_page(world, "third")))
    assert told.beeps() == ["entry A B C"]
    world.hangs_up(told["B"])
    assert told.beeps() == ["exit A C"]


def test_without_early_media_nothing_is_heard_before_the_answer(world: World) -> None:
    told = two(world)
    told.name(X=called_in(world, "x", early_media=False))
    world.rings(told["X"])
    sends_audio(world, told["X"])
    assert told.hears() == {"A": "B", "B": "A", "X": "silence"}
    assert ringing(world) == []


@pytest.mark.parametrize("way", ["refused", "timeout", "ended by REST", "removed", "the conference ends"])
@pytest.mark.parametrize("audio", ["ringing", "phone"])
def test_the_list_of_heard_sounds_ends_with_the_call(world: World, way: str, audio: str) -> None:
    told = calling(world)
    room = room_of(world, told["A"]).sid
    world.rings(told["X"])
    if audio == "phone":
        sends_audio(world, told["X"])
    match way:
        case "refused":
            world.refuses(told["X"], 486)
        case "timeout":
            world.passes(30)
        case "ended by REST":
            end(world, told["X"])
        case "removed":
            world.post(RemoveParticipant(room=room, call=told["X"]))
        case _:
            world.post(EndRoom(room=room))
    assert ringing(world) == ["PlaySound", "StopSound"]
    assert told.hears()["X"] == "nothing"
    assert told.hears()["A"] == ("B" if way != "the conference ends" else "/after.mp3")
    assert told.beeps() == []


def test_held_participants_do_not_hear_it(world: World) -> None:
    told = calling(world)
    room = room_of(world, told["A"]).sid
    world.post(ChangeParticipant(room=room, call=told["A"], hold=True))
    world.rings(told["X"])
    assert told.hears() == {"A": "builtin:hold", "B": "X rings", "X": "silence"}
    sends_audio(world, told["X"])
    assert told.hears() == {"A": "builtin:hold", "B": "X", "X": "silence"}
    world.post(ChangeParticipant(room=room, call=told["A"], hold=False))
    assert told.hears() == {"A": "B+X", "B": "A+X", "X": "silence"}
    world.post(ChangeParticipant(room=room, call=told["B"], hold=True))
    assert told.hears() == {"A": "X", "B": "builtin:hold", "X": "silence"}


@pytest.mark.parametrize("change", [{"hold": True}, {"muted": True}])
def test_a_party_that_is_held_or_muted_while_it_rings_is_not_heard(world: World, change: dict[str, bool]) -> None:
    told = calling(world)
    room = room_of(world, told["A"]).sid
    world.rings(told["X"])
    world.post(ChangeParticipant(room=room, call=told["X"], **change))  # type: ignore[arg-type]  # flags of the command
    assert told.hears() == {"A": "B", "B": "A", "X": "silence"}
    world.post(ChangeParticipant(room=room, call=told["X"], **dict.fromkeys(change, False)))  # type: ignore[arg-type]  # as above
    assert told.hears() == {"A": "B+X rings", "B": "A+X rings", "X": "silence"}


def test_a_phone_that_holds_before_it_answers_is_not_heard(world: World) -> None:
    told = calling(world)
    sends_audio(world, told["X"])
    world.post(PhoneHeld(call=told["X"]))
    assert told.hears() == {"A": "B", "B": "A", "X": "silence"}


def test_a_muted_participant_hears_it(world: World) -> None:
    told = calling(world)
    world.post(ChangeParticipant(room=room_of(world, told["A"]).sid, call=told["A"], muted=True))
    world.rings(told["X"])
    assert told.hears() == {"A": "B+X rings", "B": "X rings", "X": "silence"}


def test_an_announcement_is_heard_alone(world: World) -> None:
    told = calling(world)
    world.rings(told["X"])
    world.post(AnnounceToRoom(room=room_of(world, told["A"]).sid, request=WebRequest(url=f"{APP}/music")))
    assert told.hears() == {"A": "/music.mp3", "B": "/music.mp3", "X": "silence"}


def test_an_announcement_to_a_phone_that_rings_is_not_heard_by_the_room(world: World) -> None:
    told = calling(world)
    room = room_of(world, told["A"]).sid
    world.rings(told["X"])
    world.withheld_urls.add(f"{APP}/music")
    announce = WebRequest(url=f"{APP}/music")
    world.post(ChangeParticipant(room=room, call=told["X"], announce=announce))
    assert told.hears() == {"A": "B+X", "B": "A+X", "X": "silence"}
    world.release(f"{APP}/music")
    assert told.hears() == {"A": "B+X", "B": "A+X", "X": "/music.mp3"}
    world.post(ChangeParticipant(room=room, call=told["X"], announce=WebRequest(url=f"{APP}/gone")))
    assert told.hears() == {"A": "B+X rings", "B": "A+X rings", "X": "silence"}
    world.answers(told["X"])
    assert told.hears() == {"A": "B+X", "B": "A+X", "X": "A+B"}


def test_a_coach_that_is_called_in_is_heard_by_its_pupil_alone(world: World) -> None:
    told = two(world)
    told.name(X=called_in(world, "x", early_media=True, coach=told["A"]))
    world.rings(told["X"])
    assert told.hears() == {"A": "B+X rings", "B": "A", "X": "silence"}


def test_two_that_are_called_in_are_heard_and_do_not_hear_each_other(world: World) -> None:
    told = calling(world)
    told.name(Y=called_in(world, "y", early_media=True))
    world.rings(told["X"])
    sends_audio(world, told["Y"])
    assert told.hears() == {"A": "B+X rings+Y", "B": "A+X rings+Y", "X": "silence", "Y": "silence"}
    world.answers(told["Y"])
    assert told.hears() == {"A": "B+X rings+Y", "B": "A+X rings+Y", "X": "silence", "Y": "A+B+X rings"}


def test_a_participant_that_waits_alone_hears_it_in_place_of_the_wait_music(world: World) -> None:
    told = Told(world, A=world.calls_in("a", room_page(world, "first", 'waitUrl="/music"')))
    assert told.hears() == {"A": "/music.mp3"}
    told.name(X=called_in(world, "x", early_media=True))
    assert told.hears() == {"A": "/music.mp3", "X": "silence"}
    world.rings(told["X"])
    assert told.hears() == {"A": "X rings", "X": "silence"}
    sends_audio(world, told["X"])
    assert told.hears() == {"A": "X", "X": "silence"}
    world.refuses(told["X"], 486)
    assert told.hears() == {"A": "/music.mp3", "X": "nothing"}
    told.name(Y=called_in(world, "y", early_media=True))
    sends_audio(world, told["Y"])
    world.answers(told["Y"])
    assert told.hears() == {"A": "Y", "X": "nothing", "Y": "A"}


def test_participants_that_wait_hear_the_party_called_in_and_not_each_other(world: World) -> None:
    told = two(world, 'startConferenceOnEnter="false"', 'startConferenceOnEnter="false"')
    told.name(X=called_in(world, "x", early_media=True))
    sends_audio(world, told["X"])
    assert told.hears() == {"A": "X", "B": "X", "X": "silence"}
    room = room_of(world, told["A"]).sid
    world.post(ChangeParticipant(room=room, call=told["A"], hold=True))
    assert told.hears() == {"A": "builtin:hold", "B": "X", "X": "silence"}
    world.post(ChangeParticipant(room=room, call=told["A"], hold=False))
    assert told.hears() == {"A": "X", "B": "X", "X": "silence"}
    world.answers(told["X"])
    assert told.hears() == {"A": "B+X", "B": "A+X", "X": "A+B"}


def test_the_music_of_a_phone_that_holds_gives_way_to_ringing(world: World) -> None:
    told = calling(world)
    world.post(PhoneHeld(call=told["B"]))
    assert told.hears()["A"].startswith("builtin:")
    world.rings(told["X"])
    assert told.hears()["A"] == "X rings"
    world.refuses(told["X"], 486)
    assert told.hears()["A"].startswith("builtin:")
