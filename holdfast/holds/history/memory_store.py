"""This module has a store that lasts as long as the process: for programs that use the library, and for tests."""

from collections.abc import Sequence

from holdfast.holds.history.serialization import number_events
from holdfast.holds.hold import Hold, RecordEvent
from holdfast.holds.ids import CallSid, HoldId
from holdfast.holds.ports import HoldEvent
from holdfast.holds.steps.pair import Pair

MAX_EVENTS = 10_000
MAX_HOLDS = 10_000


class MemoryStore:
    """A memory store implements the `HoldStore` port in plain dictionaries.

    It removes the oldest history when there is too much.
    """

    def __init__(self) -> None:
        self._holds: dict[HoldId, Hold] = {}
        self._events: list[HoldEvent] = []
        self._last = 0
        self._pairs: dict[CallSid, Pair] = {}

    async def save_hold(self, hold: Hold, records: Sequence[RecordEvent], *, at: float) -> Sequence[HoldEvent]:
        """Save this state of a hold, and number its new lines of history."""
        self._holds[hold.id] = hold
        new = number_events(hold, records, after=self._last, at=at)
        self._last += len(new)
        self._events.extend(new)
        del self._events[:-MAX_EVENTS]
        if len(self._holds) > MAX_HOLDS:
            self._forget_oldest()
        return new

    def _forget_oldest(self) -> None:
        ended = [hold for hold in self._holds.values() if not hold.active]
        for hold in ended[: len(ended) // 2]:
            del self._holds[hold.id]

    async def hold(self, hold: HoldId) -> Hold | None:
        """Return this hold, if the store has it."""
        return self._holds.get(hold)

    async def holds(self, *, active_only: bool = False, limit: int = 1000) -> Sequence[Hold]:
        """Return holds, newest first."""
        chosen = [hold for hold in self._holds.values() if hold.active or not active_only]
        chosen.sort(key=lambda hold: hold.asked_at, reverse=True)
        return chosen[:limit]

    async def latest_of_call(self, call: CallSid) -> Hold | None:
        """Return the newest hold of this call, active or ended."""
        of_call = [hold for hold in self._holds.values() if hold.call == call]
        return max(of_call, key=lambda hold: hold.asked_at, default=None)

    async def events(self, *, after: int = 0, limit: int = 1000) -> Sequence[HoldEvent]:
        """Return the history after this event id, oldest first."""
        return [event for event in self._events if event.id > after][:limit]

    async def last_event_id(self) -> int:
        """Return the id of the newest event; 0 when there is none."""
        return self._last

    async def save_pair(self, pair: Pair) -> None:
        """Save a pair in place of the one that the store has for its parent."""
        self._pairs[pair.parent.call] = pair

    async def remove_pair(self, parent: CallSid) -> None:
        """Remove the pair of this parent."""
        self._pairs.pop(parent, None)

    async def pairs(self) -> Sequence[Pair]:
        """Return every pair."""
        return list(self._pairs.values())
