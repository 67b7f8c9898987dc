"""What the holds service needs from outside: an account, a memory, a clock.

`account.py` is the account there is; `memory.py` and the SQL store are two memories; tests bring their own.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from holdfast.holds.account.snapshots import (
    AudioQualitySnapshot,
    CallSnapshot,
    ConferenceSnapshot,
    ParticipantSnapshot,
    PhoneHoldSnapshot,
)
from holdfast.holds.hold import Hold, RecordEvent, Status
from holdfast.holds.ids import CallSid, ConferenceSid, HoldId, QueueSid
from holdfast.holds.steps.pair import Pair


class ClockPort(Protocol):
    """The time, and waiting."""

    def now(self) -> float:
        """Seconds since the Unix epoch, never going back."""
        ...

    async def wait(self, news: asyncio.Event | None, *, timeout_s: float) -> bool:
        """Wait for news, or for the time to pass; whether there is news."""
        ...


class AccountPort(Protocol):
    """An account that speaks Twilio's voice REST API.

    Reads give None for what is not there. Every method ends within the account's own time limit.

    Raises: `AccountUnreachable` from a read without an answer, `OutcomeUnknown` from a change without one;
    `NotThere` from a change to something that is over; `AccountRefused` and `WrongCredentials` from any answer that
    is an error.
    """

    @property
    def sid(self) -> str: ...

    @property
    def token(self) -> str: ...

    @property
    def base_url(self) -> str: ...

    def can_reach(self, url: str) -> bool:
        """Whether the account's servers could open this URL, as far as its host name tells."""
        ...

    async def call(self, call: CallSid) -> CallSnapshot | None: ...

    async def calls(self, *, status: str | None = None, parent: CallSid | None = None) -> Sequence[CallSnapshot]:
        """Calls of this status, or made by this parent; newest first."""
        ...

    async def conferences(self) -> Sequence[ConferenceSnapshot]:
        """Every live conference, `init` and `in-progress`."""
        ...

    async def participants(self, conference: ConferenceSid) -> Sequence[ParticipantSnapshot]: ...

    async def participant(self, conference: ConferenceSid, call: CallSid) -> ParticipantSnapshot | None: ...

    async def phone_holds(self) -> Sequence[PhoneHoldSnapshot]:
        """Calls whose own phones hold. Only the engine tells; every other account knows of none."""
        ...

    async def sounds(self) -> Sequence[AudioQualitySnapshot]:
        """How live calls sound. Only the engine tells; every other account knows of none."""
        ...

    async def set_hold(
        self, conference: ConferenceSid, call: CallSid, *, hold: bool, url: str | None = None
    ) -> ParticipantSnapshot:
        """Hold or unhold a participant. `url` is fetched by GET; None: the account's own music."""
        ...

    async def redirect(self, call: CallSid, *, twiml: str) -> None:
        """Give a live call this document to run now."""
        ...

    async def hang_up(self, call: CallSid) -> None: ...

    async def open_queue(self, name: str) -> QueueSid:
        """Make the queue of this name, or find the one there is."""
        ...

    async def find_queue(self, name: str) -> QueueSid | None:
        """The queue of this name, empty or not, if there is one."""
        ...

    async def queues(self) -> Sequence[tuple[QueueSid, str]]:
        """Queues that somebody waits in, with their names."""
        ...

    async def members(self, queue: QueueSid) -> Sequence[CallSid]: ...

    async def waits(self, queue: QueueSid, call: CallSid) -> bool:
        """Whether this call waits in this queue."""
        ...

    async def close_queue(self, queue: QueueSid) -> None:
        """Remove an empty queue; one that is gone is no error."""
        ...

    async def open(self) -> None:
        """Keep connections open between requests, until `close`. Without it, each request makes its own."""
        ...

    async def close(self) -> None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class HoldEvent:
    """One line of history: what happened to a hold, and where that left it.

    `id` rises by at least one from event to event of a store: readers continue after the last one they have seen.
    """

    id: int
    at: float
    hold: HoldId
    call: CallSid
    kind: str
    status: Status
    by: str | None = None
    detail: str | None = None


class HoldStore(Protocol):
    """What outlives the process: holds, their history, and the pairs whose continuations are ours."""

    async def save_hold(self, hold: Hold, tells: Sequence[RecordEvent], *, at: float) -> Sequence[HoldEvent]:
        """Keep this state of a hold together with its new lines of history, all or nothing, and number the lines."""
        ...

    async def hold(self, hold: HoldId) -> Hold | None: ...

    async def holds(self, *, active_only: bool = False, limit: int = 1000) -> Sequence[Hold]:
        """Holds, newest first."""
        ...

    async def last_of(self, call: CallSid) -> Hold | None:
        """The newest hold of this call, going on or ended."""
        ...

    async def events(self, *, after: int = 0, limit: int = 1000) -> Sequence[HoldEvent]:
        """History after this event id, oldest first."""
        ...

    async def last_event(self) -> int:
        """The id of the newest event; 0 when there is none."""
        ...

    async def save_pair(self, pair: Pair) -> None:
        """Keep a pair, replacing what was known of its parent."""
        ...

    async def forget_pair(self, parent: CallSid) -> None: ...

    async def pairs(self) -> Sequence[Pair]: ...
