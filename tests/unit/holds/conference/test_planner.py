"""The conference planner answers with a step only where it changes something, and refuses parties that left."""

from dataclasses import replace

from holdfast.holds.account.snapshots import ParticipantSnapshot
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
    for status, gone in (("complete", True), ("failed", True), ("ringing", False), ("queued", False)):
        refusal = conference_planner.hold(participant(status=status), None)
        assert isinstance(refusal, Refusal)
        assert refusal.call_ended is gone
