"""A memory that lasts as long as the process: for programs that use holds as a library, and for tests."""

from collections.abc import Sequence

from holdfast.holds.history.serialization import numbered
from holdfast.holds.hold import Hold, RecordEvent
from holdfast.holds.ids import CallSid, HoldId
from holdfast.holds.ports import HoldEvent
from holdfast.holds.steps.pair import Pair

KEEP_EVENTS = 10_000
KEEP_ENDED = 10_000


class MemoryStore:
    """Implements the `HoldStore` port in plain dictionaries; the oldest history goes when there is too much."""

    def __init__(self) -> None:
        self._holds: dict[HoldId, Hold] = {}
        self._events: list[HoldEvent] = []
        self._last = 0
        self._pairs: dict[CallSid, Pair] = {}

    async def save_hold(self, hold: Hold, tells: Sequence[RecordEvent], *, at: float) -> Sequence[HoldEvent]:
        self._holds[hold.id] = hold
        new = numbered(hold, tells, after=self._last, at=at)
        self._last += len(new)
        self._events.extend(new)
        del self._events[:-KEEP_EVENTS]
        if len(self._holds) > KEEP_ENDED:
            self._forget_oldest()
        return new

    def _forget_oldest(self) -> None:
        ended = [hold for hold in self._holds.values() if not hold.active]
        for hold in ended[: len(ended) // 2]:
            del self._holds[hold.id]

    async def hold(self, hold: HoldId) -> Hold | None:
        return self._holds.get(hold)

    async def holds(self, *, active_only: bool = False, limit: int = 1000) -> Sequence[Hold]:
        chosen = [hold for hold in self._holds.values() if hold.active or not active_only]
        chosen.sort(key=lambda hold: hold.asked_at, reverse=True)
        return chosen[:limit]

    async def last_of(self, call: CallSid) -> Hold | None:
        of_call = [hold for hold in self._holds.values() if hold.call == call]
        return max(of_call, key=lambda hold: hold.asked_at, default=None)

    async def events(self, *, after: int = 0, limit: int = 1000) -> Sequence[HoldEvent]:
        return [event for event in self._events if event.id > after][:limit]

    async def last_event(self) -> int:
        return self._last

    async def save_pair(self, pair: Pair) -> None:
        self._pairs[pair.parent.call] = pair

    async def forget_pair(self, parent: CallSid) -> None:
        self._pairs.pop(parent, None)

    async def pairs(self) -> Sequence[Pair]:
        return list(self._pairs.values())
