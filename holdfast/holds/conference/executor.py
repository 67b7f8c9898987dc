"""Holding by conference, carried out: find the room, set the participant's hold, see that it is so.

What was sent and not answered is settled by a read, and repeated only when the read shows that it was not done.
"""

from collections import OrderedDict
from dataclasses import dataclass

from holdfast.holds.account.snapshots import ConferenceSnapshot, ParticipantSnapshot, RoomSnapshot
from holdfast.holds.conference import planner
from holdfast.holds.conference.search import ConferenceSearch
from holdfast.holds.errors import AccountRefused, AccountTrouble, AccountUnreachable, OutcomeUnknown, ResourceNotFound
from holdfast.holds.hold import CallOver, Fail, Hold, HoldConfirmed, HoldEnded, Message, StillHeld
from holdfast.holds.ids import CallSid, ConferenceSid
from holdfast.holds.ports import AccountPort, ClockPort
from holdfast.holds.steps.account_steps import Refusal, SetHold
from holdfast.holds.steps.documents import Documents, is_audio
from holdfast.holds.timeouts import Timeouts

KEEP_SEEN = 10_000
"""Of how many calls it is remembered which room they were in last."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """A party's place in a room, and everybody in it."""

    me: ParticipantSnapshot
    room: RoomSnapshot


class ConferenceExecutor:
    """The conference way, on one account."""

    def __init__(self, account: AccountPort, clock: ClockPort, patience: Timeouts, documents: Documents | None) -> None:
        self._account = account
        self._clock = clock
        self._patience = patience
        self._documents = documents
        self._search = ConferenceSearch(account)
        self._last_seen: OrderedDict[CallSid, ConferenceSid] = OrderedDict()

    async def find(self, call: CallSid) -> Found | None:
        """The live conference this call is in now."""
        known = self._last_seen.get(call)
        if known is not None:
            found = await self._in(ConferenceSnapshot(sid=known, name="", status="in-progress"), call)
            if found is not None:
                return found
            self.forget(call)
        room = await self._search.find(call)
        return None if room is None else self._remember(call, room)

    async def await_forming(self, call: CallSid, *, beside: CallSid | None = None) -> Found | None:
        """The conference this call comes to be in, waited for a while; `beside`: with this one in it too."""
        for pause_s in self._patience.looks(self._patience.forming_s):
            await self._clock.wait(None, timeout_s=pause_s)
            found = await self.find(call)
            if found is not None and (beside is None or found.room.participant(beside) is not None):
                return found
        return None

    async def room(self, sid: ConferenceSid) -> RoomSnapshot:
        """Everybody in this conference now."""
        return await self._search.look(ConferenceSnapshot(sid=sid, name="", status="in-progress"))

    async def _in(self, seen: ConferenceSnapshot, call: CallSid) -> Found | None:
        room = await self._search.look(seen)
        return None if room.participant(call) is None else self._remember(call, room)

    def _remember(self, call: CallSid, room: RoomSnapshot) -> Found | None:
        me = room.participant(call)
        if me is None:
            return None
        self._last_seen[call] = room.conference.sid
        self._last_seen.move_to_end(call)
        if len(self._last_seen) > KEEP_SEEN:
            self._last_seen.popitem(last=False)
        return Found(me=me, room=room)

    def forget(self, call: CallSid) -> None:
        """Let go of what was known of a call."""
        self._last_seen.pop(call, None)

    def music_url(self, music: str | None) -> str | None:
        """The HoldUrl for this music: our looping document when the account can fetch it, else the URL itself.

        An audio file given as HoldUrl is played once, and silence follows. Source: Twilio REST, Participant HoldUrl.
        """
        if music is None or self._documents is None or not is_audio(music):
            return music
        return self._documents.music_url(music)

    async def hold(self, me: ParticipantSnapshot, music: str | None) -> Message:
        """Hold a participant; what to tell the hold."""
        step = planner.hold(me, self.music_url(music))
        match step:
            case Refusal(why=why, gone=True):
                return CallOver(why=why)
            case Refusal(why=why):
                return Fail(why=why)
            case None:
                return HoldConfirmed(detail="was on hold already")
            case SetHold():
                return await self._set(step)

    async def resume(self, me: ParticipantSnapshot) -> Message:
        """Bring a participant back; what to tell the hold."""
        step = planner.resume(me)
        return HoldEnded() if step is None else await self._set(step)

    async def _set(self, step: SetHold) -> Message:
        """Send a change until the account shows that it is so, at most twice.

        Raises: OutcomeUnknown when it was sent and cannot be read either.
        """
        why = "the account accepted the change and does not show it"
        for _ in range(2):
            try:
                shown: ParticipantSnapshot | None = await self._account.set_hold(
                    step.conference, step.call, hold=step.hold, url=step.music
                )
            except ResourceNotFound:
                return await self._left(step)
            except AccountUnreachable as error:
                return _not_done(step, error.message)
            except AccountTrouble as error:
                if isinstance(error, AccountRefused) and error.status < 500:
                    return _not_done(step, error.message)
                why = error.message
                shown = await self._read(step)
            for pause_s in self._patience.looks(self._patience.settle_s / 4):
                if shown is None:
                    return await self._left(step)
                if shown.hold is step.hold:
                    return HoldConfirmed() if step.hold else HoldEnded()
                await self._clock.wait(None, timeout_s=pause_s)
                shown = await self._read(step)
        return _not_done(step, why)

    async def _read(self, step: SetHold) -> ParticipantSnapshot | None:
        try:
            return await self._account.participant(step.conference, step.call)
        except AccountTrouble as error:
            raise OutcomeUnknown(
                f"the change was sent, and whether it was made cannot be read: {error.message}",
                fix="It is settled by a read as soon as the account answers; GET /holds/{id} shows it.",
            ) from error

    async def _left(self, step: SetHold) -> CallOver:
        self.forget(step.call)
        try:
            seen = await self._account.call(step.call)
        except AccountTrouble:
            seen = None
        alive = seen is not None and seen.live
        return CallOver(why="the party has left the conference" if alive else "the call is over")

    async def shown(self, hold: Hold) -> bool | None:
        """Whether the account shows the party on hold; None when it is not in its conference any more."""
        if hold.conference is None:
            return None
        seen = await self._account.participant(hold.conference, hold.call)
        return None if seen is None else seen.hold


def _not_done(step: SetHold, why: str) -> Message:
    return Fail(why=why) if step.hold else StillHeld(why=why)
