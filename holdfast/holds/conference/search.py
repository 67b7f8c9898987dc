"""This module finds the conference of a call: the account lists who is in a conference, not which one a call is in.

Callers who ask during a search share the next one, so that many holds at once cost two searches and not one each.
Invariant: no caller receives a search that began before they asked.
"""

import asyncio
from dataclasses import dataclass, field

from holdfast.holds.account.snapshots import ConferenceSnapshot, RoomSnapshot
from holdfast.holds.concurrency.gather_tasks import gather
from holdfast.holds.conference import planner
from holdfast.holds.errors import HoldsError
from holdfast.holds.ids import CallSid
from holdfast.holds.ports import AccountPort

ROOMS_AT_ONCE = 8
"""How many conferences are read at the same time."""


@dataclass(slots=True, eq=False)
class _Search:
    """A search serves all callers who asked before it began."""

    calls: set[CallSid] = field(default_factory=set)
    found: dict[CallSid, RoomSnapshot] = field(default_factory=dict)
    done: bool = False
    error: HoldsError | None = None


class ConferenceSearch:
    """A conference search looks for calls in the live conferences of an account."""

    def __init__(self, account: AccountPort) -> None:
        self._account = account
        self._lock = asyncio.Lock()
        self._next = _Search()

    async def find(self, call: CallSid) -> RoomSnapshot | None:
        """Return the live conference that this call is in now. Raises: AccountError."""
        search = self._next
        search.calls.add(call)
        async with self._lock:
            if not search.done:  # the caller that began it may have been cancelled
                await self._run(search)
        if search.error is not None:
            raise _copy_of(search.error) from search.error
        return search.found.get(call)

    async def read_room(self, seen: ConferenceSnapshot) -> RoomSnapshot:
        """Return all participants of this conference. Raises: AccountError."""
        return RoomSnapshot(conference=seen, participants=tuple(await self._account.participants(seen.sid)))

    async def _run(self, search: _Search) -> None:
        if self._next is search:
            self._next = _Search()
        try:
            conferences = await self._account.conferences()
            for start in range(0, len(conferences), ROOMS_AT_ONCE):
                rooms = await gather(
                    "read conferences", [self.read_room(live) for live in conferences[start : start + ROOMS_AT_ONCE]]
                )
                for call in search.calls - search.found.keys():
                    room = planner.find(call, rooms)
                    if room is not None:
                        search.found[call] = room
                if len(search.found) == len(search.calls):
                    break
        except HoldsError as error:
            search.error = error
        search.done = True


def _copy_of(error: HoldsError) -> HoldsError:
    """Return a copy of the error, one per waiting caller: each adds the id of its own hold."""
    again = error.__class__.__new__(error.__class__, *error.args)
    again.__dict__.update(error.__dict__)
    return again
