"""What a leg does when its document ends: because we moved the other leg, or because the conversation is over.

The account asks in both cases alike; the pair's recorded turns tell them apart. It also asks, and throws the answer
away, when we redirect the asking leg itself: that request changes nothing here.
Source: TwiML <Dial> action, <Enqueue> action; Twilio changelog 2021-05 on the action of a modified Dial.
"""

from dataclasses import dataclass, replace

from holdfast.holds.ids import CallSid
from holdfast.holds.legs import planner
from holdfast.holds.steps.account_steps import Document, HangUp, LegStep
from holdfast.holds.steps.pair import (
    Pair,
    Place,
    document,
    onward,
    park_for,
)

QUEUE_REFUSED = frozenset({"queue-full", "error", "system-error"})
"""QueueResult values of a call that never came to wait. Source: TwiML <Enqueue> action parameters."""

MUSIC_FAILED = frozenset({"error", "system-error"})
"""Of these, the ones that a waitUrl which cannot be run, or heard, brings about."""

NOT_TAKEN = frozenset({"no-answer", "failed", "busy", "canceled"})
"""DialCallStatus values of a `<Dial><Queue>` that joined nobody."""

FINAL = frozenset({"completed", "busy", "failed", "no-answer", "canceled"})
"""CallStatus values of a call that is over: its answer is fetched and not run."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What an action request says of the document that ended.

    `turn` is the number its URL carried: 0 for the plain Dial the application wrote.
    """

    turn: int = 0
    call_status: str = "in-progress"
    queue_result: str | None = None
    dial_status: str | None = None

    @property
    def hung_up(self) -> bool:
        """Whether the asking call is over."""
        return self.call_status in FINAL or self.queue_result == "hangup"

    @property
    def superseded(self) -> bool:
        """Whether the asking call was itself redirected, so that nobody will run the answer."""
        return self.queue_result in ("redirected", "redirected-from-bridged")


@dataclass(frozen=True, slots=True, kw_only=True)
class Continued:
    """The answer to a continuation, and what follows from it."""

    pair: Pair
    answer: Document
    steps: tuple[LegStep, ...] = ()
    gone: CallSid | None = None
    """This call turned out to be over."""
    not_taken: CallSid | None = None
    """This call was to be taken from its queue and was not."""
    not_queued: CallSid | None = None
    """The account would not let this call wait in its queue."""
    music_failed: str | None = None
    """This music could not be heard, and the account's own takes its place."""


def continued(pair: Pair, call: CallSid, report: Report) -> Continued:
    """Where a party goes on, whose document came to its end."""
    me, other = pair.me(call), pair.other(call)
    if report.hung_up:
        plan = planner.gone(pair, call)
        return Continued(pair=plan.pair, answer=HangUp(), steps=plan.steps, gone=call)
    stale = report.superseded or report.turn < me.turn
    if pair.over and not stale:
        gone_on = pair.put(replace(me, place=Place.GONE, held=False, arriving=False))
        return Continued(pair=gone_on, answer=onward(pair, call))
    if stale:
        # It may be on its way to the room by a redirect; the answer takes it there just as well.
        seen = pair.put(replace(me, arriving=False)) if me.place is Place.ROOM else pair
        return Continued(pair=seen, answer=document(pair, call))
    if me.held and report.queue_result in MUSIC_FAILED and me.music is not None:
        plain = pair.put(replace(me, music=None))
        return Continued(pair=plain, answer=document(plain, call), music_failed=me.music)
    if me.held and report.queue_result in QUEUE_REFUSED:
        plan = planner.fall_back(pair, call, answered=True)
        return Continued(pair=plan.pair, answer=document(plan.pair, call), steps=plan.steps, not_queued=call)
    if me.arriving and me.turn < pair.turn:
        arrived = replace(me, turn=pair.turn, arriving=me.place is not Place.PARKED)
        moved = pair.put(arrived)
        return Continued(pair=moved, answer=document(moved, call))
    if me.place is Place.TAKING and report.dial_status in NOT_TAKEN:
        return Continued(pair=planner.held_again(pair, other.call), answer=park_for(other), not_taken=other.call)
    plan = planner.gone(pair, call)
    return Continued(pair=plan.pair, answer=onward(plan.pair, call), steps=plan.steps)
