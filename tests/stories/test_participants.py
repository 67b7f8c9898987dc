"""Participants: called in, removed, muted, coached; what each ear hears and every event with its parameters.

Source: Participant resource; conference status callback.
"""

from __future__ import annotations

import pytest

from holdfast.testing.world import World
from holdfast.voice.model.commands import ChangeParticipant, EndRoom, RemoveParticipant
from holdfast.voice.model.errors import CoachTargetAbsent, CoachTargetHeld
from holdfast.voice.model.ids import CallSid
from tests.stories.conference_events import EVERY, PLAIN, called_in, room_of, room_page, two
from tests.stories.leg_events import Told, end, redirect


def test_a_party_is_called_into_an_empty_conference(world: World) -> None:
    told = Told(world, X=called_in(world, "x"))
    room = room_of(world, told["X"])
    assert (room.status, [one.status for one in room.participants]) == ("init", ["queued"])
    assert told.news() == ["X POST /call initiated"]
    world.rings(told["X"])
    assert room_of(world, told["X"]).participants[0].status == "ringing"
    told.name(A=world.calls_in("a", room_page(world, "first")))
    assert told.hears() == {"X": "silence", "A": "builtin:hold"}
    world.answers(told["X"])
    assert told.news() == [
        "X POST /call ringing",
        "A POST /first ringing",
        f"A POST /events 1 participant-join {PLAIN}",
        "X POST /call in-progress",
        f"X POST /events 2 participant-join {PLAIN}",
        "POST /events 3 conference-start",
    ]
    assert told.hears() == {"X": "A", "A": "X"}
    world.post(EndRoom(room=room.sid))
    assert told.statuses() == {"X": "completed", "A": "in-progress"}


@pytest.mark.parametrize(("sip_code", "status"), [(486, "busy"), (404, "failed"), (480, "no-answer")])
def test_a_party_that_does_not_answer_leaves_as_never_joined(world: World, sip_code: int, status: str) -> None:
    told = Told(world, X=called_in(world, "x"))
    room = room_of(world, told["X"]).sid
    told.news()
    world.refuses(told["X"], sip_code)
    assert told.news() == [
        f"X POST /call {status} CallDuration=0 Duration=0 SipResponseCode={sip_code}",
        f"X POST /events 1 participant-leave {PLAIN} ParticipantCallStatus={status} "
        "ReasonParticipantLeft=participant_add_failed",
        "POST /events 2 conference-end ReasonConferenceEnded=last-participant-left Reason=last participant left "
        "CallSidEndingConference=X",
    ]
    assert world.state.rooms[room].status == "completed"


def test_a_call_that_still_rings_is_given_up_when_the_conference_ends_or_it_is_removed(world: World) -> None:
    told = two(world, f'{EVERY} endConferenceOnExit="true"')
    room = room_of(world, told["A"]).sid
    told.name(X=called_in(world, "x"), Y=called_in(world, "y"))
    world.rings(told["Y"])
    told.news()
    world.post(RemoveParticipant(room=room, call=told["X"]))
    assert told.news() == [
        f"X POST /events 4 participant-leave {PLAIN} ParticipantCallStatus=canceled "
        "ReasonParticipantLeft=participant_add_failed",
        "X POST /call canceled CallDuration=0 Duration=0 SipResponseCode=487",
    ]
    world.hangs_up(told["A"])
    assert told.statuses() == {"A": "completed", "B": "in-progress", "X": "canceled", "Y": "canceled"}
    assert world.legs[told["Y"]] == "gone"


def test_rest_changes_made_while_the_phone_rings_stay(world: World) -> None:
    told = two(world)
    room = room_of(world, told["A"]).sid
    told.name(X=called_in(world, "x"))
    world.post(ChangeParticipant(room=room, call=told["X"], muted=True, hold=True, end_on_exit=None))
    world.answers(told["X"])
    assert told.hears() == {"A": "B", "B": "A", "X": "builtin:hold"}
    world.post(ChangeParticipant(room=room, call=told["X"], hold=False))
    assert told.hears() == {"A": "B", "B": "A", "X": "A+B"}


def test_a_removed_participant_goes_on_with_its_document(world: World) -> None:
    told = two(world)
    room = room_of(world, told["A"]).sid
    world.post(RemoveParticipant(room=room, call=told["A"]))
    assert told.news() == [
        f"A POST /events 4 participant-leave {PLAIN} ParticipantCallStatus=in-progress "
        "ReasonParticipantLeft=participant_updated_via_api",
        "A POST /after in-progress DialCallStatus=answered",
    ]
    assert told.hears() == {"A": "/after.mp3", "B": "silence"}
    world.post(RemoveParticipant(room=room, call=told["B"]))
    assert world.state.rooms[room].reason_ended == "last-participant-kicked"


def test_removing_one_with_end_on_exit_ends_it(world: World) -> None:
    told = two(world, f'{EVERY} endConferenceOnExit="true"')
    room = room_of(world, told["A"]).sid
    world.post(RemoveParticipant(room=room, call=told["A"]))
    assert world.state.rooms[room].reason_ended == "participant-with-end-conference-on-exit-kicked"
    assert told.hears() == {"A": "/after.mp3", "B": "/after.mp3"}


def test_a_participant_called_in_is_hung_up_when_it_is_removed(world: World) -> None:
    told = two(world)
    room = room_of(world, told["A"]).sid
    told.name(X=called_in(world, "x"))
    world.answers(told["X"])
    world.post(RemoveParticipant(room=room, call=told["X"]))
    assert told.statuses()["X"] == "completed"


# --- changes of a participant -------------------------------------------------------------------------------------


def test_mute_and_unmute(world: World) -> None:
    told = two(world)
    room = room_of(world, told["A"]).sid
    world.post(ChangeParticipant(room=room, call=told["A"], muted=True))
    assert told.hears() == {"A": "B", "B": "silence"}
    world.post(ChangeParticipant(room=room, call=told["A"], muted=True))
    world.post(ChangeParticipant(room=room, call=told["A"], muted=False))
    muted = PLAIN.replace("Muted=false", "Muted=true")
    assert told.news() == [
        f"A POST /events 4 participant-mute {muted}",
        f"A POST /events 5 participant-unmute {PLAIN}",
    ]
    assert told.hears() == {"A": "B", "B": "A"}


@pytest.mark.parametrize(
    ("beep", "on_exit", "after"),
    [("true", False, "onEnter"), ("onExit", False, "false"), ("false", True, "onExit"), ("onEnter", True, "true")],
)
def test_the_beep_on_exit_is_changed(world: World, beep: str, after: str, *, on_exit: bool) -> None:
    told = two(world, f'{EVERY} beep="{beep}"')
    room = room_of(world, told["A"])
    change = ChangeParticipant(room=room.sid, call=told["A"], beep_on_exit=on_exit)
    world.post(change)
    world.post(change)
    one = room_of(world, told["A"]).participant(told["A"])
    assert one is not None
    assert one.beep == after
    assert told.news() == [f"A POST /events 4 participant-modify {PLAIN}"]


def test_end_on_exit_is_changed(world: World) -> None:
    told = two(world)
    room = room_of(world, told["A"]).sid
    world.post(ChangeParticipant(room=room, call=told["A"], end_on_exit=True))
    ending = PLAIN.replace("EndConferenceOnExit=false", "EndConferenceOnExit=true")
    assert told.news() == [f"A POST /events 4 participant-modify {ending}"]
    end(world, told["A"])
    assert world.state.rooms[room].status == "completed"


def test_end_on_exit_changed_while_held_means_nothing_until_it_is_changed_again(world: World) -> None:
    told = two(world)
    room = room_of(world, told["A"]).sid
    world.post(ChangeParticipant(room=room, call=told["A"], hold=True))
    told.news()
    world.post(ChangeParticipant(room=room, call=told["A"], end_on_exit=True))
    assert told.news() == []
    world.post(ChangeParticipant(room=room, call=told["A"], hold=False))
    redirect(world, told["A"], "/after")
    assert world.state.rooms[room].status == "in-progress"


# --- coaching -------------------------------------------------------------------------------------------------------


def coached(world: World) -> Told:
    """C coaches A, who talks with B."""
    told = two(world)
    told.name(C=world.calls_in("c", room_page(world, "third", f'coach="{told["A"]}"')))
    assert told.hears() == {"A": "B+C", "B": "A", "C": "A+B"}
    assert told.news() == [
        "C POST /third ringing",
        f"C POST /events 4 participant-join {PLAIN.replace('Coaching=false', 'Coaching=true')} CallSidToCoach=A",
    ]
    return told


def test_only_the_coached_one_hears_the_coach(world: World) -> None:
    told = coached(world)
    room = room_of(world, told["A"]).sid
    world.post(ChangeParticipant(room=room, call=told["C"], coaching=False))
    assert told.hears() == {"A": "B+C", "B": "A+C", "C": "A+B"}
    world.post(ChangeParticipant(room=room, call=told["C"], coaching=True, coach=told["B"]))
    assert told.hears() == {"A": "B", "B": "A+C", "C": "A+B"}
    assert [line.split()[4] for line in told.news()] == ["participant-modify"] * 2


def test_a_muted_coach_listens(world: World) -> None:
    told = coached(world)
    world.post(ChangeParticipant(room=room_of(world, told["A"]).sid, call=told["C"], muted=True))
    assert told.hears() == {"A": "B", "B": "A", "C": "A+B"}


def test_a_held_coach_hears_its_hold_and_a_held_coached_party_hears_no_party(world: World) -> None:
    told = coached(world)
    room = room_of(world, told["A"]).sid
    world.post(ChangeParticipant(room=room, call=told["C"], hold=True))
    assert told.hears() == {"A": "B", "B": "A", "C": "builtin:hold"}
    world.post(ChangeParticipant(room=room, call=told["C"], hold=False))
    world.post(ChangeParticipant(room=room, call=told["A"], hold=True))
    assert told.hears() == {"A": "builtin:hold", "B": "silence", "C": "B"}


def test_a_coach_stays_unheard_after_the_coached_participant_has_left(world: World) -> None:
    told = coached(world)
    world.hangs_up(told["A"])
    assert told.hears() == {"A": "nothing", "B": "silence", "C": "B"}


@pytest.mark.parametrize(
    ("coach", "code"), [("somebody", 13240), ("CA" + "9" * 32, 16028), ("A", 16027)], ids=["no SID", "absent", "held"]
)
def test_a_coach_of_an_absent_party_is_not_admitted(world: World, coach: str, code: int) -> None:
    told = two(world)
    world.post(ChangeParticipant(room=room_of(world, told["A"]).sid, call=told["A"], hold=True))
    coach = told["A"] if coach == "A" else coach
    told.name(C=world.calls_in("c", room_page(world, "third", f'coach="{coach}"')))
    assert world.notifications[-1].code == code
    assert told.hears() == {"A": "builtin:hold", "B": "silence", "C": "/after.mp3"}


def test_coaching_by_rest_of_a_held_or_absent_participant_or_of_oneself_is_refused(world: World) -> None:
    told = two(world)
    room = room_of(world, told["A"]).sid
    for coach in (told["B"], CallSid("CA" + "9" * 32)):
        with pytest.raises(CoachTargetAbsent):
            world.post(ChangeParticipant(room=room, call=told["B"], coach=coach))
    with pytest.raises(CoachTargetAbsent):
        world.post(ChangeParticipant(room=room, call=told["B"], coaching=True))
    world.post(ChangeParticipant(room=room, call=told["A"], hold=True))
    with pytest.raises(CoachTargetHeld):
        world.post(ChangeParticipant(room=room, call=told["B"], coaching=True, coach=told["A"]))
    assert told.hears() == {"A": "builtin:hold", "B": "silence"}
