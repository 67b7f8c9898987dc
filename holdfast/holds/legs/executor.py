"""This module carries out holds by legs: record the plan, take its steps, then confirm the result.

Continuations arrive while steps are in progress; they change the pair through `continue_call`, and the work that waits
for them here is notified. When one leg is over, the other is released.
"""

import logging
from typing import assert_never

from holdfast.holds.clock import Timeouts
from holdfast.holds.errors import AccountError, AccountRefused, AccountUnreachable, ResourceNotFound
from holdfast.holds.hold import CallEnded, Fail, HoldConfirmed, HoldEnded, Message, StillHeld
from holdfast.holds.ids import CallSid, QueueSid
from holdfast.holds.legs import planner
from holdfast.holds.legs.conference_entry import ConferenceEntry
from holdfast.holds.legs.continuation import ContinuationRequest, ContinuationResult, continue_call
from holdfast.holds.legs.pair_index import PairIndex
from holdfast.holds.legs.wait_queues import WaitQueues
from holdfast.holds.ports import AccountPort, ClockPort, is_live
from holdfast.holds.steps.account_steps import (
    CloseQueue,
    Document,
    LegStep,
    OpenQueue,
    RedirectLeg,
    Refusal,
)
from holdfast.holds.steps.documents import Documents
from holdfast.holds.steps.pair import (
    LegState,
    Pair,
    current_document,
    queue_name,
)

_log = logging.getLogger("holdfast.holds.legs")


class StepFailed(Exception):
    """The account did not carry out a step.

    `error` says why; `call` is the redirected call, if the step was a redirect.
    """

    def __init__(self, error: AccountError, call: CallSid | None) -> None:
        super().__init__(error.message)
        self.error = error
        self.call = call

    @property
    def ended_call(self) -> CallSid | None:
        """Return the call that is over, if that is the reason."""
        return self.call if isinstance(self.error, ResourceNotFound) else None

    @property
    def uncertain(self) -> bool:
        """Return whether the account may have carried out the step all the same."""
        if isinstance(self.error, AccountRefused):
            return self.error.status >= 500
        return not isinstance(self.error, AccountUnreachable)


class LegsExecutor:
    """A legs executor holds and resumes parties by their two legs, on one account."""

    def __init__(
        self, account: AccountPort, clock: ClockPort, timeouts: Timeouts, documents: Documents, pairs: PairIndex
    ) -> None:
        self._account = account
        self._clock = clock
        self._timeouts = timeouts
        self._documents = documents
        self._pairs = pairs
        self.queues = WaitQueues(account, pairs.leftover_queues)
        self._conference_entry = ConferenceEntry(account, pairs)
        self.taken_over: set[CallSid] = set()
        """Calls that another service held: after the resume we remove their queue, so that it sees the change."""

    # Requests of the service, one at a time per pair.

    async def hold(
        self, call: CallSid, music: str | None, *, limit_s: float | None
    ) -> HoldConfirmed | CallEnded | Fail:
        """Hold one party of a known pair, and return the message for its hold.

        Raises: AccountError when the change was requested and cannot be confirmed.
        """
        before = self._require_pair(call)
        plan = planner.hold(before, call, music=music, limit_s=limit_s)
        if isinstance(plan, Refusal):
            return CallEnded(why=plan.why) if plan.call_ended else Fail(why=plan.why)
        await self._pairs.put(plan.pair)
        made = False
        for limit_s in (self._timeouts.confirmation_s / 2, self._timeouts.confirmation_s):
            try:
                await self._execute(plan.steps)
                made = True
            except StepFailed as failed:
                if failed.ended_call is not None:
                    await self.handle_call_ended(failed.ended_call)
                    return self._hold_outcome(call)
                if not failed.uncertain:
                    await self._roll_back(before, plan.pair, call)
                    return Fail(why=failed.error.message)
            pair = await self._wait_confirmed(call, limit_s)
            if pair is None or pair.over:
                return self._hold_outcome(call)
            if not pair.party(call).held:
                return Fail(why="the account let the call wait in no queue")
            if not pair.party(call).unconfirmed:
                late = None if pair.confirmed() else "the other party has not come to be parked"
                return HoldConfirmed(detail=late)
            for leg in (call, pair.other(call).call):
                if not await is_live(self._account, leg):
                    await self.handle_call_ended(leg)
                    return self._hold_outcome(call)
        current = self._pairs.of(call)
        if not made:
            # Neither a continuation nor the queue has seen the call: no leg was moved.
            await self._roll_back(before, plan.pair, call)
        elif current is not None and not current.over:
            await self._execute_plan(planner.fall_back(current, call))
        return Fail(why="the call did not come to wait in its queue")

    async def resume(self, call: CallSid) -> Message:
        """Resume one party of a known pair, and return the message for its hold.

        Raises: AccountError when the change was requested and cannot be confirmed.
        """
        before = self._require_pair(call)
        plan = planner.resume(before, call)
        if isinstance(plan, Refusal):
            return CallEnded(why=plan.why)
        await self._pairs.put(plan.pair)
        why, uncertain = "no party took the call from its queue", False
        for _ in range(2):
            try:
                await self._execute(plan.steps)
                uncertain = False
            except StepFailed as failed:
                if failed.ended_call is not None:
                    await self.handle_call_ended(failed.ended_call)
                    return self._resume_outcome(call, left=failed.ended_call)
                why, uncertain = failed.error.message, failed.uncertain
                if not uncertain:
                    await self._roll_back(before, plan.pair, call)
                    return StillHeld(why=why)
            if await self._wait_left_queue(call):
                if not await is_live(self._account, call):
                    await self.handle_call_ended(call)
                    return CallEnded(why="the call is over")
                await self._confirm_joined(call)
                return HoldEnded()
            pair = self._pairs.of(call)
            if pair is None or pair.over:
                return self._resume_outcome(call, left=None)
            # Held again: the other's Dial ended without a member.
            if pair.party(call).held or not uncertain:
                break
        current = self._pairs.of(call)
        if current is not None and not current.over and not current.party(call).held:
            await self._execute_plan(planner.abandon_resume(current, call))
        return StillHeld(why=why)

    async def convert(self, pair: Pair) -> CallEnded | Fail | None:
        """Move a pair's plain Dial into a conference; return None on success, else the message for the hold."""
        plan = planner.convert(pair)
        if isinstance(plan, Refusal):
            return CallEnded(why=plan.why) if plan.call_ended else Fail(why=plan.why)
        await self._pairs.put(plan.pair)
        try:
            await self._execute(plan.steps)
        except StepFailed as failed:
            if failed.ended_call is not None:
                await self.handle_call_ended(failed.ended_call)
                return Fail(why=f"{failed.ended_call} has hung up")
            if not failed.uncertain:
                await self._roll_back(pair, plan.pair, pair.child.call)
                return Fail(why=failed.error.message)
        return None

    async def handle_call_ended(self, call: CallSid) -> None:
        """Handle the end of a call: release the other party."""
        pair = self._pairs.of(call)
        if pair is not None:
            await self._execute_plan(planner.party_left(pair, call))

    async def clean_up(self) -> None:
        """Finish what is left of pairs that are over, and of their queues."""
        for pair in self._pairs.all():
            if pair.over:
                for party in planner.awaiting_request(pair):
                    if not await is_live(self._account, party.call):
                        pair = planner.party_left(pair, party.call).pair
                await self._execute_plan(planner.cleanup(pair))
                continue
            for again in await self._conference_entry.check(pair):
                if not await is_live(self._account, again.call):
                    await self.handle_call_ended(again.call)
                    break
                await self._execute_plan(planner.Plan(pair=self._pairs.of(again.call) or pair, steps=(again,)))
        await self.queues.retry()

    async def shows_hold(self, call: CallSid) -> bool | None:
        """Return whether this call is on hold now; None when it is over.

        Completes what was interrupted.
        """
        if await self.queues.holds(call):
            pair = self._pairs.of(call)
            if pair is not None and not pair.over:
                if pair.party(call).held:
                    await self._pairs.put(planner.confirm_waiting(pair, call))
                else:
                    await self._execute_plan(planner.abandon_resume(pair, call))
            return True
        if not await is_live(self._account, call):
            return None
        await self._confirm_joined(call)
        return False

    async def _confirm_joined(self, call: CallSid) -> None:
        pair = self._pairs.of(call)
        if pair is not None:
            await self._pairs.put(planner.confirm_joined(pair, call))
        if call in self.taken_over:
            self.taken_over.discard(call)
            await self.queues.close(queue_name(call))

    # Webhooks.

    async def continue_call(self, call: CallSid, report: ContinuationRequest) -> ContinuationResult | None:
        """Return what a call does after its document ended; None when its pair is not known."""
        pair = self._pairs.of(call)
        if pair is None:
            return None
        result = continue_call(pair, call, report)
        await self._pairs.put(result.pair)
        return result

    async def apply_continuation(self, call: CallSid, result: ContinuationResult) -> None:
        """Carry out what follows from a continuation, unless it has been done meanwhile."""
        pair = self._pairs.of(call)
        if pair is None:
            return
        if pair.over:
            await self._execute_plan(planner.cleanup(pair))
        elif result.not_queued is not None:
            late = tuple(
                step for step in result.steps if not isinstance(step, RedirectLeg) or pair.party(step.call).unconfirmed
            )
            await self._execute_plan(planner.Plan(pair=pair, steps=late))

    async def confirm_waiting(self, call: CallSid, queue: QueueSid | None) -> str | None:
        """Record that a call asks for its hold music, and so waits; return the music for it."""
        pair = self._pairs.of(call)
        if pair is None:
            return None
        if queue is not None:
            self.queues.remember(call, queue)
        await self._pairs.put(planner.confirm_waiting(pair, call))
        return pair.party(call).music

    def document(self, call: CallSid) -> Document | None:
        """Return the current document of this call, by the state of its pair."""
        pair = self._pairs.of(call)
        return None if pair is None else current_document(pair, call)

    # Steps.

    async def _execute_plan(self, plan: planner.Plan) -> None:
        """Carry out a plan as far as possible; remove a pair that is over once both parties are released."""
        await self._pairs.put(plan.pair)
        done = True
        for step in plan.steps:
            try:
                await self._execute((step,))
            except StepFailed as failed:
                if failed.ended_call is None:
                    done = False
                    _log.warning("call=%s fact=StepNotTaken why=%s", failed.call, failed.error.message)
                    if plan.pair.over:
                        continue
                    # A parent is not moved while its child may not have been.
                    break
            if isinstance(step, RedirectLeg):
                await self._mark_released(step.call)
        pair = self._pairs.of(plan.pair.parent.call)
        if done and pair is not None and pair.over and not planner.awaiting_request(pair):
            await self._pairs.forget(pair)

    async def _mark_released(self, call: CallSid) -> None:
        """Record that a party of a pair that is over was redirected, so that it is not redirected again."""
        pair = self._pairs.of(call)
        if pair is not None and pair.over:
            await self._pairs.put(planner.party_left(pair, call).pair)

    async def _execute(self, steps: tuple[LegStep, ...]) -> None:
        for step in steps:
            call = step.call if isinstance(step, RedirectLeg) else None
            try:
                match step:
                    case OpenQueue(name=name):
                        await self.queues.open(name)
                    case RedirectLeg(call=target, document=to):
                        pair = self._pairs.of(target)
                        after = pair.after if pair is not None and pair.parent.call == target else None
                        await self._account.redirect(target, twiml=self._documents.write(to, after=after))
                    case CloseQueue(name=name):
                        await self.queues.close(name)
                    case _:
                        assert_never(step)
            except AccountError as error:
                raise StepFailed(error, call) from error

    async def _roll_back(self, before: Pair, planned: Pair, call: CallSid) -> None:
        current = self._pairs.of(planned.parent.call)
        if current is not None:
            await self._execute_plan(planner.undo(before, planned, current, call))

    # Confirmation.

    async def _wait_confirmed(self, call: CallSid, limit_s: float) -> Pair | None:
        """Return the pair once both parties were seen where they belong, or as it is after the timeout."""
        for pause_s in self._timeouts.poll_intervals(limit_s):
            pair = self._pairs.of(call)
            if pair is None or pair.over or pair.confirmed() or not pair.party(call).held:
                return pair
            if await self._clock.wait(self._pairs.changed(pair), timeout_s=pause_s):
                continue
            if pair.party(call).unconfirmed and await self._poll_queued(call):
                current = self._pairs.of(call)
                if current is not None:
                    await self._pairs.put(planner.confirm_waiting(current, call))
        return self._pairs.of(call)

    async def _wait_left_queue(self, call: CallSid) -> bool:
        """Poll until the call leaves its queue, and return whether it did."""
        for pause_s in self._timeouts.poll_intervals(self._timeouts.confirmation_s):
            pair = self._pairs.of(call)
            if pair is None or pair.over or pair.party(call).held:
                return False
            await self._clock.wait(self._pairs.changed(pair), timeout_s=pause_s)
            if await self._poll_queued(call) is False:
                return True
        return False

    async def _poll_queued(self, call: CallSid) -> bool | None:
        """Return whether the account shows this call in its queue; None when the account does not respond."""
        try:
            return await self.queues.holds(call)
        except AccountError as error:
            _log.info("call=%s fact=QueueNotRead why=%s", call, error.message)
            return None

    def _require_pair(self, call: CallSid) -> Pair:
        pair = self._pairs.of(call)
        if pair is None:
            raise ResourceNotFound(f"the conversation of {call} is over", status=404)
        return pair

    def _hold_outcome(self, call: CallSid) -> CallEnded | Fail:
        """Return the message for a hold whose conversation ended meanwhile."""
        pair = self._pairs.of(call)
        if pair is not None and pair.party(call).state is not LegState.GONE:
            return Fail(why="the other party has hung up")
        return CallEnded(why="the conversation is over")

    def _resume_outcome(self, call: CallSid, *, left: CallSid | None) -> Message:
        """Return the message for a resume whose conversation ended meanwhile."""
        pair = self._pairs.of(call)
        if left == call or (pair is not None and pair.party(call).state is LegState.GONE):
            return CallEnded(why="the call is over")
        return HoldEnded(why="the other party has hung up; the call continued with its next document")
