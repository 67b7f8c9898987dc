"""The legs planner plans for parties that are not where they should be, which no ordinary conversation shows."""

from dataclasses import replace

import pytest

from holdfast.holds.ids import CallSid
from holdfast.holds.legs import planner as legs_planner
from holdfast.holds.legs.continuation import ContinuationRequest, continue_call
from holdfast.holds.steps.account_steps import (
    CloseQueue,
    ContinueDocument,
    EndLeg,
    Park,
    RedirectLeg,
    Refusal,
    TakeFromQueue,
    WaitInQueue,
)
from holdfast.holds.steps.pair import (
    LegState,
    Pair,
    current_document,
    pair_of_dial,
)

P, C = CallSid("CA" + "1" * 32), CallSid("CA" + "2" * 32)
MUSIC = "https://cdn.example/m.mp3"


def held_child() -> Pair:
    """Return a pair whose child waits in its queue, and whose parent is parked."""
    plan = legs_planner.hold(pair_of_dial(parent=P, child=C), C, music=MUSIC)
    assert isinstance(plan, legs_planner.Plan)
    answered = continue_call(plan.pair, P, ContinuationRequest()).pair
    return legs_planner.confirm_waiting(answered, C)


def both_held() -> Pair:
    plan = legs_planner.hold(held_child(), P, music=None)
    assert isinstance(plan, legs_planner.Plan)
    return legs_planner.confirm_waiting(plan.pair, P)


def test_a_party_that_left_is_neither_held_nor_resumed() -> None:
    over = legs_planner.party_left(held_child(), C).pair
    for call in (P, C):
        for plan in (
            legs_planner.hold(over, call, music=None),
            legs_planner.resume(over, call),
            legs_planner.convert(over),
        ):
            assert isinstance(plan, Refusal)
            assert plan.call_ended
    left = pair_of_dial(parent=P, child=C)
    left = left.with_parties(replace(left.child, state=LegState.GONE))
    refusal = legs_planner.hold(left, P, music=None)
    assert isinstance(refusal, Refusal)
    assert "the other party" in refusal.why


def test_a_pair_in_the_wanted_state_needs_no_step() -> None:
    fresh, held = pair_of_dial(parent=P, child=C), held_child()
    assert legs_planner.hold(held, C, music=None) == legs_planner.Plan(pair=held)
    assert legs_planner.resume(fresh, P) == legs_planner.Plan(pair=fresh)
    assert legs_planner.convert(held) == legs_planner.Plan(pair=held)
    assert legs_planner.confirm_waiting(fresh, P) == fresh
    assert legs_planner.confirm_joined(held, C) == held


def test_a_pair_in_a_room_is_held_there() -> None:
    moved = legs_planner.convert(pair_of_dial(parent=P, child=C))
    assert isinstance(moved, legs_planner.Plan)
    refusal = legs_planner.hold(moved.pair, P, music=None)
    assert refusal == Refusal(why="the pair is in a conference by now", fix="Hold the party there.")


@pytest.mark.parametrize("answered", [False, True])
def test_a_hold_that_fails_beside_one_that_holds_parks(answered: bool) -> None:
    plan = legs_planner.fall_back(both_held(), P, answered=answered)
    assert plan.pair.party(P).state is LegState.PARKED
    assert plan.pair.party(C).held
    assert plan.steps == (() if answered else (RedirectLeg(call=P, document=Park()),))


def test_undo_after_the_pair_has_moved_meanwhile() -> None:
    before = pair_of_dial(parent=P, child=C)
    plan = legs_planner.hold(before, C, music=None)
    assert isinstance(plan, legs_planner.Plan)
    assert legs_planner.undo(before, plan.pair, plan.pair, C).pair == replace(before, generation=1)
    asked = continue_call(plan.pair, P, ContinuationRequest()).pair
    assert legs_planner.undo(before, plan.pair, asked, C).pair.room is not None
    over = legs_planner.party_left(asked, P).pair
    assert legs_planner.undo(before, plan.pair, over, C) == legs_planner.Plan(pair=over)


def test_an_abandoned_resume_leaves_the_held_party_held() -> None:
    alone = legs_planner.resume(held_child(), C)
    assert isinstance(alone, legs_planner.Plan)
    plan = legs_planner.abandon_resume(alone.pair, C)
    assert (plan.pair.party(C).state, plan.pair.party(C).held, plan.pair.party(P).state) == (
        LegState.WAITING,
        True,
        LegState.PARKED,
    )
    assert plan.steps == (RedirectLeg(call=P, document=Park()),)
    beside = legs_planner.abandon_resume(both_held(), C)
    assert (beside.pair.party(C).held, beside.pair.party(P).held, beside.steps) == (True, True, ())


def test_a_dial_that_finds_no_member_restores_the_hold() -> None:
    plan = legs_planner.resume(held_child(), C)
    assert isinstance(plan, legs_planner.Plan)
    assert current_document(plan.pair, P) == TakeFromQueue(queue=f"hold-{C}", generation=plan.pair.generation)
    result = continue_call(plan.pair, P, ContinuationRequest(generation=plan.pair.generation, dial_status="no-answer"))
    assert (result.not_joined, result.document) == (C, Park())
    assert result.pair.party(C).held
    assert legs_planner.confirm_joined(plan.pair, C).party(C).state is LegState.JOINED


def test_music_that_fails_is_dropped_once() -> None:
    held = held_child()
    result = continue_call(held, C, ContinuationRequest(generation=held.generation, queue_result="error"))
    assert (result.music_failed, result.document) == (
        MUSIC,
        WaitInQueue(queue=f"hold-{C}", music=None, generation=held.generation),
    )
    again = continue_call(result.pair, C, ContinuationRequest(generation=held.generation, queue_result="error"))
    assert again.not_queued == C


def test_after_the_conversation_each_party_continues_at_its_own_document() -> None:
    pair = replace(held_child(), after="https://app.example/after")
    plan = legs_planner.party_left(pair, C)
    assert plan.steps == (
        RedirectLeg(call=P, document=ContinueDocument(url="https://app.example/after")),
        CloseQueue(name=f"hold-{P}"),
        CloseQueue(name=f"hold-{C}"),
    )
    assert current_document(plan.pair, P) == ContinueDocument(url="https://app.example/after")
    fresh = pair_of_dial(parent=P, child=C)
    assert current_document(fresh, P) == current_document(fresh, C) == EndLeg()
    assert legs_planner.party_left(fresh, C).steps == ()
