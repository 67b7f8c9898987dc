"""Random walks: whatever is held, resumed, hung up, moved, refused, delayed or restarted, in any order.

What must be true of it all: a hold takes only the steps of its table and ends once; who is held has a queue or a
conference behind them; nobody is dropped because somebody was held; once nobody is held, both hear each other.
"""

import asyncio
from collections.abc import Coroutine
from contextlib import suppress
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from holdfast.holds.errors import AccountError, AccountRefused, HoldsError, OutcomeUnknown
from holdfast.holds.hold import TRANSITIONS, Status
from holdfast.holds.ids import CallSid
from tests.stories.holds.conftest import Stage

MUSIC = "https://cdn.example/m.mp3"
AFTER = "https://app.example/after"
REFUSED: AccountError = AccountRefused("too many requests", status=429, twilio_code=20429)
LOST: AccountError = OutcomeUnknown("no answer")

FOLLOWERS = {
    before: {after for (status, _), after_each in TRANSITIONS.items() if status is before for after in after_each}
    for before in Status
}

who = st.sampled_from([0, 1])
quiet_moves = st.one_of(
    st.tuples(st.just("hold"), who),
    st.tuples(st.just("hold with music"), who),
    st.tuples(st.just("resume"), who),
    st.tuples(st.just("hold both at once"), who),
    st.tuples(st.just("hold and resume at once"), who),
    st.tuples(st.just("check"), who),
    st.tuples(st.just("restart"), who),
    st.tuples(st.just("away"), who),
    st.tuples(st.just("deliver"), who),
    st.tuples(st.just("refuse"), who),
    st.tuples(st.just("lose the answer"), who),
    st.tuples(st.just("lose the request"), who),
)
hard_moves = st.one_of(
    quiet_moves,
    st.tuples(st.just("hang up"), who),
    st.tuples(st.just("hang up during the next change"), who),
    st.tuples(st.just("move"), who),
)


async def _try(work: Coroutine[Any, Any, Any]) -> None:
    # The invariants hold after a refusal or a failure too.
    with suppress(HoldsError):
        await work


class Walk:
    """A walk is one conversation under random moves."""

    def __init__(self, calls: list[CallSid], stage: Stage) -> None:
        self.stage = stage
        self.calls = calls
        self.left = False
        """Return whether a party hung up or the application redirected one."""

    async def take(self, move: str, index: int) -> None:
        stage, call = self.stage, self.calls[index]
        other = self.calls[1 - index]
        account = stage.account
        match move:
            case "hold":
                await _try(stage.holds.hold(call))
            case "hold with music":
                await _try(stage.holds.hold(call, music=MUSIC))
            case "resume":
                await _try(stage.holds.resume(call))
            case "hold both at once":
                await self._together(stage.holds.hold(call), stage.holds.hold(other, music=MUSIC))
            case "hold and resume at once":
                await self._together(stage.holds.hold(call), stage.holds.resume(call), stage.holds.hold(call))
            case "check":
                await stage.holds.check()
            case "restart":
                await account.quiet()
                stage.start()
            case "away":
                await account.quiet()
                account.web_unreachable = True
                await stage.passes(600.0, looked_after=index == 0)
                account.web_unreachable = False
                await stage.holds.check()
            case "deliver":
                if account.pending:
                    await account.deliver(-1 if index else 0)
            case "refuse":
                account.errors.setdefault("redirect", []).append((REFUSED, False))
            case "lose the answer":
                account.errors.setdefault("redirect", []).append((LOST, True))
                account.errors.setdefault("set_hold", []).append((LOST, True))
            case "lose the request":
                account.errors.setdefault("redirect", []).append((LOST, False))
                account.errors.setdefault("set_hold", []).append((LOST, False))
            case "hang up":
                self.left = True
                account.party_hangs_up(call)
            case "hang up during the next change":
                self.left = True
                account.before["redirect"] = [lambda: account.party_hangs_up(call)]
                account.before["set_hold"] = [lambda: account.party_hangs_up(call)]
            case "move" if account.calls_[call].live and account.calls_[call].verb not in ("dial", "app"):
                self.left = True
                account.app_redirects(call, "https://app.example/elsewhere")
            case _:
                pass

    async def _together(self, *works: Coroutine[Any, Any, Any]) -> None:
        await asyncio.gather(*(_try(work) for work in works))

    async def check(self) -> None:
        """Assert what must be true after every move."""
        account = self.stage.account
        history: dict[str, list[Status]] = {}
        for event in await self.stage.store.events():
            if event.kind != "reminder":
                history.setdefault(event.hold, []).append(event.status)
        for steps in history.values():
            for before, after in pairwise(steps):
                assert after in FOLLOWERS[before], steps
            assert sum(status.final for status in steps) <= 1
        if not self.left:
            for call in self.calls:
                assert account.calls_[call].live, account.calls_[call].hung_up_by
            for hold in await self.stage.holds.list(active_only=True):
                if hold.status is Status.HELD:
                    assert account.hears(hold.call) == "music", hold

    async def end(self) -> None:
        """Finish all work, resume every held party, and check what both hear."""
        account = self.stage.account
        account.errors.clear()
        account.before.clear()
        for _ in range(3):
            await account.quiet()
            await self.stage.holds.check()
        for call in self.calls:
            if self.stage.holds.hold_log.of_call(call) is not None:
                await self.stage.holds.resume(call)
        for _ in range(3):
            await account.quiet()
            await self.stage.holds.check()
        await self.check()
        assert await self.stage.holds.list(active_only=True) == []
        if not self.left:
            assert [account.hears(call) for call in self.calls] == [self.calls[1], self.calls[0]]
            return
        for call in self.calls:
            me = account.calls_[call]
            assert me.verb != "enqueue" or me.peer is not None, "left in a queue with music for ever"
        assert self.stage.holds._locks.__len__() == 0


async def _walk(way: str, moves: list[tuple[str, int]]) -> None:
    stage = Stage()
    if way == "conference":
        calls = [stage.account.add_call(1), stage.account.add_call(2)]
        stage.account.meet("support", *calls)
    else:
        stage.start(legs="convert" if way == "convert" else "queue")
        calls = list(await stage.two_legs(after=AFTER))
    walk = Walk(calls, stage)
    for move, index in moves:
        await walk.take(move, index)
        await walk.check()
    await walk.end()


@pytest.mark.parametrize("way", ["legs", "conference", "convert"])
@settings(max_examples=60, deadline=None)
@given(moves=st.lists(quiet_moves, max_size=12))
def test_a_hold_drops_no_party(way: str, moves: list[tuple[str, int]]) -> None:
    asyncio.run(_walk(way, moves))


@pytest.mark.parametrize("way", ["legs", "conference", "convert"])
@settings(max_examples=60, deadline=None)
@given(moves=st.lists(hard_moves, max_size=12))
def test_no_party_is_left_with_music_for_ever(way: str, moves: list[tuple[str, int]]) -> None:
    asyncio.run(_walk(way, moves))
