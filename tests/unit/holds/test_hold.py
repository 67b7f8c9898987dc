"""The state machine of one hold takes only the steps of its table, refuses any other message, and ends once."""

from dataclasses import replace
from itertools import pairwise, product
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.holds.hold import (
    TRANSITIONS,
    Begin,
    CallEnded,
    Fail,
    Hold,
    HoldConfirmed,
    HoldEnded,
    HoldParty,
    Message,
    MusicFailed,
    RecordEvent,
    Refuse,
    RefuseHoldMessage,
    Remind,
    Resume,
    ResumeParty,
    Status,
    StillHeld,
    WayName,
    open_hold,
    phone_hold,
    step,
)
from holdfast.holds.ids import CallSid, ConferenceSid, HoldId

MESSAGES: tuple[Message, ...] = (
    Begin(way=WayName.CONFERENCE),
    HoldConfirmed(),
    Refuse(why="no way"),
    CallEnded(why="over"),
    Fail(why="failed"),
    Resume(by="bob"),
    HoldEnded(),
    StillHeld(why="still"),
    Remind(),
    MusicFailed(why="silent"),
)
MUSIC = "https://cdn.example/m.mp3"


def asked(music: str | None = None) -> Hold:
    hold, _ = open_hold(id=HoldId("HO" + "0" * 32), call=CallSid("CA" + "0" * 32), now=1.0, music=music)
    return hold


def in_status(status: Status) -> Hold:
    """Return a hold, with music, that came to this status by steps of the table."""
    paths: dict[Status, tuple[Message, ...]] = {Status.ASKED: ()}
    queue = [Status.ASKED]
    for before in queue:
        for message in MESSAGES:
            for after in TRANSITIONS.get((before, type(message)), ()):
                if after not in paths:
                    paths[after] = (*paths[before], message)
                    queue.append(after)
    hold = asked(MUSIC)
    for message in paths[status]:
        hold, _ = step(hold, message, 2.0)
    assert hold.status is status
    return hold


def test_every_kind_of_message_is_tried() -> None:
    assert {type(message) for message in MESSAGES} == set(get_args(Message))


@pytest.mark.parametrize(("status", "message"), list(product(Status, MESSAGES)))
def test_a_hold_takes_a_message_as_its_table_says_and_refuses_any_other(status: Status, message: Message) -> None:
    before = in_status(status)
    hold, effects = step(before, message, 9.0)
    listed = TRANSITIONS.get((status, type(message)))
    if listed is None:
        assert hold is before
        assert effects == (RefuseHoldMessage(status=status, message=type(message).__name__),)
        return
    assert {hold.status} == set(listed), "each cell has one status, so it needs no condition"
    assert set(listed.values()) == {""}
    assert any(isinstance(effect, RecordEvent) for effect in effects)
    assert hold.ended_at == (9.0 if hold.status.final else None)


def test_a_hold_begins_with_the_requested_options_alone() -> None:
    id, call = HoldId("HO" + "0" * 32), CallSid("CA" + "0" * 32)
    plain, effects = open_hold(id=id, call=call, now=1.0)
    assert plain == Hold(id=id, call=call, asked_at=1.0)
    assert effects == (RecordEvent(kind="asked"),)
    full, effects = open_hold(id=id, call=call, now=1.0, by="alice", reason="lookup", music=MUSIC, limit_s=9.0)
    assert full == replace(plain, by="alice", reason="lookup", music=MUSIC, limit_s=9.0)
    assert effects == (RecordEvent(kind="asked", detail="lookup"),)


def test_each_step_changes_what_it_says_and_is_recorded_with_its_cause() -> None:
    conference, owner = ConferenceSid("CF" + "0" * 32), CallSid("CA" + "1" * 32)
    hold, effects = step(asked(), Begin(way=WayName.LEGS, conference=conference, queue="q", owner_call=owner), 2.0)
    begun = replace(
        asked(), status=Status.HOLDING, way=WayName.LEGS, conference=conference, queue="q", owner_call=owner
    )
    assert (hold, effects) == (begun, (RecordEvent(kind="holding"), HoldParty()))
    hold, effects = step(hold, HoldConfirmed(detail="shown"), 3.0)
    assert (hold, effects) == (
        replace(begun, status=Status.HELD, held_at=3.0, cause="shown"),
        (RecordEvent(kind="held", detail="shown"),),
    )
    reminded, effects = step(hold, Remind(), 64.4)
    assert (reminded, effects) == (
        replace(hold, reminded_at=64.4),
        (RecordEvent(kind="reminder", detail="held for 61 s"),),
    )
    _, effects = step(replace(hold, held_at=None), Remind(), 11.0)
    assert effects == (RecordEvent(kind="reminder", detail="held for 10 s"),)
    _, effects = step(hold, Remind(), 1.0)
    assert effects == (RecordEvent(kind="reminder", detail="held for 0 s"),)
    resuming, effects = step(hold, Resume(by="bob", why="enough"), 5.0)
    assert (resuming, effects) == (
        replace(hold, status=Status.RESUMING, resumed_by="bob", cause="enough"),
        (RecordEvent(kind="resuming", detail="enough"), ResumeParty()),
    )
    ended, effects = step(resuming, HoldEnded(why="taken"), 6.0)
    assert (ended, effects) == (
        replace(resuming, status=Status.RESUMED, cause="taken", ended_at=6.0),
        (RecordEvent(kind="resumed", detail="taken"),),
    )


def test_the_hold_of_a_phone_is_held_since_it_was_first_seen() -> None:
    id, call = HoldId("HO" + "0" * 32), CallSid("CA" + "0" * 32)
    hold, effects = phone_hold(id=id, call=call, since=4.0)
    assert hold == Hold(id=id, call=call, asked_at=4.0, held_at=4.0, status=Status.HELD, by="phone", way=WayName.PHONE)
    assert effects == (RecordEvent(kind="held", detail="the phone holds"),)


def test_no_message_leads_out_of_a_final_status() -> None:
    assert {status.value for status in Status if status.final} == {"resumed", "call-ended", "gone", "refused", "failed"}
    assert not any(status.final for status, _ in TRANSITIONS)


@given(st.lists(st.sampled_from(MESSAGES), max_size=12))
def test_a_hold_ends_once_and_records_each_step(messages: list[Message]) -> None:
    hold = asked(MUSIC)
    statuses, kinds = [hold.status], ["asked"]
    for now, message in enumerate(messages, start=2):
        before = hold
        hold, effects = step(before, message, float(now))
        statuses.append(hold.status)
        kinds += [effect.kind for effect in effects if isinstance(effect, RecordEvent)]
        assert (hold is before) == all(isinstance(effect, RefuseHoldMessage) for effect in effects)
        assert not before.status.final or hold is before
        assert (HoldParty() in effects) == (before.status is Status.ASKED and hold.status is Status.HOLDING)
        assert (ResumeParty() in effects) == (before.status is not Status.RESUMING and hold.status is Status.RESUMING)
        assert hold.active == (hold.ended_at is None)
    for (earlier, later), message in zip(pairwise(statuses), messages, strict=True):
        assert later in TRANSITIONS.get((earlier, type(message)), {earlier: ""})
    assert [kind for kind in kinds if kind in {"resumed", "call-ended", "gone", "refused", "failed"}] == [
        status.value for status in statuses[-1:] if status.final
    ]


@pytest.mark.parametrize(
    ("before", "ended"), [((), "gone"), ((0,), "gone"), ((0, 1), "call-ended"), ((0, 1, 5), "call-ended")]
)
def test_a_call_that_ends_is_gone_before_it_was_held_and_call_ended_after(before: tuple[int, ...], ended: str) -> None:
    hold = asked()
    for place in before:
        hold, _ = step(hold, MESSAGES[place], 2.0)
    hold, _ = step(hold, CallEnded(why="over"), 3.0)
    assert (hold.status.value, hold.ended_at, hold.cause) == (ended, 3.0, "over")


def test_a_confirmation_that_comes_late_does_not_hold_again() -> None:
    hold = asked()
    for now, place in ((2.0, 0), (3.0, 5)):
        hold, _ = step(hold, MESSAGES[place], now)
    refused = RefuseHoldMessage(status=Status.RESUMING, message="HoldConfirmed")
    assert step(hold, HoldConfirmed(), 4.0) == (hold, (refused,))


def test_failed_music_is_recorded_once_and_replaced_by_the_accounts_own() -> None:
    hold = asked(MUSIC)
    hold, effects = step(hold, MusicFailed(why="silent"), 2.0)
    assert (hold.music, effects) == (None, (RecordEvent(kind="music-failed", detail="silent"),))
    assert step(hold, MusicFailed(why="silent"), 3.0) == (hold, ())


def test_a_failed_resume_keeps_the_start_time_of_the_hold() -> None:
    hold = asked()
    for now, place in ((2.0, 0), (3.0, 1), (4.0, 5)):
        hold, _ = step(hold, MESSAGES[place], now)
    hold, effects = step(hold, StillHeld(why="refused"), 5.0)
    assert (hold.status, hold.held_at, effects) == (
        Status.HELD,
        3.0,
        (RecordEvent(kind="still-held", detail="refused"),),
    )
