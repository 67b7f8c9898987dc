"""This module finds the pairs of legs whose continuations are ours by either call."""

import asyncio
import logging
from collections import OrderedDict

from holdfast.holds.errors import StoreError
from holdfast.holds.ids import CallSid
from holdfast.holds.ports import HoldStore
from holdfast.holds.steps.pair import Pair, queue_name

MAX_SERVED = 10_000

_log = logging.getLogger("holdfast.holds.legs.pair_index")


class PairIndex:
    """A pair index has every active pair, saves it in the store, and notifies when a pair changes.

    A change is in force at once, before it is saved: webhooks about the same pair are answered meanwhile. A store that
    fails is written later: parties are joined all the same.
    """

    def __init__(self, store: HoldStore) -> None:
        self._store = store
        self._by_call: dict[CallSid, Pair] = {}
        self._changed: dict[CallSid, asyncio.Event] = {}
        self._served: OrderedDict[CallSid, str | None] = OrderedDict()
        self.leftover_queues: set[str] = set()
        """Names of queues that an earlier run may have opened, for pairs that are still active."""
        self._unsaved: set[CallSid] = set()
        """Parents of the pairs of which the store has another state, or none."""

    async def load(self) -> None:
        """Load the pairs of the store."""
        for pair in await self._store.pairs():
            for call in (pair.parent.call, pair.child.call):
                self._by_call.setdefault(call, pair)
                self.leftover_queues.add(queue_name(call))

    def of(self, call: CallSid) -> Pair | None:
        """Return the pair that this call belongs to."""
        return self._by_call.get(call)

    def all(self) -> tuple[Pair, ...]:
        """Return every pair, once."""
        return tuple({pair.parent.call: pair for pair in self._by_call.values()}.values())

    async def put(self, pair: Pair) -> None:
        """Store the new state of a pair."""
        before = self._by_call.get(pair.parent.call)
        if before == pair:
            return
        if before is not None and before.child.call != pair.child.call:
            self._by_call.pop(before.child.call, None)
        for call in (pair.parent.call, pair.child.call):
            self._by_call[call] = pair
        self._notify(pair.parent.call)
        await self._save(pair.parent.call)

    async def forget(self, pair: Pair) -> None:
        """Remove a pair that is over."""
        for call in (pair.parent.call, pair.child.call):
            known = self._by_call.get(call)
            if known is not None and known.parent.call == pair.parent.call:
                del self._by_call[call]
        self._served.pop(pair.parent.call, None)
        self._notify(pair.parent.call)
        await self._save(pair.parent.call)

    async def flush(self) -> None:
        """Write to the store what it could not save so far."""
        for parent in tuple(self._unsaved):
            await self._save(parent)

    async def _save(self, parent: CallSid) -> None:
        """Write the state of this parent's pair to the store."""
        pair = self._by_call.get(parent)
        try:
            if pair is None or pair.parent.call != parent:
                await self._store.remove_pair(parent)
            else:
                await self._store.save_pair(pair)
        except StoreError as error:
            if parent not in self._unsaved:
                _log.error("call=%s fact=PairNotKept why=%s", parent, error.message)
            self._unsaved.add(parent)
        else:
            self._unsaved.discard(parent)

    def changed(self, pair: Pair) -> asyncio.Event:
        """Return an event that is set when this pair changes next."""
        return self._changed.setdefault(pair.parent.call, asyncio.Event())

    def _notify(self, parent: CallSid) -> None:
        changed = self._changed.pop(parent, None)
        if changed is not None:
            changed.set()

    # Dials we served whose child has not made itself known.

    def add_served(self, parent: CallSid, after: str | None) -> None:
        """Record that this call runs a Dial of ours."""
        self._served[parent] = after
        self._served.move_to_end(parent)
        while len(self._served) > MAX_SERVED:
            self._served.popitem(last=False)

    def has_served(self) -> bool:
        """Return whether any call runs a Dial of ours."""
        return bool(self._served)

    def is_served(self, parent: CallSid) -> bool:
        """Return whether this call runs a Dial of ours."""
        return parent in self._served

    def after_url(self, parent: CallSid) -> str | None:
        """Return where a call continues that runs a Dial of ours."""
        return self._served.get(parent)
