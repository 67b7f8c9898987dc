"""Holds of another service, or of an earlier run that kept no store: what the account shows of them, made ours.

A conference shows everything. Of two legs the account shows that a call waits in a queue of the name that a hold gives
it, and which call was the other end of its Dial; where the parent was to go on after the conversation it does not show.
"""

from dataclasses import dataclass

from holdfast.holds.account.snapshots import CallSnapshot
from holdfast.holds.conference.executor import ConferenceExecutor
from holdfast.holds.errors import AccountTrouble, HoldFailed, HoldRefused
from holdfast.holds.hold import Begin, CallOver, Fail, HoldConfirmed, Message, WayName
from holdfast.holds.ids import CallSid
from holdfast.holds.legs.executor import LegsExecutor
from holdfast.holds.legs.pair_index import PairIndex
from holdfast.holds.ports import AccountPort
from holdfast.holds.steps.pair import (
    Pair,
    Party,
    Place,
    queue_of,
)

ELSEWHERE = "another service held the party"
HELD_BY_LEGS = "the party is on hold by two legs, by another service"
RESUME_THERE = "Resume it where it was held; or let it be called again."


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """A hold that the account shows and that we know nothing of; `pair` when it is by two legs."""

    begin: Begin
    pair: Pair | None = None


class Takeover:
    """Finds such holds on one account, and makes their documents ours."""

    def __init__(
        self, account: AccountPort, conferences: ConferenceExecutor, legs: LegsExecutor | None, pairs: PairIndex
    ) -> None:
        self._account = account
        self._conferences = conferences
        self._legs = legs
        self._pairs = pairs

    async def look(self, call: CallSid) -> Shown | None:
        """The hold that the account shows of this call; None when it is on none.

        Raises: AccountTrouble; HoldRefused when it is on one that cannot be taken over.
        """
        found = await self._conferences.find(call)
        if found is not None:
            sid = found.room.conference.sid
            return Shown(begin=Begin(way=WayName.CONFERENCE, conference=sid)) if found.me.hold else None
        waiting = {name: sid for sid, name in await self._account.queues()}
        name = queue_of(call)
        if name not in waiting or call not in await self._account.members(waiting[name]):
            return None
        other = await self._other_end(call)
        if other is None:
            raise HoldRefused(f"{HELD_BY_LEGS}, and who it talked to is not shown", fix=RESUME_THERE)
        if self._legs is None:
            raise HoldRefused(
                f"{HELD_BY_LEGS}, and there is no address the account reaches us at",
                fix=f"Give Holds(…, public_url=…). {RESUME_THERE}",
            )
        me = Party(call=call, place=Place.JOINED)
        # It talks to nobody while this one is held: it is parked, or held as well.
        if queue_of(other.sid) in waiting:
            left = Party(call=other.sid, place=Place.WAITING, held=True)
        else:
            left = Party(call=other.sid, place=Place.PARKED)
        pair = Pair(parent=left, child=me) if await self._is_child(call) else Pair(parent=me, child=left)
        return Shown(begin=Begin(way=WayName.LEGS, queue=name), pair=pair)

    async def make_ours(self, call: CallSid, shown: Shown) -> HoldConfirmed:
        """Have the party wait by our documents, so that it can be moved. Raises: HoldFailed, AccountTrouble."""
        if shown.pair is not None and self._legs is not None:
            await self._pairs.put(shown.pair)
            try:
                told = await self._legs.hold(call, None, limit_s=None)
            except AccountTrouble:
                await self._forget(call)
                raise
            if not isinstance(told, HoldConfirmed):
                await self._forget(call)
                raise HoldFailed(f"the hold of another service could not be taken over: {_why(told)}")
            self._legs.taken_over.add(call)
        return HoldConfirmed(detail=ELSEWHERE)

    async def _forget(self, call: CallSid) -> None:
        """Know no more of the pair than before, so that the next attempt looks at the account again."""
        pair = self._pairs.of(call)
        if pair is not None and pair.room is None and not pair.over:
            await self._pairs.forget(pair)

    async def _is_child(self, call: CallSid) -> bool:
        seen = await self._account.call(call)
        return seen is not None and seen.parent is not None

    async def _other_end(self, call: CallSid) -> CallSnapshot | None:
        """The other end of the Dial that joined this call, if it is on the phone."""
        seen = await self._account.call(call)
        if seen is None:
            return None
        if seen.parent is not None:
            parent = await self._account.call(seen.parent)
            return parent if parent is not None and parent.talking else None
        children = [one for one in await self._account.calls(parent=call) if one.talking]
        return children[0] if len(children) == 1 else None


def _why(told: Message) -> str:
    return told.why if isinstance(told, Fail | CallOver) else "the account did not show it"
