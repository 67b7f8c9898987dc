"""Ports: what the switch and the shell ask of the outside, implemented in `runtime` and `store`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from holdfast.voice.model.effects import LegEffect
from holdfast.voice.model.ids import CallSid


@dataclass(frozen=True, slots=True, kw_only=True)
class JournalEntry:
    """One line of the journal.

    Shape: `kind` is the class name of a command, fact or effect, or `sip`, `webhook`; `call` the call it belongs
    to ("" if none); `data` its JSON. Units: `at` seconds since the Unix epoch.
    """

    at: float
    call: str
    kind: str
    data: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """The whole state of one noun after a step.

    Shape: `noun` is call, room, queue or recording; `data` JSON, "" when deleted. `over_at` is when a call or a
    conference ended: those that are over are kept as long as they are among the newest.
    """

    noun: str
    sid: str
    data: str
    over_at: float | None = None


class Journal(Protocol):
    """Remembers what happened. One writer."""

    async def commit(self, entries: Sequence[JournalEntry], snapshots: Sequence[Snapshot]) -> None:
        """Write all, or nothing, durably against a crash of this process. Raises: StoreFailed, with nothing written.

        A snapshot without data deletes that noun, and with a call its lines. A store that is late for more than a
        quarter of a second is waited for no longer: it writes later what it was given, in order.
        """

    def trouble(self) -> str | None:
        """Why nothing can be written now; None when it can."""

    async def load(self, *, kept: int) -> Sequence[Snapshot]:
        """The newest snapshot of every noun that is not over, and of the `kept` that were over last."""

    async def prune(self) -> bool:
        """Delete some of those that `load` left out, with their lines; whether there may be more.

        Raises: StoreFailed.
        """

    async def entries(self, call: str, *, after: int = 0, limit: int = 10_000) -> Sequence[JournalEntry]:
        """The lines of one call, oldest first; of all calls when `call` is ""."""


class KeyValues(Protocol):
    """Small configuration kept across restarts: numbers, lines, applications. Values are JSON texts."""

    async def put(self, kind: str, key: str, value: str) -> None:
        """Store under (kind, key), replacing."""

    async def get_all(self, kind: str) -> Mapping[str, str]:
        """Everything of a kind."""

    async def remove(self, kind: str, key: str) -> None:
        """Forget; no error when absent."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SipMessageTrace:
    """A SIP message of a call, for the ladder. Shape: `summary` is its first line and CSeq; `text` the whole."""

    call: CallSid
    received: bool
    summary: str
    peer: str
    text: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class WebhookTrace:
    """A webhook request and its answer, for the ladder. Units: `took_ms` milliseconds. `status` 0: no answer."""

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
    """Callbacks that no web server has taken yet: how many, and the oldest of them. Units: `since` on the clock."""

    count: int
    method: str
    url: str
    since: float


class LegsPort(Protocol):
    """Attachments to the outside of one kind (SIP, later WebRTC)."""

    def carry_out(self, effect: LegEffect) -> None:
        """Begin what is asked; outcomes come as facts."""
