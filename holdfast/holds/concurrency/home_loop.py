"""This module binds a service to one event loop: its locks and events notify no task of another loop."""

import asyncio
import threading

from holdfast.holds.errors import WrongEventLoop


class HomeLoop:
    """A home loop is the event loop of the first use."""

    def __init__(self) -> None:
        self._loop: asyncio.AbstractEventLoop | None = None
        self._lock = threading.Lock()

    def check(self) -> None:
        """Continue only in the loop of the first use. Raises: WrongEventLoop."""
        current = asyncio.get_running_loop()
        with self._lock:
            if self._loop is None:
                self._loop = current
        if self._loop is current:
            return
        if self._loop.is_closed():
            raise WrongEventLoop(
                "this Holds was used in an event loop that has ended, and cannot be used in a second one",
                fix="Make a Holds in each asyncio.run(…), or do all of its work in one; with a store of its own "
                "(Holds(…, store=…)) the next one finds its holds as they are.",
            )
        raise WrongEventLoop(
            "this Holds lives in another event loop, and cannot be used from this one",
            fix="Hand the work over: asyncio.run_coroutine_threadsafe(holds.hold(…), loop), with the loop it was "
            "first used in; or make a Holds of its own in this loop.",
        )
