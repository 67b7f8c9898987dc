"""Holding by independent legs, carried out: the plan recorded, then its steps, then seen to be so.

Continuations arrive while steps are under way; they change the pair through `answer`, and the work that waits for
them here is woken. A leg that is found gone lets the other go on.

Length: one class carries out one plan; its steps share the pair of legs and its lock.
"""

import logging

from holdfast.holds.errors import AccountRefused, AccountTrouble, AccountUnreachable, ResourceNotFound
from holdfast.holds.hold import CallOver, Fail, HoldConfirmed, HoldEnded, Message, StillHeld
from holdfast.holds.ids import CallSid, QueueSid
from holdfast.holds.legs import planner
from holdfast.holds.legs.conference_entry import Gathering
from holdfast.holds.legs.continuation import Continued, Report, continued
from holdfast.holds.legs.pair_index import PairIndex
from holdfast.holds.ports import AccountPort, ClockPort
from holdfast.holds.steps.account_steps import (
    CloseQueue,
    Document,
    LegStep,
    OpenQueue,
    RedirectCall,
    Refusal,
)
from holdfast.holds.steps.documents import Documents
from holdfast.holds.steps.pair import (
    Pair,
    Place,
    document,
    queue_of,
)
from holdfast.holds.timeouts import Timeouts

CLOSING_TRIES = 20

_log = logging.getLogger("holdfast.holds.legs")


class StepFailed(Exception):
    """A step the account did not take. `error` says why; `call` is whose redirect it was, if it was one."""

    def __init__(self, error: AccountTrouble, call: CallSid | None) -> None:
        super().__init__(error.message)
        self.error = error
        self.call = call

    @property
    def call_over(self) -> CallSid | None:
        """The call that turned out to be over, if that is why."""
        return self.call if isinstance(self.error, ResourceNotFound) else None

    @property
    def unsure(self) -> bool:
        """Whether the step may have been taken all the same."""
        if isinstance(self.error, AccountRefused):
            return self.error.status >= 500
        return not isinstance(self.error, AccountUnreachable)


class LegsExecutor:
    """The legs way, on one account."""

    def __init__(
        self, account: AccountPort, clock: ClockPort, patience: Timeouts, documents: Documents, pairs: PairIndex
    ) -> None:
        self._account = account
        self._clock = clock
        self._patience = patience
        self._documents = documents
        self._pairs = pairs
        self._queues: dict[str, QueueSid] = {}
        self._closing: dict[QueueSid, int] = {}
        self._gathering = Gathering(account, pairs)
        self.taken_over: set[CallSid] = set()
        """Calls that another service held: once back, their queue is removed, by which that service sees it."""

    # What the service asks for, one thing at a time per pair.

    async def hold(self, call: CallSid, music: str | None, *, limit_s: float | None) -> Message:
        """Hold one party of a known pair; what to tell the hold.

        Raises: AccountTrouble when it was asked for and cannot be seen.
        """
        before = self._known(call)
        plan = planner.hold(before, call, music=music, limit_s=limit_s)
        if isinstance(plan, Refusal):
            return CallOver(why=plan.why) if plan.gone else Fail(why=plan.why)
        await self._pairs.put(plan.pair)
        made = False
        for limit_s in (self._patience.settle_s / 2, self._patience.settle_s):
            try:
                await self._take(plan.steps)
                made = True
            except StepFailed as failed:
                if failed.call_over is not None:
                    await self.gone(failed.call_over)
                    return self._lost(call)
                if not failed.unsure:
                    await self._take_back(before, plan.pair, call)
                    return Fail(why=failed.error.message)
            pair = await self._until_settled(call, limit_s)
            if pair is None or pair.over:
                return self._lost(call)
            if not pair.me(call).held:
                return Fail(why="the account let the call wait in no queue")
            if not pair.me(call).arriving:
                late = None if pair.settled() else "the other party has not come to be parked"
                return HoldConfirmed(detail=late)
            for one in (call, pair.other(call).call):
                seen = await self._account.call(one)
                if seen is None or not seen.live:
                    await self.gone(one)
                    return self._lost(call)
        current = self._pairs.of(call)
        if not made:
            # Neither continuation nor queue has seen anybody: nothing was moved.
            await self._take_back(before, plan.pair, call)
        elif current is not None and not current.over:
            await self._carry(planner.fall_back(current, call))
        return Fail(why="the call did not come to wait in its queue")

    async def resume(self, call: CallSid) -> Message:
        """Bring one party of a known pair back; what to tell the hold.

        Raises: AccountTrouble when it was asked for and cannot be seen.
        """
        before = self._known(call)
        plan = planner.resume(before, call)
        if isinstance(plan, Refusal):
            return CallOver(why=plan.why)
        await self._pairs.put(plan.pair)
        why, unsure = "nobody took the call from its queue", False
        for _ in range(2):
            try:
                await self._take(plan.steps)
                unsure = False
            except StepFailed as failed:
                if failed.call_over is not None:
                    await self.gone(failed.call_over)
                    return self._let_go(call, left=failed.call_over)
                why, unsure = failed.error.message, failed.unsure
                if not unsure:
                    await self._take_back(before, plan.pair, call)
                    return StillHeld(why=why)
            if await self._left_queue(call):
                seen = await self._account.call(call)
                if seen is None or not seen.live:
                    await self.gone(call)
                    return CallOver(why="the call is over")
                await self._taken(call)
                return HoldEnded()
            pair = self._pairs.of(call)
            if pair is None or pair.over:
                return self._let_go(call, left=None)
            # Held again: the other's Dial came back without anybody.
            if pair.me(call).held or not unsure:
                break
        current = self._pairs.of(call)
        if current is not None and not current.over and not current.me(call).held:
            await self._carry(planner.give_up(current, call))
        return StillHeld(why=why)

    async def convert(self, pair: Pair) -> CallOver | Fail | None:
        """Move a pair's plain Dial into a conference; None when both are there, or what to tell the hold."""
        plan = planner.convert(pair)
        if isinstance(plan, Refusal):
            return CallOver(why=plan.why) if plan.gone else Fail(why=plan.why)
        await self._pairs.put(plan.pair)
        try:
            await self._take(plan.steps)
        except StepFailed as failed:
            if failed.call_over is not None:
                await self.gone(failed.call_over)
                return Fail(why=f"{failed.call_over} has hung up")
            if not failed.unsure:
                await self._take_back(pair, plan.pair, pair.child.call)
                return Fail(why=failed.error.message)
        return None

    async def gone(self, call: CallSid) -> None:
        """Act on it that this call is over: the other one goes on."""
        pair = self._pairs.of(call)
        if pair is not None:
            await self._carry(planner.gone(pair, call))

    async def tidy(self) -> None:
        """Finish what is left of pairs that are over, and of their queues."""
        for pair in self._pairs.all():
            if pair.over:
                for party in planner.expected(pair):
                    seen = await self._account.call(party.call)
                    if seen is None or not seen.live:
                        pair = planner.gone(pair, party.call).pair
                await self._carry(planner.leftovers(pair))
                continue
            for again in await self._gathering.look(pair):
                seen = await self._account.call(again.call)
                if seen is None or not seen.live:
                    await self.gone(again.call)
                    break
                await self._carry(planner.Plan(pair=self._pairs.of(again.call) or pair, steps=(again,)))
        for queue, tries in tuple(self._closing.items()):
            await self._close(queue, tries)

    async def waits(self, call: CallSid) -> bool:
        """Whether the account shows this call in its queue."""
        name = queue_of(call)
        queue = self._queues.get(name) or await self._account.find_queue(name)
        if queue is None:
            return False
        self._queues[name] = queue
        return await self._account.waits(queue, call)

    async def taken_elsewhere(self, call: CallSid) -> bool:
        """Whether another service brought this call back: its queue, which we would keep, is not there any more."""
        return await self._account.find_queue(queue_of(call)) is None

    async def shown(self, call: CallSid) -> bool | None:
        """Whether this call is on hold now; None when it is over. What was left in the middle is put straight."""
        if await self.waits(call):
            pair = self._pairs.of(call)
            if pair is not None and not pair.over:
                if pair.me(call).held:
                    await self._pairs.put(planner.seen_waiting(pair, call))
                else:
                    await self._carry(planner.give_up(pair, call))
            return True
        seen = await self._account.call(call)
        if seen is None or not seen.live:
            return None
        await self._taken(call)
        return False

    async def _taken(self, call: CallSid) -> None:
        pair = self._pairs.of(call)
        if pair is not None:
            await self._pairs.put(planner.seen_taken(pair, call))
        if call in self.taken_over:
            self.taken_over.discard(call)
            await self._carry_close(queue_of(call))

    # What webhooks tell.

    async def answer(self, call: CallSid, report: Report) -> Continued | None:
        """What a call does whose document ended; None when its pair is not known."""
        pair = self._pairs.of(call)
        if pair is None:
            return None
        result = continued(pair, call, report)
        await self._pairs.put(result.pair)
        return result

    async def follow(self, call: CallSid, result: Continued) -> None:
        """Do what follows from an answer that was given, if nobody has done it meanwhile."""
        pair = self._pairs.of(call)
        if pair is None:
            return
        if pair.over:
            await self._carry(planner.leftovers(pair))
        elif result.not_queued is not None:
            late = tuple(
                step for step in result.steps if not isinstance(step, RedirectCall) or pair.me(step.call).arriving
            )
            await self._carry(planner.Plan(pair=pair, steps=late))

    async def seen_waiting(self, call: CallSid, queue: QueueSid | None) -> str | None:
        """Take note that a call asks for its hold sound, and so waits; the music it is to hear."""
        pair = self._pairs.of(call)
        if pair is None:
            return None
        if queue is not None:
            self._queues[queue_of(call)] = queue
        await self._pairs.put(planner.seen_waiting(pair, call))
        return pair.me(call).music

    def document(self, call: CallSid) -> Document | None:
        """What this call is to do now, as its pair stands."""
        pair = self._pairs.of(call)
        return None if pair is None else document(pair, call)

    # Steps.

    async def _carry(self, plan: planner.Plan) -> None:
        """Make a plan so as far as it goes; a pair that is over is forgotten once nobody is left behind."""
        await self._pairs.put(plan.pair)
        done = True
        for step in plan.steps:
            try:
                await self._take((step,))
            except StepFailed as failed:
                if failed.call_over is None:
                    done = False
                    _log.warning("call=%s fact=StepNotTaken why=%s", failed.call, failed.error.message)
                    if plan.pair.over:
                        continue
                    # A parent is not moved while its child may not have been.
                    break
            if isinstance(step, RedirectCall):
                await self._went_on(step.call)
        pair = self._pairs.of(plan.pair.parent.call)
        if done and pair is not None and pair.over and not planner.expected(pair):
            await self._pairs.forget(pair)

    async def _went_on(self, call: CallSid) -> None:
        """Take note that a party of a pair that is over was sent on, so that it is not sent again."""
        pair = self._pairs.of(call)
        if pair is not None and pair.over:
            await self._pairs.put(planner.gone(pair, call).pair)

    async def _take(self, steps: tuple[LegStep, ...]) -> None:
        for step in steps:
            call = step.call if isinstance(step, RedirectCall) else None
            try:
                match step:
                    case OpenQueue(name=name):
                        await self._queue(name)
                    case RedirectCall(call=target, to=to):
                        pair = self._pairs.of(target)
                        after = pair.after if pair is not None and pair.parent.call == target else None
                        await self._account.redirect(target, twiml=self._documents.write(to, after=after))
                    case CloseQueue(name=name):
                        await self._carry_close(name)
            except AccountTrouble as error:
                raise StepFailed(error, call) from error

    async def _carry_close(self, name: str) -> None:
        if name in self._pairs.left_behind:
            # Its SID went with the run that opened it: this finds it, or opens one to be closed.
            self._pairs.left_behind.remove(name)
            await self._queue(name)
        queue = self._queues.pop(name, None)
        if queue is not None:
            await self._close(queue, 0)

    async def _queue(self, name: str) -> QueueSid:
        known = self._queues.get(name)
        if known is None:
            known = self._queues[name] = await self._account.open_queue(name)
            self._closing.pop(known, None)
        return known

    async def _close(self, queue: QueueSid, tries: int) -> None:
        """Remove a queue, now or at a later tidying: an account keeps one that somebody is still leaving."""
        self._closing.pop(queue, None)
        try:
            await self._account.close_queue(queue)
        except AccountTrouble as error:
            if tries + 1 < CLOSING_TRIES:
                self._closing[queue] = tries + 1
            else:
                _log.warning("queue=%s fact=QueueNotClosed why=%s", queue, error.message)

    async def _take_back(self, before: Pair, planned: Pair, call: CallSid) -> None:
        current = self._pairs.of(planned.parent.call)
        if current is not None:
            await self._carry(planner.undo(before, planned, current, call))

    # Seeing that it is so.

    async def _until_settled(self, call: CallSid, limit_s: float) -> Pair | None:
        """The pair once both were seen where they belong, or as it stands when the time is up."""
        for pause_s in self._patience.looks(limit_s):
            pair = self._pairs.of(call)
            if pair is None or pair.over or pair.settled() or not pair.me(call).held:
                return pair
            if await self._clock.wait(self._pairs.news(pair), timeout_s=pause_s):
                continue
            if pair.me(call).arriving and await self._seen_in_queue(call):
                current = self._pairs.of(call)
                if current is not None:
                    await self._pairs.put(planner.seen_waiting(current, call))
        return self._pairs.of(call)

    async def _left_queue(self, call: CallSid) -> bool:
        """Whether the call leaves its queue while we look."""
        for pause_s in self._patience.looks(self._patience.settle_s):
            pair = self._pairs.of(call)
            if pair is None or pair.over or pair.me(call).held:
                return False
            await self._clock.wait(self._pairs.news(pair), timeout_s=pause_s)
            if await self._seen_in_queue(call) is False:
                return True
        return False

    async def _seen_in_queue(self, call: CallSid) -> bool | None:
        """Whether the account shows this call in its queue; None when it does not answer just now."""
        try:
            return await self.waits(call)
        except AccountTrouble as error:
            _log.info("call=%s fact=QueueNotRead why=%s", call, error.message)
            return None

    def _known(self, call: CallSid) -> Pair:
        pair = self._pairs.of(call)
        if pair is None:
            raise ResourceNotFound(f"the conversation of {call} is over", status=404)
        return pair

    def _lost(self, call: CallSid) -> Message:
        """What became of a hold whose conversation ended under it."""
        pair = self._pairs.of(call)
        if pair is not None and pair.me(call).place is not Place.GONE:
            return Fail(why="the other party has hung up")
        return CallOver(why="the conversation is over")

    def _let_go(self, call: CallSid, *, left: CallSid | None) -> Message:
        """What became of a resume whose conversation ended under it."""
        pair = self._pairs.of(call)
        if left == call or (pair is not None and pair.me(call).place is Place.GONE):
            return CallOver(why="the call is over")
        return HoldEnded(why="the other party has hung up; the call went on to what comes after")
