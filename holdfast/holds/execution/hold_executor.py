"""This module works on one hold: select its way, begin it, resume it, reconcile it with what the account shows.

The hold's machine decides: a request goes to the account for its effects `HoldParty` and `ResumeParty`, and for nothing
else. A call that is refused is not touched.

Precondition: the caller has the lock of the call.
"""

from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import assert_never

from holdfast.holds.account.snapshots import CallSnapshot, ParticipantSnapshot
from holdfast.holds.concurrency import KeyedLocks
from holdfast.holds.conference import planner as conference_planner
from holdfast.holds.conference.executor import ConferenceExecutor, FoundParticipant
from holdfast.holds.errors import AccountError, CallNotInProgress, HoldFailed, HoldRefused, HoldsError, OutcomeUnknown
from holdfast.holds.history.hold_log import HoldLog
from holdfast.holds.hold import (
    Begin,
    CallEnded,
    Fail,
    Hold,
    HoldConfirmed,
    HoldEnded,
    HoldParty,
    Message,
    Refuse,
    Resume,
    ResumeParty,
    Status,
    StillHeld,
    WayName,
)
from holdfast.holds.ids import CallSid
from holdfast.holds.legs import planner as legs_planner
from holdfast.holds.legs.executor import LegsExecutor
from holdfast.holds.legs.pair_index import PairIndex
from holdfast.holds.ports import AccountPort, is_live
from holdfast.holds.steps.account_steps import Refusal
from holdfast.holds.steps.pair import LegState, Pair, queue_name
from holdfast.holds.validation import is_call_sid

NO_PUBLIC_URL = "the party's legs are moved by webhooks, and the account cannot reach this service: set public_url"


@dataclass(frozen=True, slots=True, kw_only=True)
class SelectedWay:
    """A selected way has the message that begins the hold; `participant` is the party, if it is in a conference."""

    begin: Begin
    participant: ParticipantSnapshot | None = None


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
        *,
        convert: bool,
        continue_url: str | None,
    ) -> None:
        self.account = account
        self.pairs = pairs
        self.conferences = conferences
        self.legs = legs
        self._hold_log = hold_log
        self._locks = locks
        self._convert = convert
        self._continue_url = continue_url

    def lock(self, call: CallSid) -> AbstractAsyncContextManager[None]:
        """Acquire the lock of this call and of the one it talks to."""
        pair = self.pairs.of(call)
        return self._locks.lock(call if pair is None else pair.parent.call)

    async def begin(self, hold: Hold) -> Hold:
        """Hold the party. Raises as `Holds.hold`."""
        try:
            selected = await self._select(hold.call, owner=hold.by)
        except HoldsError as error:
            await self._hold_log.handle(hold.id, Fail(why=error.message))
            error.hold = hold.id
            raise
        if isinstance(selected, Refusal):
            why = selected.why
            message: Message = CallEnded(why=why) if selected.call_ended else Refuse(why=why)
            hold, _ = await self._hold_log.handle(hold.id, message)
        else:
            hold, effects = await self._hold_log.handle(hold.id, selected.begin)
            if HoldParty() in effects:
                try:
                    message = await self._hold_party(hold, selected.participant)
                except AccountError as error:
                    raise OutcomeUnknown(error.message, fix=error.fix, hold=hold.id) from error
                hold, _ = await self._hold_log.handle(hold.id, message)
        why = str(hold.cause)
        match hold.status:
            case Status.REFUSED:
                raise HoldRefused(why, fix=selected.fix if isinstance(selected, Refusal) else None, hold=hold.id)
            case Status.GONE | Status.CALL_ENDED:
                raise CallNotInProgress(why, fix="GET /calls lists who is on the phone.", hold=hold.id)
            case Status.FAILED:
                raise HoldFailed(why, hold=hold.id)
            case Status.ASKED | Status.HOLDING | Status.HELD | Status.RESUMING | Status.RESUMED:
                return hold
            case _:
                assert_never(hold.status)

    async def _hold_party(self, hold: Hold, participant: ParticipantSnapshot | None) -> Message:
        if participant is not None:
            return await self.conferences.hold(participant, hold.music)
        if self.legs is None:
            return Fail(why=NO_PUBLIC_URL)
        return await self.legs.hold(hold.call, hold.music, limit_s=hold.limit_s)

    # The selection of the way, from what the account and the application show.

    async def _select(self, call: CallSid, *, owner: str | None) -> SelectedWay | Refusal:
        """Return how this call can be held, or why it cannot.

        Raises: AccountError; HoldFailed when moving the pair into a conference failed.
        """
        pair = self.pairs.of(call)
        if pair is not None and not pair.over and pair.room is None:
            if self._convert and pair.parent.state is LegState.PARENT:
                return await self._convert_pair(pair, call, owner)
            return SelectedWay(begin=Begin(way=WayName.LEGS, queue=queue_name(call)))
        found = await self.conferences.find(call)
        if found is not None:
            return _in_conference(found, owner)
        seen = await self.account.call(call)
        if seen is None:
            return Refusal(why=f"the account knows no call {call}", call_ended=True)
        if not seen.live:
            return Refusal(why=f"the call is over ({seen.status})", call_ended=True)
        if not seen.talking:
            return Refusal(why=f"the call has not been answered yet (it is {seen.status})", fix="Hold it once it is.")
        if await self._joined_by_dial(seen):
            return legs_planner.unknown_continuation(self._continue_url)
        found = await self.conferences.await_forming(call)
        if found is not None:
            return _in_conference(found, owner)
        return Refusal(
            why="the call is in no conference and talks to no other party", fix=conference_planner.HOW_TO_JOIN
        )

    async def _convert_pair(self, pair: Pair, call: CallSid, owner: str | None) -> SelectedWay | Refusal:
        if self.legs is None:
            return Refusal(why="the account cannot reach this service", fix="Set public_url.")
        failure = await self.legs.convert(pair)
        if isinstance(failure, CallEnded):
            return Refusal(why=failure.why, call_ended=True)
        if failure is not None:
            raise HoldFailed(failure.why)
        found = await self.conferences.await_forming(call, beside=pair.other(call).call)
        if found is None:
            raise HoldFailed("the two parties did not come together in a conference")
        return _in_conference(found, owner)

    async def _joined_by_dial(self, seen: CallSnapshot) -> bool:
        """Return whether this call is an end of a plain Dial that still runs."""
        if seen.parent is not None and await is_live(self.account, seen.parent):
            return True
        return any(child.live for child in await self.account.calls(parent=seen.sid))

    # The way back.

    async def resume(self, hold: Hold, *, by: str | None, why: str | None) -> Hold:
        """Resume the party, for a person or for the policy. Raises: HoldFailed, OutcomeUnknown."""
        hold, effects = await self._hold_log.handle(hold.id, Resume(by=by, why=why))
        if ResumeParty() not in effects:
            return hold
        try:
            message = await self._resume_party(hold)
        except AccountError as error:
            raise OutcomeUnknown(error.message, fix=error.fix, hold=hold.id) from error
        if isinstance(message, HoldEnded) and message.why is None:
            message = HoldEnded(why=why)
        hold, _ = await self._hold_log.handle(hold.id, message)
        if hold.status is Status.HELD:
            raise HoldFailed(f"the party is held as before: {hold.cause}", hold=hold.id)
        return hold

    async def _resume_party(self, hold: Hold) -> Message:
        if hold.way is WayName.LEGS:
            if self.legs is None:
                return StillHeld(why=NO_PUBLIC_URL)
            if self.pairs.of(hold.call) is None:
                return CallEnded(why="the conversation is over")
            return await self.legs.resume(hold.call)
        return await self.conferences.resume(hold)

    async def reconcile(self, hold: Hold) -> Hold:
        """Change an unfinished hold to the status that the account shows. Raises: AccountError.

        A hold by legs stays as it is while this service has no public URL: its queue is not looked for then.
        """
        if hold.way is WayName.LEGS and self.legs is None and await is_live(self.account, hold.call):
            return hold
        message = _shown_message(hold.status, await self._shows_hold(hold))
        if message is None:
            return hold
        settled, _ = await self._hold_log.handle(hold.id, message)
        return settled

    async def _shows_hold(self, hold: Hold) -> bool | None:
        """Return whether the account shows this party on hold now; None when the call is over."""
        if hold.way is WayName.CONFERENCE:
            return await self.conferences.shows_hold(hold)
        if hold.way is WayName.LEGS and self.legs is not None:
            return await self.legs.shows_hold(hold.call)
        return False if await is_live(self.account, hold.call) else None


def _shown_message(status: Status, shown: bool | None) -> Message | None:
    """Return the message for a hold of which the account shows this; None when nothing has changed."""
    if shown is None:
        return CallEnded(why="the party is not there any more")
    match status:
        case Status.HOLDING | Status.ASKED if shown:
            return HoldConfirmed(detail="shown by a read")
        case Status.HOLDING | Status.ASKED:
            return Fail(why="the account shows that the party is not on hold")
        case Status.RESUMING if shown:
            return StillHeld(why="the account shows that the party is on hold as before")
        case Status.RESUMING | Status.HELD:
            return None if shown else HoldEnded(why="shown by a read")
        case Status.RESUMED | Status.CALL_ENDED | Status.GONE | Status.REFUSED | Status.FAILED:
            return None
        case _:
            assert_never(status)


def _in_conference(found: FoundParticipant, owner: str | None) -> SelectedWay:
    owner_call = CallSid(owner) if owner is not None and is_call_sid(owner) else None
    if owner_call is not None and found.room.participant(owner_call) is None:
        owner_call = None
    sid = found.room.conference.sid
    begin = Begin(way=WayName.CONFERENCE, conference=sid, owner_call=owner_call)
    return SelectedWay(begin=begin, participant=found.participant)
