"""Looks after what is held: settles what was left in the middle, notices who left, and does what the policy wants."""

import logging

from holdfast.holds.account.snapshots import RoomSnapshot
from holdfast.holds.conference.planner import others
from holdfast.holds.errors import HoldsError, ResourceNotFound
from holdfast.holds.execution.hold_executor import HoldExecutor
from holdfast.holds.history.hold_log import HoldLog
from holdfast.holds.hold import CallOver, Hold, HoldEnded, Remind, Status, WayName
from holdfast.holds.ids import CallSid, ConferenceSid, HoldId
from holdfast.holds.policy import EndHeldCall, HoldSituation, Policy, RemindOwner, ResumeHold, due
from holdfast.holds.ports import ClockPort
from holdfast.holds.steps.account_steps import ContinueDocument
from holdfast.holds.steps.pair import Pair, onward
from holdfast.holds.timeouts import Timeouts

SURE_AFTER = 2
"""Looks in a row that must show a change nobody told us of: a read right after a change may show the state before it.

Source: Twilio REST, consistency of reads.
"""

_log = logging.getLogger("holdfast.holds.reconciler")


class Reconciler:
    """Goes round, every few seconds, at everything that is held."""

    def __init__(
        self, work: HoldExecutor, ledger: HoldLog, policy: Policy, clock: ClockPort, patience: Timeouts
    ) -> None:
        self._work = work
        self._ledger = ledger
        self._policy = policy
        self._clock = clock
        self._patience = patience
        self._doubts: dict[HoldId, int] = {}
        self._alone_since: dict[HoldId, float] = {}

    async def run(self) -> None:
        """Go round until cancelled."""
        while True:
            await self._clock.wait(None, timeout_s=self._patience.check_every_s)
            await self.look()

    async def look(self) -> None:
        """Go round once. Trouble with one hold leaves the others looked at, and is looked at again next time."""
        await self._ledger.catch_up()
        await self._work.pairs.catch_up()
        rooms: dict[ConferenceSid, RoomSnapshot] = {}
        for hold in self._ledger.active():
            if hold.way is WayName.PHONE:
                continue
            async with self._work.lane(hold.call):
                current = self._ledger.of_call(hold.call)
                if current is None or current.id != hold.id:
                    continue
                try:
                    await self._look_at(current, rooms)
                except HoldsError as error:
                    _log.warning("hold=%s call=%s fact=NotLookedAfter why=%s", hold.id, hold.call, error.message)
        going_on = {hold.id for hold in self._ledger.active()}
        for memory in (self._doubts, self._alone_since):
            for id in memory.keys() - going_on:
                memory.pop(id, None)
        if self._work.legs is not None:
            try:
                await self._work.legs.tidy()
            except HoldsError as error:
                _log.warning("fact=NotTidied why=%s", error.message)

    async def _look_at(self, hold: Hold, rooms: dict[ConferenceSid, RoomSnapshot]) -> None:
        if hold.status is not Status.HELD:
            hold = await self._work.settle(hold)
        elif hold.way is WayName.LEGS:
            if await self._legs_changed(hold):
                return
            await self._decide(hold, HoldSituation(others=1))
            return
        if hold.status is not Status.HELD or hold.way is not WayName.CONFERENCE or hold.conference is None:
            return
        room = rooms.get(hold.conference)
        if room is None:
            room = rooms[hold.conference] = await self._work.conferences.room(hold.conference)
        me = room.participant(hold.call)
        if me is None or not me.hold:
            if self._doubt(hold):
                over = me is None
                await self._ledger.tell(
                    hold.id,
                    CallOver(why="the party has left the conference")
                    if over
                    else HoldEnded(why="somebody else took the party off hold"),
                )
            return
        self._doubts.pop(hold.id, None)
        company = len(others(hold.call, room))
        now = self._clock.now()
        alone_since = None if company else self._alone_since.setdefault(hold.id, now)
        if company:
            self._alone_since.pop(hold.id, None)
        owner_left = hold.owner_call is not None and room.participant(hold.owner_call) is None
        await self._decide(hold, HoldSituation(others=company, alone_since=alone_since, owner_left=owner_left))

    def _doubt(self, hold: Hold) -> bool:
        """Whether what was not expected has been seen often enough to be believed."""
        self._doubts[hold.id] = self._doubts.get(hold.id, 0) + 1
        return self._sure(hold)

    def _sure(self, hold: Hold) -> bool:
        return self._doubts.get(hold.id, 0) >= SURE_AFTER

    async def _let_go(self, pair: Pair) -> None:
        """Leave two parties to the service that took one of them back: whoever is moved now could lose the other."""
        await self._work.pairs.forget(pair)
        for party in (pair.parent, pair.child):
            hold = self._ledger.of_call(party.call)
            if hold is not None:
                await self._ledger.tell(hold.id, HoldEnded(why="another service has taken the hold over"))

    async def _legs_changed(self, hold: Hold) -> bool:
        """Whether something happened to one of the legs, and was dealt with."""
        legs, pair = self._work.legs, self._work.pairs.of(hold.call)
        if legs is None:
            return True
        if pair is None:
            await self._ended(hold, goes_on=await self._alive(hold.call))
            return True
        if pair.over:
            await legs.tidy()
            await self._ended(hold, goes_on=isinstance(onward(pair, hold.call), ContinueDocument))
            return True
        if not await self._alive(hold.call):
            await legs.gone(hold.call)
            await self._ledger.tell(hold.id, CallOver(why="the party hung up"))
            return True
        other = pair.other(hold.call).call
        if not await self._alive(other):
            await legs.gone(other)
            await self._ended(hold, goes_on=isinstance(onward(pair, hold.call), ContinueDocument))
            return True
        if not await legs.waits(hold.call):
            if self._doubt(hold) and await legs.taken_elsewhere(hold.call):
                await self._let_go(pair)
            elif self._sure(hold):
                await legs.gone(hold.call)
                await self._ledger.tell(hold.id, HoldEnded(why="somebody else moved the party"))
            return True
        self._doubts.pop(hold.id, None)
        return False

    async def _ended(self, hold: Hold, *, goes_on: bool) -> None:
        await self._ledger.tell(hold.id, other_left(goes_on=goes_on))

    async def _alive(self, call: CallSid) -> bool:
        seen = await self._work.account.call(call)
        return seen is not None and seen.live

    async def _decide(self, hold: Hold, sight: HoldSituation) -> None:
        match due(self._policy, hold, sight, self._clock.now()):
            case ResumeHold(why=why):
                await self._work.bring_back(hold, by=None, why=why)
            case EndHeldCall(why=why):
                try:
                    await self._work.account.hang_up(hold.call)
                except ResourceNotFound:
                    _log.info("call=%s fact=AlreadyOver", hold.call)
                await self._ledger.tell(hold.id, CallOver(why=why))
            case RemindOwner():
                await self._ledger.tell(hold.id, Remind())
            case None:
                return


def other_left(*, goes_on: bool) -> CallOver | HoldEnded:
    """How a hold ends when the one on the other end has left."""
    if goes_on:
        return HoldEnded(why="the other party hung up; the call went on to what comes after")
    return CallOver(why="the other party hung up, and so the call was ended")
