"""The state machine of one hold takes only the steps of its table, and ends once."""

from itertools import pairwise

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
    Remind,
    Resume,
    ResumeParty,
    Status,
    StillHeld,
    WayName,
    open_hold,
    step,
)
from holdfast.holds.ids import CallSid, HoldId

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


@given(st.lists(st.sampled_from(MESSAGES), max_size=12))
def test_a_hold_takes_the_steps_of_its_table_ends_once_and_records_each_step(messages: list[Message]) -> None:
    hold = asked(MUSIC)
    statuses, kinds = [hold.status], ["asked"]
    for now, message in enumerate(messages, start=2):
        before = hold
        hold, effects = step(before, message, float(now))
        statuses.append(hold.status)
        kinds += [effect.kind for effect in effects if isinstance(effect, RecordEvent)]
        assert (hold is before) == (effects == ())
        assert not before.status.final or hold is before
        assert (HoldParty() in effects) == (before.status is Status.ASKED and hold.status is Status.HOLDING)
        assert (ResumeParty() in effects) == (before.status is not Status.RESUMING and hold.status is Status.RESUMING)
        assert hold.active == (hold.ended_at is None)
    for earlier, later in pairwise(statuses):
        assert earlier is later or later in TRANSITIONS[earlier]
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
    assert step(hold, HoldConfirmed(), 4.0) == (hold, ())
    assert step(asked(), Remind(), 4.0) == (asked(), ())


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
