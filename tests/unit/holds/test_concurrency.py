"""Locks per call are acquired in arrival order and forgotten; tasks that read together end together."""

from __future__ import annotations

import asyncio

import pytest

from holdfast.holds.concurrency import KeyedLocks, gather
from holdfast.holds.errors import AccountUnreachable, HoldsError

pytestmark = pytest.mark.anyio


async def test_one_key_is_locked_in_arrival_order_and_another_is_free() -> None:
    locks, order = KeyedLocks(), list[str]()

    async def work(key: str, name: str) -> None:
        async with locks.lock(key):
            order.append(f"{name} in")
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            order.append(f"{name} out")

    tasks = [asyncio.create_task(work("a", str(number)), name=str(number)) for number in range(3)]
    await asyncio.sleep(0)
    assert (order, len(locks)) == (["0 in"], 1)
    async with locks.lock("b"):
        assert len(locks) == 2
        await asyncio.gather(*tasks)
        assert len(locks) == 1
    assert order == ["0 in", "0 out", "1 in", "1 out", "2 in", "2 out"]
    assert len(locks) == 0


async def test_a_task_that_is_cancelled_while_it_waits_leaves_no_lock() -> None:
    locks = KeyedLocks()
    async with locks.lock("a"):

        async def wait() -> None:
            async with locks.lock("a"):
                raise AssertionError("it never gets the lock")

        task = asyncio.create_task(wait(), name="waits")
        await asyncio.sleep(0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        assert len(locks) == 1
    assert len(locks) == 0


async def test_results_are_in_the_order_of_the_reads_and_each_task_has_the_name() -> None:
    names: list[str] = []

    async def read(number: int) -> int:
        task = asyncio.current_task()
        assert task is not None
        names.append(task.get_name())
        for _ in range(3 - number):
            await asyncio.sleep(0)
        return number

    assert await gather("read", [read(number) for number in range(3)]) == [0, 1, 2]
    assert names == ["read"] * 3
    assert await gather("nothing", list[object]()) == []  # type: ignore[arg-type]  # no coroutine


async def test_the_first_error_cancels_the_other_reads_and_is_raised_itself() -> None:
    ended: list[str] = []

    async def fail() -> None:
        await asyncio.sleep(0)
        raise AccountUnreachable("down")

    async def wait() -> None:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            ended.append("cancelled")
            raise

    with pytest.raises(AccountUnreachable, match="down") as caught:
        await gather("read", [wait(), fail(), wait()])
    assert ended == ["cancelled"] * 2
    assert caught.value.__cause__ is None
    assert isinstance(caught.value, HoldsError)
