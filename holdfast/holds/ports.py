"""This module defines the ports of the holds service: an account, a store, a clock.

`account/client.py` implements the account; `history/memory_store.py` and `store/hold_store.py` implement the store;
tests bring their own.
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
    """A clock tells the time and waits."""

    def now(self) -> float:
        """Return the seconds since the Unix epoch. The clock never goes back."""
        ...

    async def wait(self, event: asyncio.Event | None, *, timeout_s: float) -> bool:
        """Wait for the event or the timeout, and return whether the event was set."""
        ...


class AccountPort(Protocol):
    """An account that speaks Twilio's voice REST API.

    Reads return None for a resource that does not exist. Every method ends within the account's own time limit.

    Raises: `AccountUnreachable` from a read without a response, `OutcomeUnknown` from a change without one;
    `ResourceNotFound` from a change to a resource that does not exist or a call that is over; `AccountRefused` and
    `WrongCredentials` from any response that is an error.
    """

    @property
    def sid(self) -> str: ...

    @property
    def token(self) -> str: ...

    @property
    def base_url(self) -> str: ...

    def can_reach(self, url: str) -> bool:
        """Return whether the account's servers could open this URL, as far as its host name shows."""
        ...

    async def call(self, call: CallSid) -> CallSnapshot | None:
        """Return this call."""
        ...

    async def calls(self, *, status: str | None = None, parent: CallSid | None = None) -> Sequence[CallSnapshot]:
        """Return the calls of this status, or made by this parent, newest first."""
        ...

    async def conferences(self) -> Sequence[ConferenceSnapshot]:
        """Return every live conference, `init` and `in-progress`."""
        ...

    async def participants(self, conference: ConferenceSid) -> Sequence[ParticipantSnapshot]:
        """Return the participants of this conference."""
        ...

    async def participant(self, conference: ConferenceSid, call: CallSid) -> ParticipantSnapshot | None:
        """Return this call as a participant of this conference."""
        ...

    async def phone_holds(self) -> Sequence[PhoneHoldSnapshot]:
        """Return the calls whose own phones hold. Only the engine reports them; any other account returns none."""
        ...

    async def audio_quality(self) -> Sequence[AudioQualitySnapshot]:
        """Return the audio quality of live calls. Only the engine reports it; any other account returns none."""
        ...

    async def set_hold(
        self, conference: ConferenceSid, call: CallSid, *, hold: bool, url: str | None = None
    ) -> ParticipantSnapshot:
        """Hold or resume a participant. `url` is fetched by GET; None: the account's own music."""
        ...

    async def redirect(self, call: CallSid, *, twiml: str) -> None:
        """Let a live call run this document now."""
        ...

    async def hang_up(self, call: CallSid) -> None:
        """Hang up a live call."""
        ...

    async def open_queue(self, name: str) -> QueueSid:
        """Return the queue of this name, and create it if it does not exist."""
        ...

    async def find_queue(self, name: str) -> QueueSid | None:
        """Return the queue of this name, empty or not, if it exists."""
        ...

    async def queues(self) -> Sequence[tuple[QueueSid, str]]:
        """Return the queues that have members, with their names."""
        ...

    async def members(self, queue: QueueSid) -> Sequence[CallSid]:
        """Return the calls that wait in this queue."""
        ...

    async def is_queued(self, queue: QueueSid, call: CallSid) -> bool:
        """Return whether this call waits in this queue."""
        ...

    async def close_queue(self, queue: QueueSid) -> None:
        """Remove an empty queue; a queue that does not exist is no error."""
        ...

    async def open(self) -> None:
        """Keep connections open between requests, until `close`. Without it, each request makes its own."""
        ...

    async def close(self) -> None:
        """Close the connections."""
        ...


async def is_live(account: AccountPort, call: CallSid) -> bool:
    """Return whether the account shows this call, and shows that it is not over. Raises: AccountError."""
    seen = await account.call(call)
    return seen is not None and seen.live


@dataclass(frozen=True, slots=True, kw_only=True)
class HoldEvent:
    """A hold event is one line of history: what happened to a hold, and its status after that.

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
    """A hold store keeps what outlives the process: holds, their history, and the pairs of legs."""

    async def save_hold(self, hold: Hold, records: Sequence[RecordEvent], *, at: float) -> Sequence[HoldEvent]:
        """Save this state of a hold together with its new lines of history, all or nothing, and number the lines."""
        ...

    async def hold(self, hold: HoldId) -> Hold | None:
        """Return this hold, if the store has it."""
        ...

    async def holds(self, *, active_only: bool = False, limit: int = 1000) -> Sequence[Hold]:
        """Return holds, newest first."""
        ...

    async def latest_of_call(self, call: CallSid) -> Hold | None:
        """Return the newest hold of this call, active or ended."""
        ...

    async def events(self, *, after: int = 0, limit: int = 1000) -> Sequence[HoldEvent]:
        """Return the history after this event id, oldest first."""
        ...

    async def last_event_id(self) -> int:
        """Return the id of the newest event; 0 when there is none."""
        ...

    async def save_pair(self, pair: Pair) -> None:
        """Save a pair in place of the one that the store has for its parent."""
        ...

    async def remove_pair(self, parent: CallSid) -> None:
        """Remove the pair of this parent; a pair that does not exist is no error."""
        ...

    async def pairs(self) -> Sequence[Pair]:
        """Return every pair."""
        ...
