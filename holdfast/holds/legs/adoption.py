"""This module records pairs of legs: of a Dial that we served, and of one that the application declares as ours."""

from holdfast.holds.errors import BadInput, CallNotInProgress, HoldRefused
from holdfast.holds.ids import CallSid
from holdfast.holds.legs.pair_index import PairIndex
from holdfast.holds.ports import AccountPort
from holdfast.holds.steps.pair import Pair, pair_of_dial


class PairAdoption:
    """A pair adoption records the two ends of a plain Dial whose continuation is ours."""

    def __init__(self, account: AccountPort, pairs: PairIndex, *, reachable: bool) -> None:
        self._account = account
        self._pairs = pairs
        self._reachable = reachable
        """Whether the account can reach this service: two legs are held by its webhooks."""

    async def add_served(self, call: CallSid) -> None:
        """Record the pair of a Dial that we served, if its child has not reported yet."""
        seen = await self._account.call(call)
        if seen is None or not seen.talking:
            return
        if self._pairs.is_served(seen.sid):
            children = await self._answered_children(seen.sid)
            if len(children) == 1:
                await self._put(call, children[0], self._pairs.after_url(call))
        elif seen.parent is not None and self._pairs.is_served(seen.parent):
            await self._put(seen.parent, call, self._pairs.after_url(seen.parent))

    async def add_child(self, parent: CallSid, child: CallSid, after: str | None) -> None:
        """Record the child of a Dial that we served, once it has answered."""
        if self._reachable and self._pairs.of(parent) is None and self._pairs.of(child) is None:
            await self._put(parent, child, after)

    async def adopt(self, parent: CallSid, child: CallSid | None, after: str | None) -> Pair:
        """Record the pair of these two calls, and return it. Raises as `Holds.adopt`."""
        if not self._reachable:
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
        children = await self._answered_children(parent)
        if child is None and len(children) == 1:
            child = children[0]
        if child is None:
            raise HoldRefused(
                f"{parent} has {len(children)} answered children, and none was named",
                fix="Adopt once the child has answered: holds.adopt(parent, child).",
            )
        if child not in children:
            raise HoldRefused(
                f"{child} is not an answered child of {parent}",
                fix="The parent is the call that runs the <Dial>; the child the call it made.",
            )
        return await self._put(parent, child, after)

    async def _answered_children(self, parent: CallSid) -> list[CallSid]:
        return [call.sid for call in await self._account.calls(parent=parent) if call.talking]

    async def _put(self, parent: CallSid, child: CallSid, after: str | None) -> Pair:
        pair = pair_of_dial(parent=parent, child=child, after=after)
        await self._pairs.put(pair)
        return pair
