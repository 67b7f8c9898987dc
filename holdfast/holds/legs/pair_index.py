"""The two-leg calls whose continuations are ours, found by either call."""

import asyncio
import logging
from collections import OrderedDict

from holdfast.holds.errors import StoreTrouble
from holdfast.holds.ids import CallSid
from holdfast.holds.ports import HoldStore
from holdfast.holds.steps.pair import Pair, queue_of

KEEP_SERVED = 10_000

_log = logging.getLogger("holdfast.holds.legs.pair_index")


class PairIndex:
    """Every pair that goes on, kept in the store, with news when one changes.

    A change is in force at once and awaits its keeping: webhooks about the same pair are answered meanwhile. A store
    that fails is told later: parties are brought together all the same.
    """

    def __init__(self, store: HoldStore) -> None:
        self._store = store
        self._by_call: dict[CallSid, Pair] = {}
        self._news: dict[CallSid, asyncio.Event] = {}
        self._served: OrderedDict[CallSid, str | None] = OrderedDict()
        self.left_behind: set[str] = set()
        """Names of queues that an earlier run may have opened, for pairs that still go on."""
        self._late: set[CallSid] = set()
        """Parents of the pairs the store does not know as they are."""

    async def load(self) -> None:
        """Take over the pairs the store knows."""
        for pair in await self._store.pairs():
            for call in (pair.parent.call, pair.child.call):
                self._by_call.setdefault(call, pair)
                self.left_behind.add(queue_of(call))

    def of(self, call: CallSid) -> Pair | None:
        """The pair this call is in."""
        return self._by_call.get(call)

    def all(self) -> tuple[Pair, ...]:
        """Every pair, once."""
        return tuple({pair.parent.call: pair for pair in self._by_call.values()}.values())

    async def put(self, pair: Pair) -> None:
        """Let the pair be so from now on."""
        before = self._by_call.get(pair.parent.call)
        if before == pair:
            return
        if before is not None and before.child.call != pair.child.call:
            self._by_call.pop(before.child.call, None)
        for call in (pair.parent.call, pair.child.call):
            self._by_call[call] = pair
        self._tell(pair.parent.call)
        await self._keep(pair.parent.call)

    async def forget(self, pair: Pair) -> None:
        """Let go of a pair that is over and done with."""
        for call in (pair.parent.call, pair.child.call):
            known = self._by_call.get(call)
            if known is not None and known.parent.call == pair.parent.call:
                del self._by_call[call]
        self._served.pop(pair.parent.call, None)
        self._tell(pair.parent.call)
        await self._keep(pair.parent.call)

    async def catch_up(self) -> None:
        """Tell the store what it could not keep so far."""
        for parent in tuple(self._late):
            await self._keep(parent)

    async def _keep(self, parent: CallSid) -> None:
        """Let the store know of this parent's pair what we know."""
        pair = self._by_call.get(parent)
        try:
            if pair is None or pair.parent.call != parent:
                await self._store.forget_pair(parent)
            else:
                await self._store.save_pair(pair)
        except StoreTrouble as error:
            if parent not in self._late:
                _log.error("call=%s fact=PairNotKept why=%s", parent, error.message)
            self._late.add(parent)
        else:
            self._late.discard(parent)

    def news(self, pair: Pair) -> asyncio.Event:
        """Set when this pair changes next."""
        return self._news.setdefault(pair.parent.call, asyncio.Event())

    def _tell(self, parent: CallSid) -> None:
        news = self._news.pop(parent, None)
        if news is not None:
            news.set()

    # Dials we served whose child has not made itself known.

    def serve(self, parent: CallSid, after: str | None) -> None:
        """Remember that this call runs a Dial of ours."""
        self._served[parent] = after
        self._served.move_to_end(parent)
        while len(self._served) > KEEP_SERVED:
            self._served.popitem(last=False)

    def any_served(self) -> bool:
        """Whether there is any call that runs a Dial of ours."""
        return bool(self._served)

    def served(self, parent: CallSid) -> bool:
        """Whether this call runs a Dial of ours."""
        return parent in self._served

    def after(self, parent: CallSid) -> str | None:
        """Where a call goes on that runs a Dial of ours."""
        return self._served.get(parent)
