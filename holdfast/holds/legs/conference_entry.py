"""This module ensures that two parties who are redirected into a conference arrive there.

None of their documents asks again: a party whose redirect the account did not carry out stays in silence until it is
redirected again.
"""

from holdfast.holds.ids import CallSid
from holdfast.holds.legs import planner
from holdfast.holds.legs.pair_index import PairIndex
from holdfast.holds.ports import AccountPort
from holdfast.holds.steps.account_steps import RedirectLeg
from holdfast.holds.steps.pair import Pair, current_document


class ConferenceEntry:
    """A conference entry looks for parties that are not in the conference they were sent to."""

    def __init__(self, account: AccountPort, pairs: PairIndex) -> None:
        self._account = account
        self._pairs = pairs
        self._missing: set[CallSid] = set()
        """Parties that were missing at the last check. Once is no proof: a document may be on its way."""

    async def check(self, pair: Pair) -> tuple[RedirectLeg, ...]:
        """Return the redirects to repeat, for parties that were missing twice. Raises: AccountError."""
        calls = [party.call for party in planner.unconfirmed_in_room(pair)]
        if not calls:
            return ()
        inside = await self._participants(pair.room)
        if self._pairs.of(pair.parent.call) != pair:
            return ()
        for call in calls:
            if call in inside:
                pair = planner.confirm_in_room(pair, call)
        await self._pairs.put(pair)
        missing = {call for call in calls if call not in inside}
        again = missing & self._missing
        self._missing = (self._missing - set(calls)) | (missing - again)
        return tuple(RedirectLeg(call=call, document=current_document(pair, call)) for call in calls if call in again)

    async def _participants(self, room: str | None) -> set[CallSid]:
        """Return the calls in the live conferences of this name."""
        rooms = [live.sid for live in await self._account.conferences() if live.name == room]
        return {participant.call for sid in rooms for participant in await self._account.participants(sid)}
