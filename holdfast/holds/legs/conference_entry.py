"""Seeing that two parties who were sent into a conference by redirects come to be there.

No document of theirs asks again: one whose redirect the account did not take stays in silence until it is sent again.
"""

from holdfast.holds.ids import CallSid
from holdfast.holds.legs import planner
from holdfast.holds.legs.pair_index import PairIndex
from holdfast.holds.ports import AccountPort
from holdfast.holds.steps.account_steps import RedirectCall
from holdfast.holds.steps.pair import Pair, document


class Gathering:
    """Looks for those who are not where they were sent."""

    def __init__(self, account: AccountPort, pairs: PairIndex) -> None:
        self._account = account
        self._pairs = pairs
        self._missed: set[CallSid] = set()
        """Those who were not there at the last look. Once is no proof: a document may be on its way."""

    async def look(self, pair: Pair) -> tuple[RedirectCall, ...]:
        """Whom to send again, now that it was missed twice. Raises: AccountTrouble."""
        calls = [party.call for party in planner.astray(pair)]
        if not calls:
            return ()
        inside = await self._inside(pair.room)
        if self._pairs.of(pair.parent.call) != pair:
            return ()
        for call in calls:
            if call in inside:
                pair = planner.seen_in_room(pair, call)
        await self._pairs.put(pair)
        missing = {call for call in calls if call not in inside}
        again = missing & self._missed
        self._missed = (self._missed - set(calls)) | (missing - again)
        return tuple(RedirectCall(call=call, to=document(pair, call)) for call in calls if call in again)

    async def _inside(self, room: str | None) -> set[CallSid]:
        """Who is in the live conferences of this name."""
        rooms = [one.sid for one in await self._account.conferences() if one.name == room]
        return {one.call for sid in rooms for one in await self._account.participants(sid)}
