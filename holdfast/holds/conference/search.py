"""Finding the conference that a call is in: the account tells who is in which, never which one a call is in.

Those who ask while a search goes on share the next one, so that many holds at once cost two searches and not one each.
Invariant: nobody is given a search that began before they asked.
"""

import asyncio
from dataclasses import dataclass, field

from holdfast.holds.account.snapshots import ConferenceSnapshot, RoomSnapshot
from holdfast.holds.concurrency.gather import together
from holdfast.holds.conference import planner
from holdfast.holds.errors import HoldsError
from holdfast.holds.ids import CallSid
from holdfast.holds.ports import AccountPort

AT_ONCE = 8
"""How many rooms are looked into at the same time."""


@dataclass(slots=True, eq=False)
class _Round:
    """One search for all who asked in time."""

    wanted: set[CallSid] = field(default_factory=set)
    found: dict[CallSid, RoomSnapshot] = field(default_factory=dict)
    over: bool = False
    trouble: HoldsError | None = None


class ConferenceSearch:
    """Looks for calls in the live conferences of an account."""

    def __init__(self, account: AccountPort) -> None:
        self._account = account
        self._searching = asyncio.Lock()
        self._next = _Round()

    async def find(self, call: CallSid) -> RoomSnapshot | None:
        """The live conference this call is in now. Raises: AccountTrouble."""
        mine = self._next
        mine.wanted.add(call)
        async with self._searching:
            if not mine.over:  # whoever began it may have been cancelled
                await self._carry_out(mine)
        if mine.trouble is not None:
            raise _anew(mine.trouble) from mine.trouble
        return mine.found.get(call)

    async def look(self, seen: ConferenceSnapshot) -> RoomSnapshot:
        """Everybody in this conference now. Raises: AccountTrouble."""
        return RoomSnapshot(conference=seen, participants=tuple(await self._account.participants(seen.sid)))

    async def _carry_out(self, mine: _Round) -> None:
        if self._next is mine:
            self._next = _Round()
        try:
            conferences = await self._account.conferences()
            for start in range(0, len(conferences), AT_ONCE):
                rooms = await together(
                    "look into conferences", [self.look(one) for one in conferences[start : start + AT_ONCE]]
                )
                for call in mine.wanted - mine.found.keys():
                    room = planner.find(call, rooms)
                    if room is not None:
                        mine.found[call] = room
                if len(mine.found) == len(mine.wanted):
                    break
        except HoldsError as error:
            mine.trouble = error
        mine.over = True


def _anew(error: HoldsError) -> HoldsError:
    """The same trouble for one of several whom it befell: each says on it which hold was theirs."""
    again = error.__class__.__new__(error.__class__, *error.args)
    again.__dict__.update(error.__dict__)
    return again
