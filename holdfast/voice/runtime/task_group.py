"""Run a group of tasks that ends with its block, even if its tasks still wait."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class _BlockEnded(Exception):
    """The block has ended."""


@asynccontextmanager
async def cancelled_group() -> AsyncIterator[asyncio.TaskGroup]:
    """Open a TaskGroup that cancels its remaining tasks at its end, where a plain one would wait for them.

    A task may wait for a web server that never answers.
    """
    try:
        async with asyncio.TaskGroup() as tasks:
            yield tasks
            raise _BlockEnded
    except* _BlockEnded:
        pass  # it ended the group
