"""Which way a call can be held, from what the account shows and what we were told. Refused calls are not touched."""

from dataclasses import dataclass

from holdfast.holds.account.snapshots import CallSnapshot
from holdfast.holds.conference import planner as conference_planner
from holdfast.holds.conference.executor import ConferenceExecutor, Found
from holdfast.holds.errors import BadInput, CallNotInProgress, HoldFailed, HoldRefused
from holdfast.holds.hold import CallOver
from holdfast.holds.ids import CallSid, is_call_sid
from holdfast.holds.legs import planner as legs_planner
from holdfast.holds.legs.executor import LegsExecutor
from holdfast.holds.legs.pair_index import PairIndex
from holdfast.holds.ports import AccountPort
from holdfast.holds.steps.account_steps import Refusal
from holdfast.holds.steps.pair import Pair, Place, join


@dataclass(frozen=True, slots=True, kw_only=True)
class InConference:
    """The call is in a conference."""

    found: Found
    owner_call: CallSid | None
    """The owner's own call, if that is in the same room."""


@dataclass(frozen=True, slots=True, kw_only=True)
class InPair:
    """The call is one of two legs whose continuations are ours."""

    pair: Pair


class WaySelector:
    """Finds the way for a call."""

    def __init__(
        self,
        account: AccountPort,
        conferences: ConferenceExecutor,
        by_legs: LegsExecutor | None,
        pairs: PairIndex,
        *,
        convert: bool,
        continue_url: str | None,
    ) -> None:
        self._account = account
        self._conferences = conferences
        self._legs = by_legs
        self._pairs = pairs
        self._convert = convert
        self._continue_url = continue_url

    async def way(self, call: CallSid, *, owner: str | None) -> InConference | InPair | Refusal:
        """How this call can be held, or why it cannot.

        Raises: AccountTrouble; HoldFailed when moving the pair into a conference failed.
        """
        pair = self._pairs.of(call)
        if pair is not None and not pair.over and pair.room is None:
            if self._convert and pair.parent.place is Place.PARENT:
                return await self._converted(pair, call, owner)
            return InPair(pair=pair)
        found = await self._conferences.find(call)
        if found is not None:
            return _in_room(found, owner)
        seen = await self._account.call(call)
        if seen is None:
            return Refusal(why=f"the account knows no call {call}", gone=True)
        if not seen.live:
            return Refusal(why=f"the call is over ({seen.status})", gone=True)
        if not seen.talking:
            return Refusal(why=f"the call has not been answered yet (it is {seen.status})", fix="Hold it once it is.")
        if await self._joined_by_dial(seen):
            return legs_planner.unknown(self._continue_url)
        found = await self._conferences.await_forming(call)
        if found is not None:
            return _in_room(found, owner)
        return Refusal(why="the call is in no conference and talks to nobody", fix=conference_planner.WAYS_IN)

    async def _converted(self, pair: Pair, call: CallSid, owner: str | None) -> InConference | Refusal:
        if self._legs is None:
            return Refusal(why="there is no address the account reaches us at", fix="Set public_url.")
        trouble = await self._legs.convert(pair)
        if isinstance(trouble, CallOver):
            return Refusal(why=trouble.why, gone=True)
        if trouble is not None:
            raise HoldFailed(trouble.why)
        other = pair.other(call).call
        found = await self._conferences.await_forming(call, beside=other)
        if found is None:
            raise HoldFailed("the two parties did not come together in a conference")
        return _in_room(found, owner)

    async def _joined_by_dial(self, seen: CallSnapshot) -> bool:
        """Whether this call is an end of a plain Dial that goes on."""
        if seen.parent is not None:
            parent = await self._account.call(seen.parent)
            if parent is not None and parent.live:
                return True
        return any(child.live for child in await self._account.calls(parent=seen.sid))

    async def introduce(self, call: CallSid) -> None:
        """Make the pair of a Dial we served known, if its child has not made itself known."""
        if self._pairs.of(call) is not None or not self._pairs.any_served():
            return
        seen = await self._account.call(call)
        if seen is None or not seen.talking:
            return
        if self._pairs.served(seen.sid):
            children = [one for one in await self._account.calls(parent=seen.sid) if one.talking]
            if len(children) == 1:
                await self._pairs.put(join(parent=call, child=children[0].sid, after=self._pairs.after(call)))
        elif seen.parent is not None and self._pairs.served(seen.parent):
            await self._pairs.put(join(parent=seen.parent, child=call, after=self._pairs.after(seen.parent)))

    async def adopt(self, parent: CallSid, child: CallSid | None, after: str | None) -> Pair:
        """The pair of these two, made known. Raises as `Holds.adopt`."""
        if self._legs is None:
            raise BadInput(
                "two legs are held by webhooks, and there is no address the account reaches us at",
                fix="Give Holds(…, public_url=…) and serve holdfast.holds.web.app there.",
            )
        known = self._pairs.of(parent)
        if known is not None and not known.over and child in (None, known.child.call):
            return known
        seen = await self._account.call(parent)
        if seen is None or not seen.live:
            raise CallNotInProgress(f"the parent call {parent} is over")
        children = [one for one in await self._account.calls(parent=parent) if one.talking]
        if child is None and len(children) == 1:
            child = children[0].sid
        if child is None:
            raise HoldRefused(
                f"{parent} has {len(children)} answered children, and none was named",
                fix="Adopt once the child has answered: holds.adopt(parent, child).",
            )
        if all(one.sid != child for one in children):
            raise HoldRefused(
                f"{child} is not an answered child of {parent}",
                fix="The parent is the call that runs the <Dial>; the child the call it made.",
            )
        pair = join(parent=parent, child=child, after=after)
        await self._pairs.put(pair)
        return pair


def _in_room(found: Found, owner: str | None) -> InConference:
    owner_call = CallSid(owner) if owner is not None and is_call_sid(owner) else None
    if owner_call is not None and found.room.participant(owner_call) is None:
        owner_call = None
    return InConference(found=found, owner_call=owner_call)
