"""The time the service lives by."""

import asyncio
import time


class SystemClock:
    """Seconds since the Unix epoch at start, carried on by the monotonic clock: it never goes back."""

    def __init__(self) -> None:
        self._epoch = time.time() - time.monotonic()

    def now(self) -> float:
        return self._epoch + time.monotonic()

    async def wait(self, news: asyncio.Event | None, *, timeout_s: float) -> bool:
        """Wait for news, or for the time to pass; whether there is news."""
        if news is None:
            await asyncio.sleep(timeout_s)
            return False
        try:
            async with asyncio.timeout(timeout_s):
                await news.wait()
        except TimeoutError:
            return False
        return True
