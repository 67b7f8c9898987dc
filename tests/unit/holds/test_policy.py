"""The policy decides what happens to a hold, and when."""

from dataclasses import replace

import pytest

from holdfast.holds.hold import Begin, Hold, HoldConfirmed, Remind, Resume, WayName, open_hold, step
from holdfast.holds.ids import CallSid, HoldId
from holdfast.holds.policy import (
    Decision,
    EndHeldCall,
    HoldSituation,
    Policy,
    PolicyAction,
    RemindOwner,
    ResumeHold,
    due,
    why_not_hold,
    why_not_resume,
)

HELD_AT = 100.0
TOGETHER = HoldSituation(others=1)


def held(*, by: str | None = None, limit_s: float | None = None) -> Hold:
    hold, _ = open_hold(id=HoldId("HO" + "0" * 32), call=CallSid("CA" + "0" * 32), now=99.0, by=by, limit_s=limit_s)
    for message in (Begin(way=WayName.CONFERENCE), HoldConfirmed()):
        hold, _ = step(hold, message, HELD_AT)
    return hold


@pytest.mark.parametrize(
    ("policy", "limit_s", "after_s", "wanted"),
    [
        (Policy(), None, 1799.9, None),
        (Policy(), None, 1800.0, ResumeHold(why="the limit of 1800 s was reached")),
        (Policy(), 5.0, 5.0, ResumeHold(why="the limit of 5 s was reached")),
        (Policy(limit_s=None), None, 1e9, None),
        (Policy(limit_s=None), 5.0, 5.0, ResumeHold(why="the limit of 5 s was reached")),
        (
            Policy(limit_s=5.0, on_limit=PolicyAction.HANG_UP),
            None,
            5.0,
            EndHeldCall(why="the limit of 5 s was reached"),
        ),
        (Policy(limit_s=5.0, on_limit=PolicyAction.KEEP), None, 1e9, None),
    ],
)
def test_a_hold_lasts_as_long_as_its_own_limit_or_the_services(
    policy: Policy, limit_s: float | None, after_s: float, wanted: Decision | None
) -> None:
    assert due(policy, held(limit_s=limit_s), TOGETHER, HELD_AT + after_s) == wanted


@pytest.mark.parametrize(
    ("situation", "wanted"),
    [
        (HoldSituation(others=0, alone_since=HELD_AT), EndHeldCall(why="all other parties left 120 s ago")),
        (HoldSituation(others=0, alone_since=HELD_AT + 1), None),
        (HoldSituation(others=0), None),
        (HoldSituation(others=1, owner_left=True), ResumeHold(why="the owner of the hold has left")),
        (HoldSituation(others=0, owner_left=True), None),
    ],
)
def test_the_policy_decides_about_a_party_left_alone(situation: HoldSituation, wanted: Decision | None) -> None:
    assert due(Policy(), held(), situation, HELD_AT + 120) == wanted


def test_the_action_keep_falls_through_to_the_limit() -> None:
    policy = Policy(on_alone=PolicyAction.KEEP, on_owner_left=PolicyAction.KEEP, limit_s=300.0)
    left = HoldSituation(others=0, alone_since=HELD_AT)
    assert due(policy, held(), left, HELD_AT + 299) is None
    assert due(policy, held(), left, HELD_AT + 300) == ResumeHold(why="the limit of 300 s was reached")
    assert due(policy, held(), HoldSituation(others=1, owner_left=True), HELD_AT + 299) is None


def test_reminders_are_due_at_their_interval() -> None:
    policy, hold = Policy(remind_every_s=30.0), held()
    assert due(policy, hold, TOGETHER, HELD_AT + 29) is None
    assert due(policy, hold, TOGETHER, HELD_AT + 30) == RemindOwner()
    hold, (recorded,) = step(hold, Remind(), HELD_AT + 31)
    assert (hold.reminded_at, getattr(recorded, "detail", None)) == (HELD_AT + 31, "held for 31 s")
    assert due(policy, hold, TOGETHER, HELD_AT + 60) is None
    assert due(policy, hold, TOGETHER, HELD_AT + 61) == RemindOwner()


def test_the_policy_applies_only_to_held_parties() -> None:
    resuming, _ = step(held(limit_s=1.0), Resume(), HELD_AT)
    assert due(Policy(), resuming, TOGETHER, HELD_AT + 10) is None
    assert due(Policy(), replace(held(limit_s=1.0), held_at=None), TOGETHER, HELD_AT + 10) is None


def test_only_permitted_people_hold_and_resume() -> None:
    assert why_not_hold(Policy(), None) is None
    named = Policy(holders=frozenset({"alice"}))
    assert why_not_hold(named, "alice") is None
    assert why_not_resume(named, held(), "alice") is None
    for other in ("bob", None):
        assert "may not hold" in str(why_not_hold(named, other))
        assert "may not resume" in str(why_not_resume(named, held(), other))
    owned = Policy(only_owner_resumes=True)
    assert why_not_resume(owned, held(by="alice"), "alice") is None
    assert why_not_resume(owned, held(), "bob") is None
    assert (
        why_not_resume(owned, held(by="alice"), "bob") == "this hold belongs to alice, and only its owner may resume it"
    )


@pytest.mark.parametrize("name", ["limit_s", "alone_limit_s", "remind_every_s"])
@pytest.mark.parametrize("seconds", [0.0, -1.0, float("inf"), float("nan")])
def test_a_limit_that_is_not_a_positive_number_is_refused(name: str, seconds: float) -> None:
    with pytest.raises(ValueError, match=name):
        Policy(**{name: seconds})  # type: ignore[arg-type]  # one of three float fields
