"""This module runs several reads at once, each in a named task, and leaves none behind."""

import asyncio
from collections.abc import Coroutine, Sequence
from typing import Any, TypeVar

from holdfast.holds.errors import HoldsError

T = TypeVar("T")


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
