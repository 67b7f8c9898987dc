"""This module defines the clock of the holds service, how long the service waits, and how often it polls."""

import asyncio
import time
from collections.abc import Iterator
from dataclasses import dataclass


class SystemClock:
    """A system clock counts seconds from the Unix epoch on the monotonic clock, so it never goes back."""

    def __init__(self) -> None:
        self._epoch = time.time() - time.monotonic()

    def now(self) -> float:
        """Return the seconds since the Unix epoch."""
        return self._epoch + time.monotonic()

    async def wait(self, event: asyncio.Event | None, *, timeout_s: float) -> bool:
        """Wait for the event or the timeout, and return whether the event was set."""
        if event is None:
            await asyncio.sleep(timeout_s)
            return False
        try:
            async with asyncio.timeout(timeout_s):
                await event.wait()
        except TimeoutError:
            return False
        return True


@dataclass(frozen=True, slots=True, kw_only=True)
class Timeouts:
    """Timeouts bound every wait of the service.

    Units: seconds.
    """

    confirmation_s: float = 10.0
    """For the account to show that a change it accepted has been made."""
    conference_forming_s: float = 3.0
    """For a conference that is still forming: the account makes it after it fetched the document that asks for it."""
    first_poll_s: float = 0.02
    max_poll_interval_s: float = 0.5
    check_interval_s: float = 5.0
    """Between two checks of all held parties."""
    phone_check_interval_s: float = 1.0
    """Between two checks of the phones that hold by themselves."""

    def poll_intervals(self, total_s: float) -> Iterator[float]:
        """Yield the pauses between polls: short at first, then doubling, `total_s` in all."""
        pause_s, left_s = self.first_poll_s, total_s
        while left_s > 0:
            yield min(pause_s, left_s)
            left_s -= pause_s
            pause_s = min(pause_s * 2, self.max_poll_interval_s)
