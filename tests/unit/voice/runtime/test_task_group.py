"""A group ends all its tasks, and loses no error."""

import asyncio
from collections.abc import Coroutine

import pytest

from holdfast.voice.runtime.task_group import cancelled_group

pytestmark = pytest.mark.anyio


async def test_a_task_that_waits_for_ever_ends_with_the_block() -> None:
    async with cancelled_group() as tasks:
        waits = tasks.create_task(asyncio.Event().wait())
        done = tasks.create_task(asyncio.sleep(0))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
    assert waits.cancelled()
    assert done.done()
    assert not done.cancelled()


async def with_a_task(work: Coroutine[None, None, None]) -> None:
    async with cancelled_group() as tasks:
        tasks.create_task(work)
        await asyncio.sleep(0)
        await asyncio.sleep(0)


async def fails() -> None:
    raise ValueError("a fault of ours")


async def fails_as_it_is_ended() -> None:
    try:
        await asyncio.Event().wait()
    finally:
        raise ValueError("at the end")


async def test_an_error_of_a_task_is_raised_at_any_time() -> None:
    for work, words in ((fails(), "a fault of ours"), (fails_as_it_is_ended(), "at the end")):
        with pytest.raises(ExceptionGroup) as caught:
            await with_a_task(work)
        assert caught.group_contains(ValueError, match=words)


async def test_an_error_of_the_block_is_raised() -> None:
    async def block() -> None:
        async with cancelled_group():
            raise KeyError("the block's")

    with pytest.raises(ExceptionGroup) as caught:
        await block()
    assert caught.group_contains(KeyError)
