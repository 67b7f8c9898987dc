"""Run the event loop of the engine: the reader of its mailbox and the only writer of its state.

A message and everything it causes are one step, one commit and one routing batch. Audio effects are sent at once,
because a held party must not wait. All other effects (replies, callbacks, SIP, fetches) are carried out in order after
the step is in the journal; when the store fails, they are carried out without it.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Protocol

from holdfast.voice.control.entities import (
    Call,
)
from holdfast.voice.control.read_only_state import (
    Message,
    Step,
)
from holdfast.voice.control.serialization import entries_of, restored, snapshots
from holdfast.voice.control.state import (
    EngineState,
)
from holdfast.voice.model.commands import RestCommand
from holdfast.voice.model.effects import Effect, MediaEffect
from holdfast.voice.model.errors import StoreFailed, VoiceError
from holdfast.voice.model.masking import mask_passwords
from holdfast.voice.model.ports import Journal, JournalEntry, SipMessageTrace, Snapshot, Trace, WebhookTrace
from holdfast.voice.runtime.early_journal import OrphanTraces
from holdfast.voice.runtime.mailbox import Mailbox

log = logging.getLogger(__name__)

MAX_GROUP_STEPS = 200
"""The maximum number of steps in one commit."""
RETRY_S = 1.0
"""The time after which a failed store is tried again even without a new step: a load balancer that reads `/ready`
sends no calls until the store works."""
FLUSH_S = 1.0
"""The maximum time at the end to wait for a store that fails."""
MAX_LATE_ENTRIES = 2000
"""The maximum number of journal entries that wait for a failed store; the oldest are lost."""
MAX_LATE_DELETIONS = 20_000
"""The maximum number of deletions that wait for a failed store. Others stay stored until a start finds them too old."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PendingStep:
    """A pending step was applied to the state and is not yet in the journal."""

    step: Step
    entries: tuple[JournalEntry, ...]
    snapshots: tuple[Snapshot, ...]
    waiter: asyncio.Future[None] | None


class EffectPort(Protocol):
    """The parts of the engine that carry out effects. They report back by the mailbox, never by a call."""

    def carry_out_audio(self, effects: Sequence[MediaEffect]) -> None:
        """Send the audio effects of one step to the media process, to apply at the same tick."""

    def carry_out(self, effect: Effect) -> None:
        """Carry out an effect whose step is in the journal."""


class Switch:
    """The switch applies messages one at a time and has their effects carried out.

    Invariant: the engine state is changed here only. `post` may be called from anywhere in the loop's thread, but not
    by what carries out effects: that uses the mailbox.
    """

    def __init__(self, *, journal: Journal, mailbox: Mailbox, effects: EffectPort, default_country: str = "US") -> None:
        self.state = EngineState(default_country=default_country)
        self.store_failure: str | None = None
        """The reason why the newest step could not be stored; None if it was."""
        self._orphans = OrphanTraces()
        self._journal = journal
        self._mailbox = mailbox
        self._effects = effects
        self.now = mailbox.now
        """Return the current time. Units: seconds since the Unix epoch."""
        self._late_snapshots: dict[tuple[str, str], Snapshot] = {}
        """The newest snapshots that the store failed to write."""
        self._late_entries: list[JournalEntry] = []
        self._entries_lost = 0
        self._retry_due = False
        self._retry_timer: asyncio.TimerHandle | None = None
        self._pending: list[PendingStep] = []
        self._committing: list[PendingStep] = []
        self._stopped = False
        self._traces: list[JournalEntry] = []
        self._wakeup = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()

    def post(self, message: Message) -> None:
        """Handle a message. One that the state refuses is logged, and nothing changes."""
        try:
            self._apply(message, None)
        except VoiceError as error:
            log.warning("fact=%s code=%d refused: %s", type(message).__name__, error.code, error.message)

    async def execute(self, command: RestCommand) -> None:
        """Execute a command, and return once it is in the journal. Raises: VoiceError, with nothing changed."""
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._apply(command, waiter)
        await waiter

    def record_trace(self, trace: Trace) -> None:
        """Record a SIP message or a webhook for the ladder, with passwords masked."""
        kind = "sip" if isinstance(trace, SipMessageTrace) else "webhook"
        data = {name: getattr(trace, name) for name in trace.__slots__}
        entry = JournalEntry(at=self.now(), call=trace.call or "", kind=kind, data=mask_passwords(json.dumps(data)))
        if entry.call in self.state.calls:
            self._traces.append(entry)
            self._wake()
        elif entry.call:
            self._orphans.add(entry)

    def orphan_entries(self, call: str) -> Sequence[JournalEntry]:
        """Return the entries of a call that is not in the state and not in the journal; only the latest are kept."""
        return self._orphans.entries_of(call)

    def restore(self, stored: Iterable[Snapshot]) -> None:
        """Restore the state from the snapshots of an earlier run."""
        self.state.restore(restored(stored))

    async def read_mail(self) -> None:
        """Handle what the parts of the engine post, in order, until cancelled."""
        while True:
            while (item := self._mailbox.take()) is not None:
                if isinstance(item, SipMessageTrace | WebhookTrace):
                    self.record_trace(item)
                else:
                    self.post(item)
            await self._mailbox.filled()

    async def run(self) -> None:
        """Commit steps and carry out their effects until cancelled; every waiter is released at the end."""
        try:
            while True:
                await self._wakeup.wait()
                self._wakeup.clear()
                while self._pending or self._traces or self._retry_due:
                    self._retry_due = False
                    self._committing, self._pending = self._pending[:MAX_GROUP_STEPS], self._pending[MAX_GROUP_STEPS:]
                    traces, self._traces = self._traces, []
                    await self._commit(self._committing, traces)
                    for pending in self._committing:
                        self._carry_out_step(pending)
                    self._committing = []
                self._idle.set()
        finally:
            self._stop()

    async def settled(self) -> None:
        """Wait until every step so far is in the journal and carried out, or the switch has stopped."""
        while not (self._stopped or (self._mailbox.is_empty and self._idle.is_set())):
            await self._mailbox.emptied()
            await self._idle.wait()

    async def flush(self, *, timeout_s: float = FLUSH_S) -> None:
        """Retry a failed store for a moment, then log what is lost."""
        with suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                while self.store_failure is not None and not self._stopped:
                    self._retry()
                    await self.settled()
                    await asyncio.sleep(0.1)
        if self.store_failure is not None:
            log.error(
                "the newest state of %d calls, conferences and queues and %d ladder entries are lost: %s",
                *(len(self._late_snapshots), len(self._late_entries) + self._entries_lost, self.store_failure),
            )

    # --- within -----------------------------------------------------------------------------------------

    def _stop(self) -> None:
        self._stopped = True
        self._mailbox.clear()
        if self._retry_timer is not None:
            self._retry_timer.cancel()
        for pending in (*self._committing, *self._pending):
            if pending.waiter is not None and not pending.waiter.done():
                pending.waiter.set_exception(StoreFailed("the switch has stopped"))
        self._idle.set()

    def _apply(self, message: Message, waiter: asyncio.Future[None] | None) -> None:
        if self._stopped:
            raise StoreFailed("the switch has stopped")
        now = self.now()
        step = self.state.apply(message, now)
        audio = [effect for effect in step.effects if isinstance(effect, MediaEffect)]
        if audio:
            self._effects.carry_out_audio(audio)
        for entity in step.nouns:
            if isinstance(entity, Call) and entity.sid in self._orphans.by_call:
                self._traces += self._orphans.claim(entity.sid)
        # Entries are read by call: those without a live or kept call could never be read.
        entries = tuple(entry for entry in entries_of(step, now) if entry.call in self.state.calls)
        self._pending.append(PendingStep(step=step, entries=entries, snapshots=tuple(snapshots(step)), waiter=waiter))
        self._wake()

    def _wake(self) -> None:
        if not self._stopped:
            self._idle.clear()
            self._wakeup.set()

    async def _commit(self, steps: Sequence[PendingStep], traces: Sequence[JournalEntry]) -> None:
        """Write a group of steps. When the store fails, calls go on, and the steps are written again later."""
        entries = [*self._late_entries, *traces, *(entry for pending in steps for entry in pending.entries)]
        newest = self._late_snapshots | {(each.noun, each.sid): each for pending in steps for each in pending.snapshots}
        try:
            await self._journal.commit(entries, list(newest.values()))
        except StoreFailed as error:
            if self.store_failure is None:
                log.error("the journal could not be written, calls go on: %s", error.message)
            self._late_snapshots, self._late_entries, self.store_failure = (
                _bounded(newest),
                entries[-MAX_LATE_ENTRIES:],
                error.message,
            )
            self._entries_lost += len(entries) - len(self._late_entries)
            if self._retry_timer is None:
                self._retry_timer = asyncio.get_running_loop().call_later(RETRY_S, self._retry)
        else:
            if self.store_failure is not None:
                log.warning("the journal has the late steps, without %d ladder entries", self._entries_lost)
            self._late_snapshots, self._late_entries, self.store_failure, self._entries_lost = {}, [], None, 0

    def _retry(self) -> None:
        """Have the store tried again while it fails."""
        self._retry_timer = None
        if self.store_failure is not None:
            self._retry_due = True
            self._wake()

    def _carry_out_step(self, pending: PendingStep) -> None:
        if pending.waiter is not None and not pending.waiter.done():
            pending.waiter.set_result(None)
        for effect in pending.step.effects:
            if not isinstance(effect, MediaEffect):
                self._effects.carry_out(effect)


def _bounded(late: dict[tuple[str, str], Snapshot]) -> dict[tuple[str, str], Snapshot]:
    """Drop the oldest of too many deletions; other snapshots are bounded by the state itself."""
    deletions = [key for key, snapshot in late.items() if not snapshot.data]
    for key in deletions[: max(0, len(deletions) - MAX_LATE_DELETIONS)]:
        del late[key]
    return late
