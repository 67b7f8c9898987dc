"""This module works on one hold: begin it, resume it, reconcile it with what the account shows.

Precondition: the caller has the lock of the call.
"""

from contextlib import AbstractAsyncContextManager

from holdfast.holds.concurrency.keyed_locks import KeyedLocks
from holdfast.holds.conference.executor import ConferenceExecutor
from holdfast.holds.errors import AccountError, CallNotInProgress, HoldFailed, HoldRefused, HoldsError, OutcomeUnknown
from holdfast.holds.execution.way_selection import InConference, InPair, WaySelector
from holdfast.holds.history.hold_log import HoldLog
from holdfast.holds.hold import (
    Begin,
    CallEnded,
    Fail,
    Hold,
    HoldConfirmed,
    HoldEnded,
    Message,
    Refuse,
    Resume,
    Status,
    StillHeld,
    WayName,
)
from holdfast.holds.ids import CallSid
from holdfast.holds.legs.executor import LegsExecutor
from holdfast.holds.legs.pair_index import PairIndex
from holdfast.holds.ports import AccountPort
from holdfast.holds.steps.account_steps import Refusal
from holdfast.holds.steps.pair import queue_name


class HoldExecutor:
    """A hold executor carries holds out by the way that fits."""

    def __init__(
        self,
        account: AccountPort,
        hold_log: HoldLog,
        pairs: PairIndex,
        locks: KeyedLocks,
        conferences: ConferenceExecutor,
        legs: LegsExecutor | None,
        selector: WaySelector,
    ) -> None:
        self.account = account
        self.pairs = pairs
        self.conferences = conferences
        self.legs = legs
        self._hold_log = hold_log
        self._locks = locks
        self._selector = selector

    def lock(self, call: CallSid) -> AbstractAsyncContextManager[None]:
        """Acquire the lock of this call and of the one it talks to."""
        pair = self.pairs.of(call)
        return self._locks.lock(call if pair is None else pair.parent.call)

    async def begin(self, hold: Hold) -> Hold:
        """Hold the party. Raises as `Holds.hold`."""
        try:
            chosen = await self._selector.select(hold.call, owner=hold.by)
        except HoldsError as error:
            await self._hold_log.handle(hold.id, Fail(why=error.message))
            error.hold = hold.id
            raise
        try:
            message = await self._carry_out(hold, chosen)
        except AccountError as error:
            raise OutcomeUnknown(error.message, fix=error.fix, hold=hold.id) from error
        hold, _ = await self._hold_log.handle(hold.id, message)
        why = hold.cause or "no reason was given"
        match hold.status:
            case Status.REFUSED:
                raise HoldRefused(why, fix=chosen.fix if isinstance(chosen, Refusal) else None, hold=hold.id)
            case Status.GONE | Status.CALL_ENDED:
                raise CallNotInProgress(why, fix="GET /calls lists who is on the phone.", hold=hold.id)
            case Status.FAILED:
                raise HoldFailed(why, hold=hold.id)
            case _:
                return hold

    async def _carry_out(self, hold: Hold, chosen: InConference | InPair | Refusal) -> Message:
        match chosen:
            case Refusal(why=why, call_ended=call_ended):
                return CallEnded(why=why) if call_ended else Refuse(why=why)
            case InConference(found=found, owner_call=owner_call):
                sid = found.room.conference.sid
                await self._hold_log.handle(
                    hold.id, Begin(way=WayName.CONFERENCE, conference=sid, owner_call=owner_call)
                )
                return await self.conferences.hold(found.participant, hold.music)
            case InPair():
                await self._hold_log.handle(hold.id, Begin(way=WayName.LEGS, queue=queue_name(hold.call)))
                if self.legs is None:
                    return Fail(why=NO_PUBLIC_URL)
                return await self.legs.hold(hold.call, hold.music, limit_s=hold.limit_s)

    async def resume(self, hold: Hold, *, by: str | None, why: str | None) -> Hold:
        """Resume the party, for a person or for the policy. Raises: HoldFailed, OutcomeUnknown."""
        hold, _ = await self._hold_log.handle(hold.id, Resume(by=by, why=why))
        try:
            message = await self._resume(hold)
        except AccountError as error:
            raise OutcomeUnknown(error.message, fix=error.fix, hold=hold.id) from error
        if isinstance(message, HoldEnded) and message.why is None:
            message = HoldEnded(why=why)
        hold, _ = await self._hold_log.handle(hold.id, message)
        if hold.status is Status.HELD:
            raise HoldFailed(f"the party is held as before: {hold.cause}", hold=hold.id)
        return hold

    async def _resume(self, hold: Hold) -> Message:
        if hold.way is WayName.LEGS:
            if self.legs is None:
                return StillHeld(why=NO_PUBLIC_URL)
            if self.pairs.of(hold.call) is None:
                return CallEnded(why="the conversation is over")
            return await self.legs.resume(hold.call)
        participant = None if hold.conference is None else await self.account.participant(hold.conference, hold.call)
        if participant is None:
            return CallEnded(why="the party has left the conference")
        return await self.conferences.resume(participant)

    async def reconcile(self, hold: Hold) -> Hold:
        """Change an unfinished hold to the status that the account shows. Raises: AccountError."""
        shown = await self._shows_hold(hold)
        match hold.status, shown:
            case _, None:
                message: Message = CallEnded(why="the party is not there any more")
            case Status.HOLDING | Status.ASKED, True:
                message = HoldConfirmed(detail="shown by a read")
            case Status.HOLDING | Status.ASKED, False:
                message = Fail(why="the account shows that the party is not on hold")
            case Status.RESUMING, True:
                message = StillHeld(why="the account shows that the party is on hold as before")
            case Status.RESUMING | Status.HELD, False:
                message = HoldEnded(why="shown by a read")
            case _:
                return hold
        settled, _ = await self._hold_log.handle(hold.id, message)
        return settled

    async def _shows_hold(self, hold: Hold) -> bool | None:
        """Return whether the account shows this party on hold now; None when the call is over."""
        match hold.way:
            case WayName.CONFERENCE:
                return await self.conferences.shows_hold(hold)
            case WayName.LEGS if self.legs is not None:
                return await self.legs.shows_hold(hold.call)
            case _:
                seen = await self.account.call(hold.call)
                return None if seen is None or not seen.live else False


NO_PUBLIC_URL = "the party's legs are moved by webhooks, and the account cannot reach this service: set public_url"
