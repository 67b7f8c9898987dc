"""Beeps: who hears that somebody came into a conference, or went out of it.

Source: TwiML <Conference> beep; Participant resource, Beep and BeepOnExit.
"""

from __future__ import annotations

import pytest

from holdfast.testing.world import World
from holdfast.voice.model.commands import ChangeParticipant, EndRoom, RemoveParticipant
from tests.stories.conference_events import called_in, room_of, room_page, two
from tests.stories.leg_events import Told, end, pages, redirect


def test_all_in_the_room_hear_a_beep_at_each_entry_and_exit(world: World) -> None:
    told = Told(world, A=world.calls_in("a", room_page(world, "first")))
    assert told.beeps() == [], "who waits alone hears its music and nothing over it"
    told.name(B=world.calls_in("b", room_page(world, "second")))
    assert told.beeps() == ["entry A B"]
    told.name(C=world.calls_in("c", room_page(world, "third")))
    assert told.beeps() == ["entry A B C"]
    assert told.hears() == {"A": "B+C", "B": "A+C", "C": "A+B"}, "the beep is laid over the talk"
    world.hangs_up(told["C"])
    assert told.beeps() == ["exit A B"]
    redirect(world, told["B"], "/after")
    assert told.beeps() == ["exit A"]
    end(world, told["A"])
    assert told.beeps() == [], "nobody is left to hear it"


@pytest.mark.parametrize(
    ("beep", "heard"),
    [
        ("true", ["entry A B C", "exit A B"]),
        ("false", []),
        ("onEnter", ["entry A B C"]),
        ("onExit", ["exit A B"]),
    ],
)
def test_each_participant_chooses_its_own_beeps(world: World, beep: str, heard: list[str]) -> None:
    told = two(world)
    told.beeps()
    told.name(C=world.calls_in("c", room_page(world, "third", f'beep="{beep}"')))
    world.hangs_up(told["C"])
    assert told.beeps() == heard


def test_a_held_participant_hears_no_beep_and_makes_one_at_its_exit(world: World) -> None:
    told = two(world)
    room = room_of(world, told["A"]).sid
    told.beeps()
    world.post(ChangeParticipant(room=room, call=told["B"], hold=True))
    assert told.beeps() == [], "a hold is no leaving"
    told.name(C=world.calls_in("c", room_page(world, "third")))
    assert told.beeps() == ["entry A C"]
    world.post(ChangeParticipant(room=room, call=told["B"], hold=False))
    assert told.beeps() == []
    world.post(ChangeParticipant(room=room, call=told["B"], hold=True))
    world.hangs_up(told["B"])
    assert told.beeps() == ["exit A C"]


def test_no_beep_is_played_when_all_others_are_on_hold(world: World) -> None:
    told = two(world)
    room = room_of(world, told["A"]).sid
    world.post(ChangeParticipant(room=room, call=told["A"], hold=True))
    told.beeps()
    world.hangs_up(told["B"])
    assert told.beeps() == []


def test_the_muted_and_coaches_hear_it_and_are_announced(world: World) -> None:
    told = two(world)
    told.beeps()
    told.name(C=world.calls_in("c", room_page(world, "third", f'coach="{told["B"]}"')))
    assert told.beeps() == ["entry A B C"]
    told.name(D=world.calls_in("d", room_page(world, "fourth", 'muted="true"')))
    assert told.beeps() == ["entry A B C D"]
    assert told.hears()["A"] == "B"
    world.hangs_up(told["C"])
    assert told.beeps() == ["exit A B D"]


def test_no_beep_is_played_before_the_start(world: World) -> None:
    told = Told(world, A=world.calls_in("a", room_page(world, "first", 'startConferenceOnEnter="false"')))
    told.name(B=world.calls_in("b", room_page(world, "second", 'startConferenceOnEnter="false"')))
    world.hangs_up(told["B"])
    assert told.beeps() == []
    assert told.hears() == {"A": "builtin:hold", "B": "nothing"}
    told.name(C=world.calls_in("c", room_page(world, "third")))
    assert told.beeps() == ["entry A C"], "its own, and no beeps of those who came before"


def test_an_end_for_all_is_not_announced(world: World) -> None:
    told = two(world, 'endConferenceOnExit="true"')
    told.name(C=world.calls_in("c", room_page(world, "third")))
    told.beeps()
    world.hangs_up(told["A"])
    assert told.beeps() == []


def test_an_end_by_rest_is_not_announced(world: World) -> None:
    told = two(world)
    told.beeps()
    world.post(EndRoom(room=room_of(world, told["A"]).sid))
    assert told.beeps() == []


def test_an_invited_participant_beeps_when_it_answers_and_when_it_is_removed(world: World) -> None:
    told = two(world)
    room = room_of(world, told["A"]).sid
    told.beeps()
    told.name(X=called_in(world, "x"), Y=called_in(world, "y"))
    world.rings(told["X"])
    assert told.beeps() == []
    world.answers(told["X"])
    assert told.beeps() == ["entry A B X"]
    world.refuses(told["Y"], 486)
    assert told.beeps() == [], "who never came did not go"
    world.post(RemoveParticipant(room=room, call=told["X"]))
    assert told.beeps() == ["exit A B"]


def test_rest_turns_the_beep_at_leaving_off(world: World) -> None:
    told = two(world)
    room = room_of(world, told["A"]).sid
    told.name(C=world.calls_in("c", room_page(world, "third")))
    told.beeps()
    world.post(ChangeParticipant(room=room, call=told["C"], beep_on_exit=False))
    world.hangs_up(told["C"])
    assert told.beeps() == []


def test_a_bridge_has_no_beeps(world: World) -> None:
    pages(world, start='<Dial action="/after"><Client>b</Client></Dial>', after="")
    caller = world.calls_in("a", "https://app.example/start")
    told = Told(world, A=caller, B=world.children(caller)[0])
    world.answers(told["B"])
    assert told.hears() == {"A": "B", "B": "A"}
    world.hangs_up(told["B"])
    assert told.beeps() == []
