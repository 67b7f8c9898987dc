"""Several questions at once, each in a named task, none left behind."""

import asyncio
from collections.abc import Coroutine, Sequence
from typing import Any, TypeVar

from holdfast.holds.errors import HoldsError

T = TypeVar("T")


async def together(name: str, questions: Sequence[Coroutine[Any, Any, T]]) -> list[T]:
    """The answers in the order of the questions; the first trouble of ours ends them all and is raised."""
    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(question, name=name) for question in questions]
    except* HoldsError as troubles:
        trouble: BaseException = troubles
        while isinstance(trouble, BaseExceptionGroup):
            trouble = trouble.exceptions[0]
        raise trouble from None
    return [task.result() for task in tasks]
