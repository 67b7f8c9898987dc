"""This module decides what a leg does when its document ends: after a move of ours, or after the conversation.

The account asks in both cases alike; the generations recorded in the pair show which it is. The account also asks, and
discards the response, when we redirect the asking leg itself: that request changes nothing here.

Source: TwiML <Dial> action, <Enqueue> action; Twilio changelog 2021-05 on the action of a modified Dial.
"""

from dataclasses import dataclass, replace

from holdfast.holds.ids import CallSid
from holdfast.holds.legs import planner
from holdfast.holds.steps.account_steps import Document, EndLeg, LegStep
from holdfast.holds.steps.pair import (
    LegState,
    Pair,
    current_document,
    next_document,
    park_document,
)

QUEUE_REFUSED = frozenset({"queue-full", "error", "system-error"})
"""QueueResult values of a call that the queue did not accept. Source: TwiML <Enqueue> action parameters."""

MUSIC_FAILED = frozenset({"error", "system-error"})
"""Of these, the values that follow from a waitUrl which cannot be run or played."""

NOT_JOINED = frozenset({"no-answer", "failed", "busy", "canceled"})
"""DialCallStatus values of a `<Dial><Queue>` that joined no member."""

FINAL_STATUSES = frozenset({"completed", "busy", "failed", "no-answer", "canceled"})
"""CallStatus values of a call that is over: the account fetches its document and does not run it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ContinuationRequest:
    """A continuation request is what an action request says about the document that ended.

    `generation` is the number in its URL: 0 for the plain Dial of the application.
    """

    generation: int = 0
    call_status: str = "in-progress"
    queue_result: str | None = None
    dial_status: str | None = None

    @property
    def hung_up(self) -> bool:
        """Return whether the asking call is over."""
        return self.call_status in FINAL_STATUSES or self.queue_result == "hangup"

    @property
    def superseded(self) -> bool:
        """Return whether the asking call was itself redirected, so that the account discards the response."""
        return self.queue_result in ("redirected", "redirected-from-bridged")


@dataclass(frozen=True, slots=True, kw_only=True)
class ContinuationResult:
    """A continuation result is the document for the leg that asked, and what follows from it."""

    pair: Pair
    document: Document
    steps: tuple[LegStep, ...] = ()
    ended_call: CallSid | None = None
    """This call is over."""
    not_joined: CallSid | None = None
    """This call was to be taken from its queue and was not."""
    not_queued: CallSid | None = None
    """The account would not let this call wait in its queue."""
    music_failed: str | None = None
    """This music could not be played, and the account's own takes its place."""


def continue_call(pair: Pair, call: CallSid, report: ContinuationRequest) -> ContinuationResult:
    """Decide what a party does next when its document has ended."""
    party, other = pair.party(call), pair.other(call)
    if report.hung_up:
        plan = planner.party_left(pair, call)
        return ContinuationResult(pair=plan.pair, document=EndLeg(), steps=plan.steps, ended_call=call)
    stale = report.superseded or report.generation < party.generation
    if pair.over and not stale:
        gone_on = pair.with_parties(replace(party, state=LegState.GONE, held=False, unconfirmed=False))
        return ContinuationResult(pair=gone_on, document=next_document(pair, call))
    if stale:
        # It may be on its way to the room by a redirect; the response leads there just as well.
        seen = pair.with_parties(replace(party, unconfirmed=False)) if party.state is LegState.ROOM else pair
        return ContinuationResult(pair=seen, document=current_document(pair, call))
    if party.held and report.queue_result in MUSIC_FAILED and party.music is not None:
        plain = pair.with_parties(replace(party, music=None))
        return ContinuationResult(pair=plain, document=current_document(plain, call), music_failed=party.music)
    if party.held and report.queue_result in QUEUE_REFUSED:
        plan = planner.fall_back(pair, call, answered=True)
        return ContinuationResult(
            pair=plan.pair, document=current_document(plan.pair, call), steps=plan.steps, not_queued=call
        )
    if party.unconfirmed and party.generation < pair.generation:
        arrived = replace(party, generation=pair.generation, unconfirmed=party.state is not LegState.PARKED)
        moved = pair.with_parties(arrived)
        return ContinuationResult(pair=moved, document=current_document(moved, call))
    if party.state is LegState.TAKING and report.dial_status in NOT_JOINED:
        return ContinuationResult(
            pair=planner.restore_hold(pair, other.call), document=park_document(other), not_joined=other.call
        )
    plan = planner.party_left(pair, call)
    return ContinuationResult(pair=plan.pair, document=next_document(plan.pair, call), steps=plan.steps)
