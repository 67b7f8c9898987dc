"""This module checks all held parties: it reconciles unfinished holds, notices who left, and applies the policy."""

import logging
from typing import assert_never

from holdfast.holds.account.snapshots import RoomSnapshot
from holdfast.holds.clock import Timeouts
from holdfast.holds.conference.planner import others
from holdfast.holds.errors import HoldsError, ResourceNotFound
from holdfast.holds.execution.hold_executor import HoldExecutor
from holdfast.holds.history.hold_log import HoldLog
from holdfast.holds.hold import CallEnded, Hold, HoldEnded, Remind, Status, WayName
from holdfast.holds.ids import ConferenceSid, HoldId
from holdfast.holds.policy import EndHeldCall, HoldSituation, Policy, RemindOwner, ResumeHold, due
from holdfast.holds.ports import ClockPort, is_live
from holdfast.holds.steps.account_steps import ContinueDocument
from holdfast.holds.steps.pair import Pair, next_document

CONFIRMING_READS = 2
"""How many checks in a row must show an unexpected change: a read right after a change may show the state before it.

Source: Twilio REST, consistency of reads.
"""

_log = logging.getLogger("holdfast.holds.reconciler")


class Reconciler:
    """A reconciler checks all held parties every few seconds."""

    def __init__(
        self, executor: HoldExecutor, hold_log: HoldLog, policy: Policy, clock: ClockPort, timeouts: Timeouts
    ) -> None:
        self._executor = executor
        self._hold_log = hold_log
        self._policy = policy
        self._clock = clock
        self._timeouts = timeouts
        self._unexpected: dict[HoldId, int] = {}
        self._alone_since: dict[HoldId, float] = {}

    async def run(self) -> None:
        """Check all held parties until cancelled."""
        while True:
            await self._clock.wait(None, timeout_s=self._timeouts.check_interval_s)
            await self.check()

    async def check(self) -> None:
        """Check every held party once.

        An error with one hold leaves the others checked; the next round checks it again.
        """
        await self._hold_log.flush()
        await self._executor.pairs.flush()
        rooms: dict[ConferenceSid, RoomSnapshot] = {}
        for hold in self._hold_log.active():
            if hold.way is WayName.PHONE:
                continue
            async with self._executor.lock(hold.call):
                current = self._hold_log.of_call(hold.call)
                if current is None or current.id != hold.id:
                    continue
                try:
                    await self._check_hold(current, rooms)
                except HoldsError as error:
                    _log.warning("hold=%s call=%s fact=NotLookedAfter why=%s", hold.id, hold.call, error.message)
        active_ids = {hold.id for hold in self._hold_log.active()}
        for remembered in (self._unexpected, self._alone_since):
            for id in remembered.keys() - active_ids:
                remembered.pop(id, None)
        if self._executor.legs is not None:
            try:
                await self._executor.legs.clean_up()
            except HoldsError as error:
                _log.warning("fact=NotTidied why=%s", error.message)

    async def _check_hold(self, hold: Hold, rooms: dict[ConferenceSid, RoomSnapshot]) -> None:
        if hold.status is not Status.HELD:
            hold = await self._executor.reconcile(hold)
        elif hold.way is WayName.LEGS:
            if await self._handle_leg_change(hold):
                return
            await self._apply_policy(hold, HoldSituation(others=1))
            return
        if hold.status is not Status.HELD or hold.way is not WayName.CONFERENCE or hold.conference is None:
            return
        room = rooms.get(hold.conference)
        if room is None:
            room = rooms[hold.conference] = await self._executor.conferences.read_room(hold.conference)
        participant = room.participant(hold.call)
        if participant is None or not participant.hold:
            if self._confirm_unexpected(hold):
                over = participant is None
                await self._hold_log.handle(
                    hold.id,
                    CallEnded(why="the party has left the conference")
                    if over
                    else HoldEnded(why="another client resumed the party"),
                )
            return
        self._unexpected.pop(hold.id, None)
        others_count = len(others(hold.call, room))
        now = self._clock.now()
        alone_since = None if others_count else self._alone_since.setdefault(hold.id, now)
        if others_count:
            self._alone_since.pop(hold.id, None)
        owner_left = hold.owner_call is not None and room.participant(hold.owner_call) is None
        await self._apply_policy(
            hold, HoldSituation(others=others_count, alone_since=alone_since, owner_left=owner_left)
        )

    def _confirm_unexpected(self, hold: Hold) -> bool:
        """Count an unexpected read, and return whether there were enough in a row."""
        self._unexpected[hold.id] = self._unexpected.get(hold.id, 0) + 1
        return self._is_confirmed(hold)

    def _is_confirmed(self, hold: Hold) -> bool:
        return self._unexpected.get(hold.id, 0) >= CONFIRMING_READS

    async def _release(self, pair: Pair) -> None:
        """Leave two parties to the service that took one of them over: moving one now could lose the other."""
        await self._executor.pairs.forget(pair)
        for party in (pair.parent, pair.child):
            hold = self._hold_log.of_call(party.call)
            if hold is not None:
                await self._hold_log.handle(hold.id, HoldEnded(why="another service has taken the hold over"))

    async def _handle_leg_change(self, hold: Hold) -> bool:
        """Handle a change of one of the legs, and return whether there was one."""
        legs, pair = self._executor.legs, self._executor.pairs.of(hold.call)
        if legs is None:
            return True
        if pair is None:
            await self._end(hold, continues=await is_live(self._executor.account, hold.call))
            return True
        if pair.over:
            await legs.clean_up()
            await self._end(hold, continues=isinstance(next_document(pair, hold.call), ContinueDocument))
            return True
        if not await is_live(self._executor.account, hold.call):
            await legs.handle_call_ended(hold.call)
            await self._hold_log.handle(hold.id, CallEnded(why="the party hung up"))
            return True
        other = pair.other(hold.call).call
        if not await is_live(self._executor.account, other):
            await legs.handle_call_ended(other)
            await self._end(hold, continues=isinstance(next_document(pair, hold.call), ContinueDocument))
            return True
        if not await legs.queues.holds(hold.call):
            if self._confirm_unexpected(hold) and not await legs.queues.exists(hold.call):
                # Another service resumed the call: it removed the queue, which we would have kept.
                await self._release(pair)
            elif self._is_confirmed(hold):
                await legs.handle_call_ended(hold.call)
                await self._hold_log.handle(hold.id, HoldEnded(why="another client moved the party"))
            return True
        self._unexpected.pop(hold.id, None)
        return False

    async def _end(self, hold: Hold, *, continues: bool) -> None:
        await self._hold_log.handle(hold.id, other_party_left(continues=continues))

    async def _apply_policy(self, hold: Hold, situation: HoldSituation) -> None:
        decision = due(self._policy, hold, situation, self._clock.now())
        match decision:
            case ResumeHold(why=why):
                await self._executor.resume(hold, by=None, why=why)
            case EndHeldCall(why=why):
                try:
                    await self._executor.account.hang_up(hold.call)
                except ResourceNotFound:
                    _log.info("call=%s fact=AlreadyOver", hold.call)
                await self._hold_log.handle(hold.id, CallEnded(why=why))
            case RemindOwner():
                await self._hold_log.handle(hold.id, Remind())
            case None:
                return
            case _:
                assert_never(decision)


def other_party_left(*, continues: bool) -> CallEnded | HoldEnded:
    """Return the message that ends a hold when the party at the other end has left."""
    if continues:
        return HoldEnded(why="the other party hung up; the call continued with its next document")
    return CallEnded(why="the other party hung up, and so the call was ended")
