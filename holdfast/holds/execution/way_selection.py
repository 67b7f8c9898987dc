"""This module selects the way to hold a call, from what the account and the application show.

A call that is refused is not touched.
"""

from dataclasses import dataclass

from holdfast.holds.account.snapshots import CallSnapshot
from holdfast.holds.conference import planner as conference_planner
from holdfast.holds.conference.executor import ConferenceExecutor, FoundParticipant
from holdfast.holds.errors import BadInput, CallNotInProgress, HoldFailed, HoldRefused
from holdfast.holds.hold import CallEnded
from holdfast.holds.ids import CallSid, is_call_sid
from holdfast.holds.legs import planner as legs_planner
from holdfast.holds.legs.executor import LegsExecutor
from holdfast.holds.legs.pair_index import PairIndex
from holdfast.holds.ports import AccountPort
from holdfast.holds.steps.account_steps import Refusal
from holdfast.holds.steps.pair import LegState, Pair, pair_of_dial


@dataclass(frozen=True, slots=True, kw_only=True)
class InConference:
    """The call is in a conference."""

    found: FoundParticipant
    owner_call: CallSid | None
    """The owner's own call, if it is in the same conference."""


@dataclass(frozen=True, slots=True, kw_only=True)
class InPair:
    """The call is one of two legs whose continuations are ours."""

    pair: Pair


class WaySelector:
    """A way selector finds the way for a call."""

    def __init__(
        self,
        account: AccountPort,
        conferences: ConferenceExecutor,
        legs: LegsExecutor | None,
        pairs: PairIndex,
        *,
        convert: bool,
        continue_url: str | None,
    ) -> None:
        self._account = account
        self._conferences = conferences
        self._legs = legs
        self._pairs = pairs
        self._convert = convert
        self._continue_url = continue_url

    async def select(self, call: CallSid, *, owner: str | None) -> InConference | InPair | Refusal:
        """Return how this call can be held, or why it cannot.

        Raises: AccountError; HoldFailed when moving the pair into a conference failed.
        """
        pair = self._pairs.of(call)
        if pair is not None and not pair.over and pair.room is None:
            if self._convert and pair.parent.state is LegState.PARENT:
                return await self._convert_pair(pair, call, owner)
            return InPair(pair=pair)
        found = await self._conferences.find(call)
        if found is not None:
            return _in_conference(found, owner)
        seen = await self._account.call(call)
        if seen is None:
            return Refusal(why=f"the account knows no call {call}", call_ended=True)
        if not seen.live:
            return Refusal(why=f"the call is over ({seen.status})", call_ended=True)
        if not seen.talking:
            return Refusal(why=f"the call has not been answered yet (it is {seen.status})", fix="Hold it once it is.")
        if await self._joined_by_dial(seen):
            return legs_planner.unknown_continuation(self._continue_url)
        found = await self._conferences.await_forming(call)
        if found is not None:
            return _in_conference(found, owner)
        return Refusal(
            why="the call is in no conference and talks to no other party", fix=conference_planner.HOW_TO_JOIN
        )

    async def _convert_pair(self, pair: Pair, call: CallSid, owner: str | None) -> InConference | Refusal:
        if self._legs is None:
            return Refusal(why="the account cannot reach this service", fix="Set public_url.")
        failure = await self._legs.convert(pair)
        if isinstance(failure, CallEnded):
            return Refusal(why=failure.why, call_ended=True)
        if failure is not None:
            raise HoldFailed(failure.why)
        other = pair.other(call).call
        found = await self._conferences.await_forming(call, beside=other)
        if found is None:
            raise HoldFailed("the two parties did not come together in a conference")
        return _in_conference(found, owner)

    async def _joined_by_dial(self, seen: CallSnapshot) -> bool:
        """Return whether this call is an end of a plain Dial that still runs."""
        if seen.parent is not None:
            parent = await self._account.call(seen.parent)
            if parent is not None and parent.live:
                return True
        return any(child.live for child in await self._account.calls(parent=seen.sid))

    async def add_served_pair(self, call: CallSid) -> None:
        """Record the pair of a Dial that we served, if its child has not reported yet."""
        if self._pairs.of(call) is not None or not self._pairs.has_served():
            return
        seen = await self._account.call(call)
        if seen is None or not seen.talking:
            return
        if self._pairs.is_served(seen.sid):
            children = [child for child in await self._account.calls(parent=seen.sid) if child.talking]
            if len(children) == 1:
                await self._pairs.put(
                    pair_of_dial(parent=call, child=children[0].sid, after=self._pairs.after_url(call))
                )
        elif seen.parent is not None and self._pairs.is_served(seen.parent):
            await self._pairs.put(
                pair_of_dial(parent=seen.parent, child=call, after=self._pairs.after_url(seen.parent))
            )

    async def adopt(self, parent: CallSid, child: CallSid | None, after: str | None) -> Pair:
        """Record the pair of these two calls, and return it. Raises as `Holds.adopt`."""
        if self._legs is None:
            raise BadInput(
                "two legs are held by webhooks, and the account cannot reach this service",
                fix="Give Holds(…, public_url=…) and serve holdfast.holds.web.app there.",
            )
        known = self._pairs.of(parent)
        if known is not None and not known.over and child in (None, known.child.call):
            return known
        seen = await self._account.call(parent)
        if seen is None or not seen.live:
            raise CallNotInProgress(f"the parent call {parent} is over")
        children = [call for call in await self._account.calls(parent=parent) if call.talking]
        if child is None and len(children) == 1:
            child = children[0].sid
        if child is None:
            raise HoldRefused(
                f"{parent} has {len(children)} answered children, and none was named",
                fix="Adopt once the child has answered: holds.adopt(parent, child).",
            )
        if all(call.sid != child for call in children):
            raise HoldRefused(
                f"{child} is not an answered child of {parent}",
                fix="The parent is the call that runs the <Dial>; the child the call it made.",
            )
        pair = pair_of_dial(parent=parent, child=child, after=after)
        await self._pairs.put(pair)
        return pair


def _in_conference(found: FoundParticipant, owner: str | None) -> InConference:
    owner_call = CallSid(owner) if owner is not None and is_call_sid(owner) else None
    if owner_call is not None and found.room.participant(owner_call) is None:
        owner_call = None
    return InConference(found=found, owner_call=owner_call)
