"""This module bounds concurrency within one event loop: the home loop, locks per call, gathered tasks."""

import asyncio
import threading
from collections.abc import AsyncIterator, Coroutine, Sequence
from contextlib import asynccontextmanager
from typing import Any, TypeVar

from holdfast.holds.errors import HoldsError, WrongEventLoop

T = TypeVar("T")


class HomeLoop:
    """A home loop is the event loop of the first use: the locks and events of a service notify no task of another."""

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


class KeyedLocks:
    """Keyed locks are one per call: its requests are carried out one by one, in their order.

    Each lock exists only while a task needs it.
    """

    def __init__(self) -> None:
        self._locks: dict[str, tuple[asyncio.Lock, int]] = {}

    @asynccontextmanager
    async def lock(self, key: str) -> AsyncIterator[None]:
        """Acquire this key's lock, in arrival order."""
        lock, waiting = self._locks.get(key, (asyncio.Lock(), 0))
        self._locks[key] = (lock, waiting + 1)
        try:
            async with lock:
                yield
        finally:
            _, waiting = self._locks[key]
            if waiting == 1:
                del self._locks[key]
            else:
                self._locks[key] = (lock, waiting - 1)

    def __len__(self) -> int:
        """Return how many keys are locked or waited for."""
        return len(self._locks)


async def gather(name: str, coroutines: Sequence[Coroutine[Any, Any, T]]) -> list[T]:
    """Return the results in the order of the coroutines. The first HoldsError cancels the others and is raised."""
    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(coroutine, name=name) for coroutine in coroutines]
    except* HoldsError as errors:
        error: BaseException = errors
        while isinstance(error, BaseExceptionGroup):
            error = error.exceptions[0]
        raise error from None
    return [task.result() for task in tasks]
