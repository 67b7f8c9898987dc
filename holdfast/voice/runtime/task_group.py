"""A group of tasks that ends with its block, whatever its tasks still wait for."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class _Over(Exception):
    """The block is over."""


@asynccontextmanager
async def cancelled_group() -> AsyncIterator[asyncio.TaskGroup]:
    """A TaskGroup that cancels at its end what a plain one would wait for, such as a web server that never answers."""
    try:
        async with asyncio.TaskGroup() as tasks:
            yield tasks
            raise _Over
    except* _Over:
        pass  # it has done its work
