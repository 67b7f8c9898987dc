"""Ports are the interfaces that the switch and the shell need; `runtime` and `store` implement them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from holdfast.voice.model.effects import LegEffect
from holdfast.voice.model.ids import CallSid


@dataclass(frozen=True, slots=True, kw_only=True)
class JournalEntry:
    """A journal entry is one line of the journal.

    Shape: `kind` is the class name of a command, fact or effect, or `sip`, `webhook`; `call` the call it belongs
    to ("" if none); `data` its JSON. Units: `at` seconds since the Unix epoch.
    """

    at: float
    call: str
    kind: str
    data: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """A snapshot holds the whole state of one noun after a step.

    Shape: `noun` is call, room, queue or recording; `data` JSON, "" when deleted. Units: `over_at` is the second since
    the Unix epoch at which a call or a conference ended; only the newest of the ended ones are kept.
    """

    noun: str
    sid: str
    data: str
    over_at: float | None = None


class Journal(Protocol):
    """A journal stores what happened. It has one writer."""

    async def commit(self, entries: Sequence[JournalEntry], snapshots: Sequence[Snapshot]) -> None:
        """Write all, or nothing, durably against a crash of this process. Raises: StoreFailed, with nothing written.

        A snapshot without data deletes that noun, and with a call its entries. A commit waits at most a quarter of a
        second for a slow store, which then writes later, in order.
        """

    def trouble(self) -> str | None:
        """Return why the journal cannot write now; None when it can."""

    async def load(self, *, kept: int) -> Sequence[Snapshot]:
        """Return the newest snapshot of every noun that has not ended, and of the `kept` that ended last."""

    async def prune(self) -> bool:
        """Delete some of the nouns that `load` left out, with their entries; return whether there may be more.

        Raises: StoreFailed.
        """

    async def entries(self, call: str, *, after: int = 0, limit: int = 10_000) -> Sequence[JournalEntry]:
        """Return the entries of one call, oldest first; of all calls when `call` is ""."""


class KeyValues(Protocol):
    """Key-value storage keeps small configuration across restarts: numbers, lines, applications. Values are JSON."""

    async def put(self, kind: str, key: str, value: str) -> None:
        """Store a value under (kind, key), in place of an old one."""

    async def get_all(self, kind: str) -> Mapping[str, str]:
        """Return all values of a kind by their keys."""

    async def remove(self, kind: str, key: str) -> None:
        """Remove a value; nothing happens when it is absent."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SipMessageTrace:
    """A trace holds a SIP message of a call, for the ladder. Shape: `summary` is its first line and CSeq."""

    call: CallSid
    received: bool
    summary: str
    peer: str
    text: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class WebhookTrace:
    """A trace holds a webhook request and its answer, for the ladder. Units: `took_ms` ms. `status` 0: no answer."""

    call: CallSid | None
    kind: str
    method: str
    url: str
    form: tuple[tuple[str, str], ...]
    status: int
    took_ms: int
    content_type: str = ""
    body: str = ""
    error: str = ""


Trace = SipMessageTrace | WebhookTrace

RecordTrace = Callable[[Trace], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class PendingCallbacks:
    """Callbacks wait that no web server has accepted yet: their count, and the oldest. Units: `since` on the clock."""

    count: int
    method: str
    url: str
    since: float


class LegsPort(Protocol):
    """Attachments to the outside of one kind (SIP, later WebRTC)."""

    def carry_out(self, effect: LegEffect) -> None:
        """Begin to carry out an effect; its outcome is posted as a fact."""
