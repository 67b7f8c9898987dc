"""This module logs holds: it saves every change of every hold, and notifies watchers.

If the store fails, new holds are refused before anything is touched; all other changes still take effect, because a
held party must be resumed on a full disk too. Unsaved changes are in force, visible, and written as soon as the store
accepts writes.
"""

import asyncio
import logging
import secrets
from collections import Counter, deque
from collections.abc import AsyncIterator, Callable, Mapping, Sequence

from holdfast.holds.errors import HoldUnknown, StoreError
from holdfast.holds.hold import (
    Effect,
    Hold,
    Message,
    RecordEvent,
    RefuseHoldMessage,
    Status,
    WayName,
    open_hold,
    phone_hold,
    step,
)
from holdfast.holds.ids import CallSid, HoldId
from holdfast.holds.ports import ClockPort, HoldEvent, HoldStore

EVENT_BATCH = 500
MAX_UNSAVED = 10_000
"""How many changes wait for a store that accepts no writes, unless there are more holds."""
FLUSH_SIZE = 20
"""How many of them are written while a party waits for its hold or resume; the rest is written at the next check."""
MAX_ACTIVE = 1_000_000
"""More holds than can be active at a time."""

_log = logging.getLogger("holdfast.holds.history.hold_log")


class HoldLog:
    """A hold log has the active holds in memory, all holds in the store, and the events of both."""

    def __init__(self, store: HoldStore, clock: ClockPort, *, new_id: Callable[[], HoldId] | None = None) -> None:
        self._store = store
        self._clock = clock
        self._new_id = new_id or _random_id
        self._active: dict[HoldId, Hold] = {}
        self._by_call: dict[CallSid, HoldId] = {}
        self._phone_by_call: dict[CallSid, HoldId] = {}
        self._unsaved: deque[tuple[Hold, tuple[RecordEvent, ...], float]] = deque()
        """Changes that the store has not saved yet, oldest first, each with its time."""
        self._flushing = asyncio.Lock()
        self._changed = asyncio.Event()
        self._closed = False
        self.ended_counts: Counter[tuple[WayName | None, Status]] = Counter()
        """How many holds ended since the start, by way and final status."""
        self.refused_counts: Counter[tuple[Status, str]] = Counter()
        """How many messages were refused since the start, by the status of the hold and the name of the message."""

    async def load(self) -> None:
        """Load the holds that were active when the store was last closed."""
        for hold in reversed(await self._store.holds(active_only=True, limit=MAX_ACTIVE)):
            self._active.setdefault(hold.id, hold)
            self._index(hold).setdefault(hold.call, hold.id)

    def active(self) -> tuple[Hold, ...]:
        """Return every active hold."""
        return tuple(self._active.values())

    def ids(self) -> tuple[HoldId, ...]:
        """Return the ids of the active holds."""
        return tuple(self._active)

    def of_call(self, call: CallSid) -> Hold | None:
        """Return the active hold of this call that was requested from us."""
        id = self._by_call.get(call)
        return None if id is None else self._active[id]

    def phone_holds(self) -> Mapping[CallSid, Hold]:
        """Return the active holds by phones. A call may have one of these and one of ours."""
        return {call: self._active[id] for call, id in self._phone_by_call.items()}

    def _index(self, hold: Hold) -> dict[CallSid, HoldId]:
        return self._phone_by_call if hold.way is WayName.PHONE else self._by_call

    async def get(self, id: HoldId) -> Hold:
        """Return a hold, active or ended. Raises: HoldUnknown."""
        hold = self._active.get(id) or self._unsaved_holds().get(id) or await self._store.hold(id)
        if hold is None:
            raise HoldUnknown(f"there is no hold {id}", fix="GET /holds lists them.", hold=id)
        return hold

    async def latest_of_call(self, call: CallSid) -> Hold | None:
        """Return the active hold of this call, else the newest that has ended."""
        unsaved = [hold for hold in self._unsaved_holds().values() if hold.call == call]
        return self.of_call(call) or (unsaved[-1] if unsaved else await self._store.latest_of_call(call))

    async def list(self, *, active_only: bool, limit: int) -> list[Hold]:
        """Return holds, newest first."""
        known = {hold.id: hold for hold in await self._store.holds(active_only=active_only, limit=limit)}
        known |= self._unsaved_holds()
        chosen = [hold for hold in known.values() if hold.active or not active_only]
        return sorted(chosen, key=lambda hold: hold.asked_at, reverse=True)[:limit]

    def _unsaved_holds(self) -> dict[HoldId, Hold]:
        return {hold.id: hold for hold, _, _ in self._unsaved}

    async def open(
        self,
        call: CallSid,
        *,
        by: str | None = None,
        reason: str | None = None,
        music: str | None = None,
        limit_s: float | None = None,
    ) -> Hold:
        """Open a hold. Raises: StoreError when it cannot be saved: then there is no hold."""
        now = self._clock.now()
        hold, records = open_hold(
            id=self._new_id(), call=call, now=now, by=by, reason=reason, music=music, limit_s=limit_s
        )
        self._active[hold.id] = hold
        self._by_call[call] = hold.id
        try:
            await self._store.save_hold(hold, records, at=now)
        except StoreError:
            # After a crash no service would know that the party waits.
            del self._active[hold.id], self._by_call[call]
            raise
        self._notify()
        return hold

    async def open_phone_hold(self, call: CallSid, *, since: float) -> None:
        """Record that a phone holds by itself."""
        hold, records = phone_hold(id=self._new_id(), call=call, since=since)
        self._active[hold.id] = hold
        self._phone_by_call[call] = hold.id
        await self._save(hold, records)

    async def handle(self, id: HoldId, message: Message) -> tuple[Hold, tuple[Effect, ...]]:
        """Handle a message for a hold; return the hold after it, and its effects."""
        before = await self.get(id)
        hold, effects = step(before, message, self._clock.now())
        for effect in effects:
            if isinstance(effect, RefuseHoldMessage):
                _log.info("hold=%s fact=MessageRefused status=%s message=%s", id, effect.status, effect.message)
                self.refused_counts[effect.status, effect.message] += 1
        if hold is before:
            return hold, effects
        if hold.active:
            self._active[id] = hold
        else:
            self._active.pop(id, None)
            index = self._index(hold)
            if index.get(hold.call) == id:
                del index[hold.call]
            self.ended_counts[hold.way, hold.status] += 1
        await self._save(hold, tuple(effect for effect in effects if isinstance(effect, RecordEvent)))
        return hold, effects

    async def _save(self, hold: Hold, records: tuple[RecordEvent, ...]) -> None:
        at = self._clock.now()
        if self._unsaved:
            self._defer(hold, records, at)
            self._notify()
            if not self._flushing.locked():
                await self.flush(limit=FLUSH_SIZE)
            return
        try:
            await self._store.save_hold(hold, records, at=at)
        except StoreError as error:
            _log.error("hold=%s call=%s fact=NotKept why=%s", hold.id, hold.call, error.message)
            self._defer(hold, records, at)
        self._notify()

    def _defer(self, hold: Hold, records: tuple[RecordEvent, ...], at: float) -> None:
        """Keep a change for later.

        Of very many the oldest one that a newer change replaces is dropped; only its history is lost.
        """
        self._unsaved.append((hold, records, at))
        if len(self._unsaved) > MAX_UNSAVED:
            newest = {hold.id: number for number, (hold, _, _) in enumerate(self._unsaved)}
            stale = next((n for n, (hold, _, _) in enumerate(self._unsaved) if newest[hold.id] > n), None)
            if stale is not None:
                dropped, _, _ = self._unsaved[stale]
                del self._unsaved[stale]
                _log.error("hold=%s call=%s fact=HistoryLost why=the store accepts no writes", dropped.id, dropped.call)

    async def flush(self, *, limit: int = MAX_ACTIVE) -> None:
        """Write unsaved changes in their order. After a failure the next flush tries again."""
        async with self._flushing:
            for _ in range(limit):
                if not self._unsaved:
                    return
                oldest = self._unsaved[0]
                hold, records, at = oldest
                try:
                    await self._store.save_hold(hold, records, at=at)
                except StoreError:
                    return
                if self._unsaved[0] is oldest:  # else it was dropped meanwhile
                    self._unsaved.popleft()
                self._notify()

    def log_lost(self) -> None:
        """Log the holds whose last state the store has not saved; there is no later attempt."""
        for id, hold in self._unsaved_holds().items():
            _log.error("hold=%s call=%s fact=Lost status=%s", id, hold.call, hold.status)

    def _notify(self) -> None:
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()

    async def watch(self, *, after: int | None = None) -> AsyncIterator[HoldEvent]:
        """Yield events as they happen, after the event `after`; None: from now on. Ends when the log is closed."""
        last = await self._store.last_event_id() if after is None else after
        while not self._closed:
            changed = self._changed
            events = await self._store.events(after=last, limit=EVENT_BATCH)
            for event in events:
                last = event.id
                yield event
            if not events:
                await changed.wait()

    async def events(self, *, after: int, limit: int) -> Sequence[HoldEvent]:
        """Return the history after this event id, oldest first."""
        return await self._store.events(after=after, limit=limit)

    async def last_event_id(self) -> int:
        """Return the id of the newest event."""
        return await self._store.last_event_id()

    @property
    def changed(self) -> asyncio.Event:
        """Return an event that is set when the next hold event happens, or the log is closed."""
        return self._changed

    @property
    def closed(self) -> bool:
        """Return whether the log is closed."""
        return self._closed

    def close(self) -> None:
        """Close the log, and end every watch."""
        self._closed = True
        self._notify()


def _random_id() -> HoldId:
    return HoldId("HO" + secrets.token_hex(16))
