"""The conference planner answers with a step only where it changes something, and refuses parties that left."""

from dataclasses import replace

from holdfast.holds.account.snapshots import ConferenceSnapshot, ParticipantSnapshot, RoomSnapshot
from holdfast.holds.conference import planner as conference_planner
from holdfast.holds.ids import CallSid, ConferenceSid
from holdfast.holds.steps.account_steps import Refusal, SetHold

P = CallSid("CA" + "1" * 32)
ROOM = ConferenceSid("CF" + "3" * 32)
MUSIC = "https://cdn.example/m.mp3"


def participant(**changes: object) -> ParticipantSnapshot:
    me = ParticipantSnapshot(call=P, conference=ROOM, hold=False, muted=False, label=None, status="connected")
    return replace(me, **changes)  # type: ignore[arg-type]  # fields of ParticipantSnapshot


def test_a_participant_is_held_only_where_that_changes_something() -> None:
    step = SetHold(conference=ROOM, call=P, hold=True, music=None)
    assert conference_planner.hold(participant(), None) == step
    assert conference_planner.hold(participant(hold=True), None) is None
    assert conference_planner.hold(participant(hold=True), MUSIC) == replace(step, music=MUSIC)
    assert conference_planner.resume(participant(hold=True)) == replace(step, hold=False)
    assert conference_planner.resume(participant()) is None
    for status in ("complete", "failed"):
        refusal = conference_planner.hold(participant(status=status), None)
        assert refusal == Refusal(why=f"{P} has left the conference", call_ended=True)
    for status in ("ringing", "queued"):
        refusal = conference_planner.hold(participant(status=status), None)
        assert refusal == Refusal(
            why=f"{P} has not been answered yet (it is {status})", fix="Hold it once it is connected."
        )


def test_the_others_of_a_conference_are_its_connected_participants() -> None:
    first, second, third = (participant(call=CallSid(f"CA{number:032x}")) for number in range(3))
    room = RoomSnapshot(
        conference=ConferenceSnapshot(sid=ROOM, name="support", status="in-progress"),
        participants=(first, second, replace(third, status="ringing")),
    )
    assert conference_planner.others(first.call, room) == (second,)
    assert conference_planner.others(third.call, room) == (first, second)
