"""What the overview shows of each live call: where it is, what it hears, and whether it can be held."""

from __future__ import annotations

from dataclasses import replace

import pytest

from holdfast.holds.account.snapshots import (
    AudioQualitySnapshot,
    CallSnapshot,
    ConferenceSnapshot,
    ParticipantSnapshot,
    RoomSnapshot,
)
from holdfast.holds.call_overview import CallView, OverviewInput, call_views
from holdfast.holds.conference.planner import HOW_TO_JOIN
from holdfast.holds.hold import Hold, Status, WayName
from holdfast.holds.ids import CallSid, ConferenceSid, HoldId
from holdfast.holds.legs import planner
from holdfast.holds.steps.pair import LegState, Pair, pair_of_dial

A, B, C = (CallSid("CA" + letter * 32) for letter in "abc")
CONFERENCE = ConferenceSid("CF" + "1" * 32)
EMPTY = OverviewInput(calls=(), rooms=(), queues={}, audio_quality={}, continue_url="https://holds.example/continue")


def call(sid: CallSid, *, status: str = "in-progress", parent: CallSid | None = None) -> CallSnapshot:
    return CallSnapshot(sid=sid, status=status, parent=parent, from_="+1", to="+2", direction="inbound")


def member(sid: CallSid, **changes: object) -> ParticipantSnapshot:
    seen = ParticipantSnapshot(call=sid, conference=CONFERENCE, hold=False)
    return replace(seen, **changes)  # type: ignore[arg-type]  # fields of ParticipantSnapshot


def room(*members: ParticipantSnapshot, status: str = "in-progress") -> RoomSnapshot:
    return RoomSnapshot(
        conference=ConferenceSnapshot(sid=CONFERENCE, name="support", status=status), participants=members
    )


def hold(sid: CallSid, status: Status = Status.HELD, way: WayName = WayName.CONFERENCE, **values: object) -> Hold:
    made = Hold(id=HoldId("HO" + sid[2:]), call=sid, asked_at=1.0, held_at=2.0, status=status, way=way, by="alice")
    return replace(made, **values)  # type: ignore[arg-type]  # fields of Hold


def views(data: OverviewInput) -> dict[CallSid, CallView]:
    return {view.sid: view for view in call_views(data)}


def in_room(*members: ParticipantSnapshot, status: str = "in-progress") -> OverviewInput:
    calls = tuple(call(each.call) for each in members)
    return replace(EMPTY, calls=calls, rooms=(room(*members, status=status),))


def test_a_party_on_hold_is_shown_whole() -> None:
    quality = AudioQualitySnapshot(call=A, mos=4.0, loss=0.1, jitter_ms=3.0)
    data = replace(
        in_room(member(A, hold=True, muted=True), member(B)),
        holds={A: hold(A, music="https://cdn.example/m.mp3")},
        audio_quality={A: quality},
    )
    shown = views(data)
    assert shown[A] == CallView(
        sid=A,
        parent=None,
        peer=None,
        from_="+1",
        to="+2",
        direction="inbound",
        status="in-progress",
        conference=CONFERENCE,
        conference_name="support",
        muted=True,
        queue=None,
        held=True,
        hold="HO" + "a" * 32,
        by="alice",
        since=2.0,
        held_by_phone=False,
        music="https://cdn.example/m.mp3",
        hears="music",
        can_hold=False,
        why_not="it is on hold",
        fix=None,
        sound=quality,
    )
    assert shown[B] == CallView(
        sid=B,
        parent=None,
        peer=None,
        from_="+1",
        to="+2",
        direction="inbound",
        status="in-progress",
        conference=CONFERENCE,
        conference_name="support",
        muted=False,
        queue=None,
        held=False,
        hold=None,
        by=None,
        since=None,
        held_by_phone=False,
        music=None,
        hears="silence",
        can_hold=True,
        why_not=None,
        fix=None,
        sound=None,
    )


@pytest.mark.parametrize("status", Status)
def test_a_hold_is_shown_while_it_is_in_force(status: Status) -> None:
    data = replace(in_room(member(A), member(B)), holds={A: hold(A, status)})
    shown = views(data)[A]
    in_force = status in (Status.HELD, Status.HOLDING, Status.RESUMING)
    assert (shown.hold is not None, shown.by) == (in_force, "alice" if in_force else None)


def test_the_hold_of_the_phone_is_shown_where_there_is_none_of_ours() -> None:
    phone = hold(A, way=WayName.PHONE, by="phone", id=HoldId("HO" + "f" * 32))
    data = replace(in_room(member(A), member(B)), phone_holds={A: phone})
    shown = views(data)
    assert (shown[A].held_by_phone, shown[A].held, shown[A].hold, shown[A].by) == (True, False, phone.id, "phone")
    assert (shown[A].hears, shown[B].hears, shown[A].can_hold) == (None, "music", True)
    ours = views(replace(data, holds={A: hold(A)}))[A]
    assert (ours.held_by_phone, ours.by) == (True, "alice")


@pytest.mark.parametrize(
    ("members", "status", "wanted"),
    [
        ((member(A), member(B)), "in-progress", "the other party"),
        ((member(A), member(B)), "init", "music"),
        ((member(A),), "in-progress", "silence"),
        ((member(A), member(B, hold=True)), "in-progress", "silence"),
        ((member(A), member(B, muted=True)), "in-progress", "silence"),
        ((member(A), member(B, muted=True), member(C)), "in-progress", "the other party"),
        ((member(A), member(B, coaches=A)), "in-progress", "the other party"),
        ((member(A), member(B, coaches=C), member(C, hold=True)), "in-progress", "silence"),
        ((member(A), member(B, status="ringing")), "in-progress", "silence"),
        ((member(A, hold=True), member(B)), "init", "music"),
    ],
)
def test_the_overview_shows_the_audio_of_a_participant(
    members: tuple[ParticipantSnapshot, ...], status: str, wanted: str
) -> None:
    assert views(in_room(*members, status=status))[A].hears == wanted


def test_a_phone_that_holds_beside_a_party_that_talks_is_not_heard_by_its_music() -> None:
    data = replace(in_room(member(A), member(B), member(C)), phone_holds={B: hold(B, way=WayName.PHONE)})
    assert [view.hears for view in call_views(data)] == ["the other party", None, "the other party"]


def test_a_running_conference_comes_before_one_that_is_forming() -> None:
    forming = RoomSnapshot(
        conference=ConferenceSnapshot(sid=ConferenceSid("CF" + "2" * 32), name="forming", status="init"),
        participants=(member(A),),
    )
    running = room(member(A), member(B))
    for rooms in ((forming, running), (running, forming)):
        assert views(replace(EMPTY, calls=(call(A),), rooms=rooms))[A].conference_name == "support"


def pair(a: LegState, b: LegState, **changes: object) -> Pair:
    made = pair_of_dial(parent=A, child=B)
    made = made.with_parties(replace(made.parent, state=a), replace(made.child, state=b))
    return replace(made, **changes)  # type: ignore[arg-type]  # fields of Pair


def by_legs(made: Pair, **changes: object) -> dict[CallSid, CallView]:
    data = replace(EMPTY, calls=(call(A), call(B, parent=A)), pairs={A: made, B: made})
    return views(replace(data, **changes))  # type: ignore[arg-type]  # fields of OverviewInput


def test_two_legs_that_are_ours_can_be_held_and_know_each_other() -> None:
    shown = by_legs(pair(LegState.PARENT, LegState.CHILD))
    assert [(view.peer, view.parent, view.hears, view.can_hold) for view in shown.values()] == [
        (B, None, "the other party", True),
        (A, A, "the other party", True),
    ]


def test_a_held_leg_hears_music_and_the_other_one_silence() -> None:
    held = pair(LegState.PARKED, LegState.WAITING)
    held = held.with_parties(replace(held.child, held=True))
    shown = by_legs(held, queues={B: f"hold-{B}"})
    assert [(view.held, view.hears, view.queue, view.why_not) for view in shown.values()] == [
        (False, "silence", None, None),
        (True, "music", f"hold-{B}", "it is on hold"),
    ]


def test_the_peer_of_a_phone_that_holds_hears_music() -> None:
    phone = {B: hold(B, way=WayName.PHONE)}
    shown = by_legs(pair(LegState.PARENT, LegState.CHILD), phone_holds=phone)
    assert [view.hears for view in shown.values()] == ["music", None]
    shown = views(replace(EMPTY, calls=(call(A), call(B, parent=A)), phone_holds=phone))
    assert [view.hears for view in shown.values()] == ["music", None]


@pytest.mark.parametrize("changes", [{"over": True}, {"room": "holdfast"}], ids=["over", "in a room"])
def test_a_pair_that_is_no_pair_any_more_is_shown_as_a_plain_dial(changes: dict[str, object]) -> None:
    shown = by_legs(pair(LegState.PARENT, LegState.CHILD, **changes))
    refusal = planner.unknown_continuation(EMPTY.continue_url)
    assert [(view.peer, view.hears, view.why_not, view.fix) for view in shown.values()] == [
        (B, "the other party", refusal.why, refusal.fix),
        (A, "the other party", refusal.why, refusal.fix),
    ]


def test_a_pair_in_a_conference_is_shown_there() -> None:
    data = replace(in_room(member(A), member(B)), pairs={A: pair(LegState.PARKED, LegState.ROOM)})
    shown = views(data)[A]
    assert (shown.peer, shown.hears, shown.conference_name) == (None, "the other party", "support")


@pytest.mark.parametrize(
    ("statuses", "hears"),
    [
        (("in-progress", "ringing"), ("ringing", None)),
        (("in-progress", "in-progress"), ("the other party", "the other party")),
        (("ringing", "ringing"), (None, None)),
    ],
)
def test_the_ends_of_a_plain_dial_hear_each_other(statuses: tuple[str, str], hears: tuple[str, str]) -> None:
    calls = (call(A, status=statuses[0]), call(B, status=statuses[1], parent=A))
    shown = views(replace(EMPTY, calls=calls))
    assert (shown[A].hears, shown[B].hears) == hears
    assert (shown[A].peer, shown[B].peer) == (B, A)


def test_a_dial_with_several_calls_has_no_one_peer() -> None:
    shown = views(replace(EMPTY, calls=(call(A), call(B, parent=A), call(C, parent=A))))
    assert [view.peer for view in shown.values()] == [None, A, A]
    assert shown[A].hears == "the other party"


def test_a_call_on_its_own_cannot_be_held() -> None:
    calls = (call(A), call(B, status="ringing"), call(C, parent=CallSid("CA" + "d" * 32)))
    shown = views(replace(EMPTY, calls=calls, queues={C: "sales"}))
    alone = "it is in no conference and talks to no other party"
    assert [(view.hears, view.can_hold, view.why_not, view.fix) for view in shown.values()] == [
        (None, False, alone, HOW_TO_JOIN),
        (None, False, "it has not been answered yet (it is ringing)", None),
        ("music", False, alone, HOW_TO_JOIN),
    ]
    assert shown[C].queue == "sales"
