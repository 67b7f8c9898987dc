"""The switch: one mailbox, one writer. A message and all it causes are one step, one commit, one routing batch.

Sound leaves at once, because a held ear waits for nothing. Everything else (replies, callbacks, SIP, fetches) leaves
after the step is in the journal, in the order it was said; where the journal is late, before it is.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass

from holdfast.voice.control import journal_entries
from holdfast.voice.control.entities import (
    Call,
    Queue,
    Recording,
    Room,
    RoomStatus,
)
from holdfast.voice.control.read_only_state import Message
from holdfast.voice.control.serialization import decode, encode
from holdfast.voice.control.state import EngineState, Step
from holdfast.voice.model.commands import RestCommand
from holdfast.voice.model.effects import Effect, SoundEffect
from holdfast.voice.model.errors import StoreFailed, VoiceError
from holdfast.voice.model.masking import masked
from holdfast.voice.model.ports import Entry, Journal, SipSeen, Snapshot, Trace
from holdfast.voice.runtime.orphan_traces import OrphanTraces

log = logging.getLogger(__name__)

MAX_GROUP_STEPS = 200
"""The most steps in one commit."""
RETRY_S = 1.0
"""After this long a store that failed is tried again, though nothing new has happened: who asks whether we are ready
sends no calls until we are."""
FLUSH_S = 1.0
"""How long a store that fails is waited for at the end."""
MAX_LATE_ENTRIES = 2000
"""How many lines wait for a store that fails; the oldest are lost."""
MAX_LATE_DELETIONS = 20_000
"""How many nouns that are gone wait to be deleted from it. The rest stay in it until a start finds them too old."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PendingStep:
    """A step that was taken and is not yet in the journal."""

    step: Step
    entries: tuple[Entry, ...]
    snapshots: tuple[Snapshot, ...]
    waiter: asyncio.Future[None] | None


class Switch:
    """Takes messages, one at a time, and has their effects carried out.

    Invariant: the board is changed here and nowhere else; `tell` may be called from anywhere in the loop's thread
    but not from within `sound`.
    """

    def __init__(
        self,
        *,
        journal: Journal,
        now: Callable[[], float],
        carry_out_audio: Callable[[SoundEffect], None],
        batch: Callable[[], AbstractContextManager[None]],
        carry_out: Callable[[Effect], None],
    ) -> None:
        self.state = EngineState()
        self.store_failure: str | None = None
        """Why the newest step could not be written down; None when it was."""
        self._unclaimed = OrphanTraces()
        self._journal = journal
        self._now = now
        self._sound = carry_out_audio
        self._together = batch
        self._carry_out = carry_out
        self._late: dict[tuple[str, str], Snapshot] = {}
        """The newest states that the store failed to take."""
        self._late_lines: list[Entry] = []
        self._lines_lost = 0
        self._due_again = False
        self._trying: asyncio.TimerHandle | None = None
        self._taken: list[PendingStep] = []
        self._at_work: list[PendingStep] = []
        self._over = False
        self._noted: list[Entry] = []
        self._came = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()

    def now(self) -> float:
        """Seconds since the Unix epoch."""
        return self._now()

    def post(self, message: Message) -> None:
        """A fact happened. One that the board cannot take is logged, and nothing is changed."""
        try:
            self._take(message, None)
        except VoiceError as error:
            log.warning("fact=%s code=%d refused: %s", type(message).__name__, error.code, error.message)

    async def execute(self, command: RestCommand) -> None:
        """Do what is asked; returns once it is in the journal. Raises: VoiceError, with nothing changed."""
        asker: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._take(command, asker)
        await asker

    def record_trace(self, trace: Trace) -> None:
        """A SIP message or a webhook, for the ladder. Passwords in it are not kept."""
        kind = "sip" if isinstance(trace, SipSeen) else "webhook"
        data = {name: getattr(trace, name) for name in trace.__slots__}
        entry = Entry(at=self._now(), call=trace.call or "", kind=kind, data=masked(json.dumps(data)))
        if entry.call in self.state.calls:
            self._noted.append(entry)
            self._wake()
        elif entry.call:
            self._unclaimed.add(entry)

    def orphan_entries(self, call: str) -> Sequence[Entry]:
        """The lines of a call that is not on the board, which the journal has not; the latest such calls have some."""
        return self._unclaimed.entries_of(call)

    def restore(self, snapshots: Iterable[Snapshot]) -> None:
        """Put what an earlier run wrote down on the board."""
        self.state.restore(decode(snapshot.data) for snapshot in snapshots)

    async def run(self) -> None:
        """Commit, then carry out, until cancelled. However it ends, nobody waits for it for ever."""
        try:
            while True:
                await self._came.wait()
                self._came.clear()
                while self._taken or self._noted or self._due_again:
                    self._due_again = False
                    self._at_work, self._taken = self._taken[:MAX_GROUP_STEPS], self._taken[MAX_GROUP_STEPS:]
                    noted, self._noted = self._noted, []
                    await self._commit(self._at_work, noted)
                    for one in self._at_work:
                        self._perform(one)
                    self._at_work = []
                self._idle.set()
        finally:
            self._end()

    async def settled(self) -> None:
        """Return when every step taken so far is in the journal and carried out, or never will be."""
        await self._idle.wait()

    async def flush(self, *, timeout_s: float = FLUSH_S) -> None:
        """Wait a moment for a store that fails to take what it is given after all, else say what is lost."""
        with suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                while self.store_failure is not None and not self._over:
                    self._again()
                    await self.settled()
                    await asyncio.sleep(0.1)
        if self.store_failure is not None:
            log.error(
                "the newest state of %d calls, conferences and queues and %d lines of ladders are lost: %s",
                *(len(self._late), len(self._late_lines) + self._lines_lost, self.store_failure),
            )

    # --- within -----------------------------------------------------------------------------------------

    def _end(self) -> None:
        self._over = True
        if self._trying is not None:
            self._trying.cancel()
        for one in (*self._at_work, *self._taken):
            if one.waiter is not None and not one.waiter.done():
                one.waiter.set_exception(StoreFailed("the switch has stopped"))
        self._idle.set()

    def _take(self, message: Message, asker: asyncio.Future[None] | None) -> None:
        if self._over:
            raise StoreFailed("the switch has stopped")
        now = self._now()
        step = self.state.apply(message, now)
        sounds = [effect for effect in step.effects if isinstance(effect, SoundEffect)]
        if sounds:
            with self._together():
                for effect in sounds:
                    self._sound(effect)
        for noun in step.nouns:
            if isinstance(noun, Call):
                self._noted += self._unclaimed.claim(noun.sid)
        # Lines are read by call: those of no call, or of one that is gone, would only stay.
        entries = tuple(line for line in journal_entries.entries(step, now) if line.call in self.state.calls)
        snapshots = (*_snapshots(step), *(Snapshot(noun=kind, sid=sid, data="") for kind, sid in self.state.gone()))
        self._taken.append(PendingStep(step=step, entries=entries, snapshots=snapshots, waiter=asker))
        self._wake()

    def _wake(self) -> None:
        if not self._over:
            self._idle.clear()
            self._came.set()

    async def _commit(self, taken: Sequence[PendingStep], noted: Sequence[Entry]) -> None:
        """Write a group of steps. A store that fails is no reason to drop a call; it is given all of it again."""
        entries = [*self._late_lines, *noted, *(entry for one in taken for entry in one.entries)]
        newest = self._late | {(each.noun, each.sid): each for one in taken for each in one.snapshots}
        try:
            await self._journal.commit(entries, list(newest.values()))
        except StoreFailed as error:
            if self.store_failure is None:
                log.error("the journal could not be written, calls go on: %s", error.message)
            self._late, self._late_lines, self.store_failure = (
                _bounded(newest),
                entries[-MAX_LATE_ENTRIES:],
                error.message,
            )
            self._lines_lost += len(entries) - len(self._late_lines)
            if self._trying is None:
                self._trying = asyncio.get_running_loop().call_later(RETRY_S, self._again)
        else:
            if self.store_failure is not None:
                log.warning("the journal has what was late, without %d lines of ladders", self._lines_lost)
            self._late, self._late_lines, self.store_failure, self._lines_lost = {}, [], None, 0

    def _again(self) -> None:
        """Have the store tried, until it takes what it is given."""
        self._trying = None
        if self.store_failure is not None:
            self._due_again = True
            self._wake()

    def _perform(self, one: PendingStep) -> None:
        if one.waiter is not None and not one.waiter.done():
            one.waiter.set_result(None)
        for effect in one.step.effects:
            if not isinstance(effect, SoundEffect):
                self._carry_out(effect)


def _bounded(late: dict[tuple[str, str], Snapshot]) -> dict[tuple[str, str], Snapshot]:
    """Without the oldest of many nouns that are gone; what is still there is bounded by itself."""
    gone = [each for each, one in late.items() if not one.data]
    for each in gone[: max(0, len(gone) - MAX_LATE_DELETIONS)]:
        del late[each]
    return late


def _snapshots(step: Step) -> Iterable[Snapshot]:
    for noun in step.nouns:
        over_at: float | None = None
        match noun:
            case Call():
                kind, over_at = "call", None if noun.live else noun.updated_at
            case Queue():
                kind = "queue"
            case Recording():
                kind = "recording"
            case Room():
                kind, over_at = "room", noun.updated_at if noun.status is RoomStatus.COMPLETED else None
        yield Snapshot(noun=kind, sid=noun.sid, data=encode(noun), over_at=over_at)
