"""The book of holds: every change of every hold, kept, and told to those who watch.

A store that fails keeps no new hold from being refused, untouched, and no other change from being made: a held party
must come back on a full disk too. What was not kept is in force, shown, and written as soon as the store takes it.
"""

import asyncio
import logging
from collections import Counter, deque
from collections.abc import AsyncIterator, Mapping, Sequence

from holdfast.holds.errors import HoldUnknown, StoreTrouble
from holdfast.holds.hold import Effect, Hold, Message, RecordEvent, Status, WayName, ask, seen, step
from holdfast.holds.ids import CallSid, HoldId
from holdfast.holds.ports import ClockPort, HoldEvent, HoldStore

BATCH = 500
MOST_LATE = 10_000
"""How many changes wait for a store that takes nothing, unless there are more holds."""
AT_ONCE = 20
"""How many of them a party waits for that is held or comes back; the rest is written at the next look."""
MOST_ACTIVE = 1_000_000
"""More holds than can be going on at a time."""

_log = logging.getLogger("holdfast.holds.history.hold_log")


class HoldLog:
    """The holds that go on, in memory; all of them, in the store; and the news of both."""

    def __init__(self, store: HoldStore, clock: ClockPort) -> None:
        self._store = store
        self._clock = clock
        self._active: dict[HoldId, Hold] = {}
        self._by_call: dict[CallSid, HoldId] = {}
        self._by_phone: dict[CallSid, HoldId] = {}
        self._late: deque[tuple[Hold, tuple[RecordEvent, ...], float]] = deque()
        """Changes the store has not kept yet, oldest first, each with when it was made."""
        self._catching_up = asyncio.Lock()
        self._news = asyncio.Event()
        self._closed = False
        self.ended: Counter[tuple[WayName | None, Status]] = Counter()
        """How many holds ended since the start, by their way and how they did."""

    async def load(self) -> None:
        """Take over the holds that were going on when the store was last closed."""
        for hold in reversed(await self._store.holds(active_only=True, limit=MOST_ACTIVE)):
            self._active.setdefault(hold.id, hold)
            self._book(hold).setdefault(hold.call, hold.id)

    def active(self) -> tuple[Hold, ...]:
        """Every hold that goes on."""
        return tuple(self._active.values())

    def ids(self) -> tuple[HoldId, ...]:
        """The ids of the holds that go on."""
        return tuple(self._active)

    def of_call(self, call: CallSid) -> Hold | None:
        """The hold that goes on for this call, asked of us."""
        id = self._by_call.get(call)
        return None if id is None else self._active[id]

    def by_phone(self) -> Mapping[CallSid, Hold]:
        """The holds that go on because a phone itself holds. A call may have one of these and one of ours."""
        return {call: self._active[id] for call, id in self._by_phone.items()}

    def _book(self, hold: Hold) -> dict[CallSid, HoldId]:
        return self._by_phone if hold.way is WayName.PHONE else self._by_call

    async def get(self, id: HoldId) -> Hold:
        """A hold, going on or ended. Raises: HoldUnknown."""
        hold = self._active.get(id) or self._not_kept().get(id) or await self._store.hold(id)
        if hold is None:
            raise HoldUnknown(f"there is no hold {id}", fix="GET /holds lists them.", hold=id)
        return hold

    async def last_of(self, call: CallSid) -> Hold | None:
        """The hold that goes on for this call, else the newest that has ended."""
        late = [hold for hold in self._not_kept().values() if hold.call == call]
        return self.of_call(call) or (late[-1] if late else await self._store.last_of(call))

    async def list(self, *, active_only: bool, limit: int) -> list[Hold]:
        """Holds, newest first."""
        known = {hold.id: hold for hold in await self._store.holds(active_only=active_only, limit=limit)}
        known |= self._not_kept()
        chosen = [hold for hold in known.values() if hold.active or not active_only]
        return sorted(chosen, key=lambda hold: hold.asked_at, reverse=True)[:limit]

    def _not_kept(self) -> dict[HoldId, Hold]:
        return {hold.id: hold for hold, _, _ in self._late}

    async def ask(
        self,
        id: HoldId,
        call: CallSid,
        *,
        by: str | None,
        reason: str | None,
        music: str | None,
        limit_s: float | None,
    ) -> Hold:
        """Open a hold. Raises: StoreTrouble, when it cannot be kept: then there is none."""
        hold, tells = ask(id=id, call=call, now=self._clock.now(), by=by, reason=reason, music=music, limit_s=limit_s)
        self._active[id] = hold
        self._by_call[call] = id
        try:
            await self._store.save_hold(hold, tells, at=self._clock.now())
        except StoreTrouble:
            # After a crash nobody would know that the party waits.
            del self._active[id], self._by_call[call]
            raise
        self._wake()
        return hold

    async def see(self, id: HoldId, call: CallSid, *, since: float) -> Hold:
        """Note that a phone holds by itself."""
        hold, tells = seen(id=id, call=call, since=since)
        self._active[id] = hold
        self._by_phone[call] = id
        await self._keep(hold, tells)
        return hold

    async def tell(self, id: HoldId, message: Message) -> tuple[Hold, tuple[Effect, ...]]:
        """Give a hold a message; the hold after it, and what it wants done."""
        before = await self.get(id)
        hold, effects = step(before, message, self._clock.now())
        if hold is before:
            return hold, effects
        if hold.active:
            self._active[id] = hold
        else:
            self._active.pop(id, None)
            book = self._book(hold)
            if book.get(hold.call) == id:
                del book[hold.call]
            self.ended[hold.way, hold.status] += 1
        await self._keep(hold, tuple(effect for effect in effects if isinstance(effect, RecordEvent)))
        return hold, effects

    async def _keep(self, hold: Hold, tells: tuple[RecordEvent, ...]) -> None:
        at = self._clock.now()
        if self._late:
            self._put_off(hold, tells, at)
            self._wake()
            if not self._catching_up.locked():
                await self.catch_up(most=AT_ONCE)
            return
        try:
            await self._store.save_hold(hold, tells, at=at)
        except StoreTrouble as error:
            _log.error("hold=%s call=%s fact=NotKept why=%s", hold.id, hold.call, error.message)
            self._put_off(hold, tells, at)
        self._wake()

    def _put_off(self, hold: Hold, tells: tuple[RecordEvent, ...], at: float) -> None:
        """Keep a change for later. Of very many the oldest goes of which a newer one has all but the history."""
        self._late.append((hold, tells, at))
        if len(self._late) > MOST_LATE:
            newest = {hold.id: number for number, (hold, _, _) in enumerate(self._late)}
            stale = next((n for n, (hold, _, _) in enumerate(self._late) if newest[hold.id] > n), None)
            if stale is not None:
                gone, _, _ = self._late[stale]
                del self._late[stale]
                _log.error("hold=%s call=%s fact=HistoryLost why=the store takes nothing", gone.id, gone.call)

    async def catch_up(self, *, most: int = MOST_ACTIVE) -> None:
        """Write what is not kept yet, in its order. A store that fails is left in peace until the next time."""
        async with self._catching_up:
            for _ in range(most):
                if not self._late:
                    return
                oldest = self._late[0]
                hold, tells, at = oldest
                try:
                    await self._store.save_hold(hold, tells, at=at)
                except StoreTrouble:
                    return
                if self._late[0] is oldest:  # else it was let go of meanwhile
                    self._late.popleft()
                self._wake()

    def tell_what_is_lost(self) -> None:
        """Say which holds the store has not kept as they are; this is the end."""
        for id, hold in self._not_kept().items():
            _log.error("hold=%s call=%s fact=Lost status=%s", id, hold.call, hold.status)

    def _wake(self) -> None:
        news, self._news = self._news, asyncio.Event()
        news.set()

    async def watch(self, *, after: int | None = None) -> AsyncIterator[HoldEvent]:
        """Events as they happen, from the one after `after` on; None: from now on. Ends when the ledger closes."""
        last = await self._store.last_event() if after is None else after
        while not self._closed:
            news = self._news
            events = await self._store.events(after=last, limit=BATCH)
            for event in events:
                last = event.id
                yield event
            if not events:
                await news.wait()

    async def events(self, *, after: int, limit: int) -> Sequence[HoldEvent]:
        """History after this event id, oldest first."""
        return await self._store.events(after=after, limit=limit)

    async def last_event(self) -> int:
        """The id of the newest event."""
        return await self._store.last_event()

    @property
    def news(self) -> asyncio.Event:
        """Set when the next event happens, or the ledger closes."""
        return self._news

    @property
    def closed(self) -> bool:
        """Whether nothing will be told any more."""
        return self._closed

    def close(self) -> None:
        """Let every watcher go."""
        self._closed = True
        self._wake()
