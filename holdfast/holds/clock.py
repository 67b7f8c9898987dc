"""This module defines the clock of the holds service."""

import asyncio
import time


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
