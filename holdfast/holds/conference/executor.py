"""This module carries out holds in conferences: find the conference, set the participant's hold, confirm it.

A change without a response is resolved by a read, and repeated only when the read shows that it was not made.
"""

import asyncio
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import assert_never

from holdfast.holds.account.snapshots import ConferenceSnapshot, ParticipantSnapshot, RoomSnapshot
from holdfast.holds.clock import Timeouts
from holdfast.holds.concurrency import gather
from holdfast.holds.conference import planner
from holdfast.holds.errors import (
    AccountError,
    AccountRefused,
    AccountUnreachable,
    HoldsError,
    OutcomeUnknown,
    ResourceNotFound,
)
from holdfast.holds.hold import CallEnded, Fail, Hold, HoldConfirmed, HoldEnded, Message, StillHeld
from holdfast.holds.ids import CallSid, ConferenceSid
from holdfast.holds.ports import AccountPort, ClockPort
from holdfast.holds.steps.account_steps import Refusal, SetHold
from holdfast.holds.steps.documents import Documents, is_audio

ROOMS_AT_ONCE = 8
"""How many conferences are read at the same time."""
MAX_REMEMBERED = 10_000
"""For how many calls the last conference is remembered."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundParticipant:
    """A found participant is a call in a conference, together with all its participants."""

    participant: ParticipantSnapshot
    room: RoomSnapshot


@dataclass(slots=True, eq=False)
class _Search:
    """A search serves all callers who asked before it began."""

    calls: set[CallSid] = field(default_factory=set)
    found: dict[CallSid, RoomSnapshot] = field(default_factory=dict)
    done: bool = False
    error: HoldsError | None = None


class ConferenceSearch:
    """A conference search looks for calls in the live conferences of an account.

    The account lists who is in a conference, not which one a call is in. Callers who ask during a search share the next
    one, so that many holds at once cost two searches and not one each. Invariant: no caller receives a search that
    began before they asked.
    """

    def __init__(self, account: AccountPort) -> None:
        self._account = account
        self._lock = asyncio.Lock()
        self._next = _Search()

    async def find(self, call: CallSid) -> RoomSnapshot | None:
        """Return the live conference that this call is in now. Raises: AccountError."""
        search = self._next
        search.calls.add(call)
        async with self._lock:
            if not search.done:  # the caller that began it may have been cancelled
                await self._run(search)
        if search.error is not None:
            raise _copy_of(search.error) from search.error
        return search.found.get(call)

    async def _run(self, search: _Search) -> None:
        if self._next is search:
            self._next = _Search()
        try:
            conferences = await self._account.conferences()
            for start in range(0, len(conferences), ROOMS_AT_ONCE):
                rooms = await gather(
                    "read conferences",
                    [_read_room(self._account, live) for live in conferences[start : start + ROOMS_AT_ONCE]],
                )
                for call in search.calls - search.found.keys():
                    room = planner.find(call, rooms)
                    if room is not None:
                        search.found[call] = room
                if len(search.found) == len(search.calls):
                    break
        except HoldsError as error:
            search.error = error
        search.done = True


class ConferenceExecutor:
    """A conference executor holds and resumes participants, on one account."""

    def __init__(self, account: AccountPort, clock: ClockPort, timeouts: Timeouts, documents: Documents | None) -> None:
        self._account = account
        self._clock = clock
        self._timeouts = timeouts
        self._documents = documents
        self._search = ConferenceSearch(account)
        self._last_conference: OrderedDict[CallSid, ConferenceSid] = OrderedDict()

    async def find(self, call: CallSid) -> FoundParticipant | None:
        """Return the live conference that this call is in now."""
        known = self._last_conference.get(call)
        if known is not None:
            found = self._remember(call, await self.read_room(known))
            if found is not None:
                return found
            self.forget(call)
        room = await self._search.find(call)
        return None if room is None else self._remember(call, room)

    async def await_forming(self, call: CallSid, *, beside: CallSid | None = None) -> FoundParticipant | None:
        """Wait a while for this call to join a conference; `beside`: until this one is in it too."""
        for pause_s in self._timeouts.poll_intervals(self._timeouts.conference_forming_s):
            await self._clock.wait(None, timeout_s=pause_s)
            found = await self.find(call)
            if found is not None and (beside is None or found.room.participant(beside) is not None):
                return found
        return None

    async def read_room(self, sid: ConferenceSid) -> RoomSnapshot:
        """Return all participants of this conference."""
        return await _read_room(self._account, ConferenceSnapshot(sid=sid))

    def _remember(self, call: CallSid, room: RoomSnapshot) -> FoundParticipant | None:
        participant = room.participant(call)
        if participant is None:
            return None
        self._last_conference[call] = room.conference.sid
        self._last_conference.move_to_end(call)
        if len(self._last_conference) > MAX_REMEMBERED:
            self._last_conference.popitem(last=False)
        return FoundParticipant(participant=participant, room=room)

    def forget(self, call: CallSid) -> None:
        """Remove what was remembered of a call."""
        self._last_conference.pop(call, None)

    def music_url(self, music: str | None) -> str | None:
        """Return the HoldUrl for this music: our looping document if the account can fetch it, else the URL itself.

        An audio file given as HoldUrl is played once, and silence follows. Source: Twilio REST, Participant HoldUrl.
        """
        if music is None or self._documents is None or not is_audio(music):
            return music
        return self._documents.music_url(music)

    async def hold(self, participant: ParticipantSnapshot, music: str | None) -> Message:
        """Hold a participant, and return the message for its hold."""
        step = planner.hold(participant, self.music_url(music))
        match step:
            case Refusal(why=why, call_ended=True):
                return CallEnded(why=why)
            case Refusal(why=why):
                return Fail(why=why)
            case None:
                return HoldConfirmed(detail="was on hold already")
            case SetHold():
                return await self._set(step)
            case _:
                assert_never(step)

    async def resume(self, hold: Hold) -> Message:
        """Resume a held party, and return the message for its hold."""
        participant = await self._participant(hold)
        if participant is None:
            return CallEnded(why="the party has left the conference")
        step = planner.resume(participant)
        return HoldEnded() if step is None else await self._set(step)

    async def _set(self, step: SetHold) -> Message:
        """Send a change until the account shows it, at most twice.

        Raises: OutcomeUnknown when it was sent and cannot be read either.
        """
        why = "the account accepted the change and does not show it"
        for _ in range(2):
            try:
                shown: ParticipantSnapshot | None = await self._account.set_hold(
                    step.conference, step.call, hold=step.hold, url=step.music
                )
            except ResourceNotFound:
                return await self._left_outcome(step)
            except AccountUnreachable as error:
                return _failure(step, error.message)
            except AccountError as error:
                if isinstance(error, AccountRefused) and error.status < 500:
                    return _failure(step, error.message)
                why = error.message
                shown = await self._read(step)
            for pause_s in self._timeouts.poll_intervals(self._timeouts.confirmation_s / 4):
                if shown is None:
                    return await self._left_outcome(step)
                if shown.hold is step.hold:
                    return HoldConfirmed() if step.hold else HoldEnded()
                await self._clock.wait(None, timeout_s=pause_s)
                shown = await self._read(step)
        return _failure(step, why)

    async def _read(self, step: SetHold) -> ParticipantSnapshot | None:
        try:
            return await self._account.participant(step.conference, step.call)
        except AccountError as error:
            raise OutcomeUnknown(
                f"the change was sent, and whether it was made cannot be read: {error.message}",
                fix="It is settled by a read as soon as the account answers; GET /holds/{id} shows it.",
            ) from error

    async def _left_outcome(self, step: SetHold) -> CallEnded:
        self.forget(step.call)
        try:
            seen = await self._account.call(step.call)
        except AccountError:
            seen = None
        alive = seen is not None and seen.live
        return CallEnded(why="the party has left the conference" if alive else "the call is over")

    async def shows_hold(self, hold: Hold) -> bool | None:
        """Return whether the account shows the party on hold; None when it is not in its conference any more."""
        seen = await self._participant(hold)
        return None if seen is None else seen.hold

    async def _participant(self, hold: Hold) -> ParticipantSnapshot | None:
        return None if hold.conference is None else await self._account.participant(hold.conference, hold.call)


def _failure(step: SetHold, why: str) -> Message:
    return Fail(why=why) if step.hold else StillHeld(why=why)


async def _read_room(account: AccountPort, seen: ConferenceSnapshot) -> RoomSnapshot:
    return RoomSnapshot(conference=seen, participants=tuple(await account.participants(seen.sid)))


def _copy_of(error: HoldsError) -> HoldsError:
    """Return a copy of the error, one per waiting caller: each adds the id of its own hold."""
    again = error.__class__.__new__(error.__class__, *error.args)
    again.__dict__.update(error.__dict__)
    return again
