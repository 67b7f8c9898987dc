"""This module records holds that phones begin by themselves, as holds `by: "phone"`, where the engine reports them.

Such a hold and one of ours are separate: only its owner can end it, and the party is back when both have ended.
"""

import logging

from holdfast.holds.errors import HoldsError
from holdfast.holds.history.hold_log import HoldLog
from holdfast.holds.hold import CallEnded, HoldEnded, Message
from holdfast.holds.ports import AccountPort, ClockPort, is_live

_log = logging.getLogger("holdfast.holds.phone_holds")


class PhoneHolds:
    """Phone holds are copied from the engine's reports into the hold log."""

    def __init__(self, account: AccountPort, hold_log: HoldLog, clock: ClockPort, *, interval_s: float) -> None:
        self._account = account
        self._hold_log = hold_log
        self._clock = clock
        self._interval_s = interval_s

    async def run(self) -> None:
        """Check the phones until cancelled. An account that does not respond is asked again."""
        while True:
            await self._clock.wait(None, timeout_s=self._interval_s)
            try:
                await self.check()
            except HoldsError as error:
                _log.debug("fact=PhonesNotSeen why=%s", error.message)

    async def check(self) -> None:
        """Record the phone holds that began and ended since the last check. Raises: AccountError."""
        holding = {report.call: report for report in await self._account.phone_holds()}
        known = self._hold_log.phone_holds()
        for call, hold in known.items():
            if call in holding and holding[call].since <= hold.asked_at:
                continue
            ended: Message = CallEnded(why="the party hung up")
            if await is_live(self._account, call):
                ended = HoldEnded(why="the phone resumed the call")
            await self._hold_log.handle(hold.id, ended)
        known = self._hold_log.phone_holds()
        for call, report in holding.items():
            if call not in known:
                await self._hold_log.open_phone_hold(call, since=report.since)
