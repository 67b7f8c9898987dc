"""A service that is used from a second event loop raises at once, and does not wait there for ever."""

import asyncio
import threading
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from starlette.types import ASGIApp

from holdfast.holds import Holds, WrongEventLoop
from holdfast.holds.ids import CallSid
from holdfast.holds.legs.continuation import ContinuationResult
from holdfast.holds.steps.account_steps import EndLeg
from holdfast.holds.steps.pair import pair_of_dial
from holdfast.holds.web.app import make_web
from tests.stories.holds.fake_account import PUBLIC, FakeAccount, asgi

ALICE, BOB = CallSid("CA" + "a" * 32), CallSid("CA" + "b" * 32)
NEWS = ContinuationResult(pair=pair_of_dial(parent=ALICE, child=BOB), document=EndLeg())


async def one_of(holds: Holds) -> None:
    async for _ in holds.watch(after=0):
        return


async def entered(holds: Holds) -> None:
    async with holds:
        return


METHODS: dict[str, Callable[[Holds], Coroutine[Any, Any, object]]] = {
    "hold": lambda holds: holds.hold(ALICE),
    "resume": lambda holds: holds.resume(ALICE),
    "adopt": lambda holds: holds.adopt(ALICE),
    "add_child": lambda holds: holds.add_child(ALICE, BOB, after=None),
    "apply_continuation": lambda holds: holds.apply_continuation(ALICE, NEWS),
    "handle_call_ended": lambda holds: holds.handle_call_ended(ALICE),
    "end_all": lambda holds: holds.end_all(why="the server was stopped"),
    "get": lambda holds: holds.get("HO" + "1" * 32),
    "calls": lambda holds: holds.calls(),
    "list": lambda holds: holds.list(),
    "watch": one_of,
    "check": lambda holds: holds.check(),
    "load": lambda holds: holds.load(),
    "async with": entered,
}


@contextmanager
def another_loop() -> Iterator[asyncio.AbstractEventLoop]:
    """Run an event loop in a thread of its own."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="another loop")
    thread.start()
    try:
        yield loop
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


def in_loop(loop: asyncio.AbstractEventLoop, work: Coroutine[Any, Any, object]) -> object:
    return asyncio.run_coroutine_threadsafe(work, loop).result(timeout=10)


def test_every_public_method_is_among_those_tried() -> None:
    public = {
        name for name, value in vars(Holds).items() if not name.startswith("_") and not isinstance(value, property)
    }
    assert public == METHODS.keys() - {"async with"}


@pytest.mark.parametrize("name", METHODS)
def test_each_method_refuses_a_second_loop_and_names_the_way(name: str) -> None:
    holds = Holds(FakeAccount(), public_url=PUBLIC)
    with another_loop() as first:
        in_loop(first, holds.load())
        with pytest.raises(WrongEventLoop) as caught:
            asyncio.run(_bounded(METHODS[name](holds)))
        assert "run_coroutine_threadsafe" in str(caught.value.fix)
        assert in_loop(first, holds.list()) == []


@pytest.mark.parametrize("name", METHODS)
def test_a_loop_that_has_ended_is_another_one_too(name: str) -> None:
    holds = Holds(FakeAccount(), public_url=PUBLIC)
    asyncio.run(_bounded(entered(holds)))
    with pytest.raises(WrongEventLoop) as caught:
        asyncio.run(_bounded(METHODS[name](holds)))
    assert "asyncio.run(…)" in str(caught.value.fix)


def test_the_web_application_in_another_loop_responds_with_the_reason() -> None:
    holds = Holds(FakeAccount(), public_url=PUBLIC)
    web: ASGIApp = make_web(holds)
    with another_loop() as first:
        in_loop(first, holds.load())
        for path in ("/holds", "/calls", "/events?after=0"):
            status, _, body = asyncio.run(_bounded(asgi(web, "GET", PUBLIC + path)))
            assert (status, b"wrong_event_loop" in body) == (500, True), path


async def _bounded(work: Awaitable[Any]) -> Any:
    async with asyncio.timeout(10):
        return await work
