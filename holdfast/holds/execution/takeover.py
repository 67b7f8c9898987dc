"""This module takes over holds of another service, or of an earlier run without a store, as the account shows them.

A conference shows all that is needed. Of two legs the account shows that a call waits in a queue whose name a hold gave
it, and which call was the other end of its Dial; it does not show where the parent was to continue after the
conversation.
"""

from dataclasses import dataclass

from holdfast.holds.account.snapshots import CallSnapshot
from holdfast.holds.conference.executor import ConferenceExecutor
from holdfast.holds.errors import AccountError, HoldFailed, HoldRefused, HoldsError, NotAllowed
from holdfast.holds.history.hold_log import HoldLog
from holdfast.holds.hold import Begin, Fail, Hold, HoldConfirmed, HoldParty, WayName, open_hold
from holdfast.holds.ids import CallSid, HoldId
from holdfast.holds.legs.executor import LegsExecutor
from holdfast.holds.legs.pair_index import PairIndex
from holdfast.holds.policy import Policy, why_not_resume
from holdfast.holds.ports import AccountPort
from holdfast.holds.steps.pair import (
    LegState,
    Pair,
    Party,
    queue_name,
)

HELD_ELSEWHERE = "another service held the party"
HELD_BY_LEGS = "the party is on hold by two legs, by another service"
RESUME_THERE = "Resume it where it was held, or call the party again."


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownHold:
    """A shown hold is one that the account shows and that we do not know; `pair` when it is by two legs."""

    begin: Begin
    pair: Pair | None = None


class Takeover:
    """A takeover finds holds of other services on one account, and gives their calls our documents."""

    def __init__(
        self,
        account: AccountPort,
        hold_log: HoldLog,
        policy: Policy,
        conferences: ConferenceExecutor,
        legs: LegsExecutor | None,
        pairs: PairIndex,
    ) -> None:
        self._account = account
        self._hold_log = hold_log
        self._policy = policy
        self._conferences = conferences
        self._legs = legs
        self._pairs = pairs

    async def take_over(self, call: CallSid, *, by: str | None) -> Hold | None:
        """Take over the hold of another service; return None when the account shows none. Raises as `Holds.resume`.

        Precondition: the caller has the lock of the call.
        """
        existing = self._hold_log.of_call(call)
        if existing is not None:
            return existing
        shown = await self._find(call)
        if shown is None:
            return None
        unowned, _ = open_hold(id=HoldId(""), call=call, now=0.0)
        denial = why_not_resume(self._policy, unowned, by)
        if denial is not None:
            raise NotAllowed(denial)
        hold = await self._hold_log.open(call)
        hold, effects = await self._hold_log.handle(hold.id, shown.begin)
        if HoldParty() in effects:
            try:
                confirmed = await self._adopt(call, shown)
            except HoldsError as error:
                await self._hold_log.handle(hold.id, Fail(why=error.message))
                error.hold = hold.id
                raise
            hold, _ = await self._hold_log.handle(hold.id, confirmed)
        return hold

    async def _find(self, call: CallSid) -> ShownHold | None:
        """Return the hold of this call that the account shows; None when it is not on hold.

        Raises: AccountError; HoldRefused when it is on a hold that cannot be taken over.
        """
        found = await self._conferences.find(call)
        if found is not None:
            sid = found.room.conference.sid
            return ShownHold(begin=Begin(way=WayName.CONFERENCE, conference=sid)) if found.participant.hold else None
        waiting = {name: sid for sid, name in await self._account.queues()}
        name = queue_name(call)
        if name not in waiting or call not in await self._account.members(waiting[name]):
            return None
        other = await self._other_end(call)
        if other is None:
            raise HoldRefused(
                f"{HELD_BY_LEGS}, and the account does not show which party it talked to", fix=RESUME_THERE
            )
        if self._legs is None:
            raise HoldRefused(
                f"{HELD_BY_LEGS}, and the account cannot reach this service",
                fix=f"Give Holds(…, public_url=…). {RESUME_THERE}",
            )
        party = Party(call=call, state=LegState.JOINED)
        # While this call is held, the other talks to no party: it is parked, or held as well.
        if queue_name(other.sid) in waiting:
            peer = Party(call=other.sid, state=LegState.WAITING, held=True)
        else:
            peer = Party(call=other.sid, state=LegState.PARKED)
        pair = Pair(parent=party, child=peer) if other.parent == call else Pair(parent=peer, child=party)
        return ShownHold(begin=Begin(way=WayName.LEGS, queue=name), pair=pair)

    async def _adopt(self, call: CallSid, shown: ShownHold) -> HoldConfirmed:
        """Let the party wait by our documents, so that it can be moved. Raises: HoldFailed, AccountError."""
        if shown.pair is not None and self._legs is not None:
            await self._pairs.put(shown.pair)
            try:
                outcome = await self._legs.hold(call, None, limit_s=None)
            except AccountError:
                await self._discard(call, self._legs)
                raise
            if not isinstance(outcome, HoldConfirmed):
                await self._discard(call, self._legs)
                raise HoldFailed(f"the hold of another service could not be taken over: {outcome.why}")
            self._legs.taken_over.add(call)
        return HoldConfirmed(detail=HELD_ELSEWHERE)

    async def _discard(self, call: CallSid, legs: LegsExecutor) -> None:
        """Remove the pair again, so that the next attempt reads the account again.

        A pair that fell back into a conference stays: without its queue the other service sees that it is ours now.
        """
        pair = self._pairs.of(call)
        if pair is None or pair.over:
            return
        if pair.room is None:
            await self._pairs.forget(pair)
        else:
            await legs.queues.close(queue_name(call))

    async def _other_end(self, call: CallSid) -> CallSnapshot | None:
        """Return the other end of the Dial that joined this call, if it is still talking."""
        seen = await self._account.call(call)
        if seen is None:
            return None
        if seen.parent is not None:
            parent = await self._account.call(seen.parent)
            return parent if parent is not None and parent.talking else None
        children = [child for child in await self._account.calls(parent=call) if child.talking]
        return children[0] if len(children) == 1 else None
