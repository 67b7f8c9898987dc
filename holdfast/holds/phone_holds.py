"""Phones that hold by themselves: seen on an engine that tells, and noted as holds `by: "phone"`.

Such a hold and one of ours are separate: each is lifted by whoever made it, and the party is back when both are.
"""

import logging
from collections.abc import Callable

from holdfast.holds.errors import HoldsError
from holdfast.holds.history.hold_log import HoldLog
from holdfast.holds.hold import CallOver, HoldEnded, Message
from holdfast.holds.ids import HoldId
from holdfast.holds.ports import AccountPort, ClockPort

_log = logging.getLogger("holdfast.holds.phone_holds")


class PhoneHolds:
    """Keeps the ledger true to what the phones do."""

    def __init__(
        self, account: AccountPort, ledger: HoldLog, clock: ClockPort, *, every_s: float, new_id: Callable[[], HoldId]
    ) -> None:
        self._account = account
        self._ledger = ledger
        self._clock = clock
        self._every_s = every_s
        self._new_id = new_id

    async def run(self) -> None:
        """Look until cancelled. An account that does not answer is asked again."""
        while True:
            await self._clock.wait(None, timeout_s=self._every_s)
            try:
                await self.look()
            except HoldsError as error:
                _log.debug("fact=PhonesNotSeen why=%s", error.message)

    async def look(self) -> None:
        """Note what began and what ended since the last look. Raises: AccountTrouble."""
        holding = {one.call: one for one in await self._account.phone_holds()}
        known = self._ledger.by_phone()
        for call, hold in known.items():
            if call in holding and holding[call].since <= hold.asked_at:
                continue
            told = await self._account.call(call)
            ended: Message = CallOver(why="the party hung up")
            if told is not None and told.live:
                ended = HoldEnded(why="the phone took the call back")
            await self._ledger.tell(hold.id, ended)
        known = self._ledger.by_phone()
        for call, one in holding.items():
            if call not in known:
                await self._ledger.see(self._new_id(), call, since=one.since)
