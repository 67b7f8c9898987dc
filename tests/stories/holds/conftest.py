"""A service on a pretend account, with its real web door."""

from dataclasses import dataclass, field
from functools import cache
from itertools import count
from typing import Any, cast

import pytest
from starlette.types import ASGIApp

from holdfast.holds.history.memory_store import MemoryStore
from holdfast.holds.hold import Hold
from holdfast.holds.ids import CallSid, HoldId
from holdfast.holds.service import Holds
from holdfast.holds.timeouts import Timeouts
from holdfast.holds.web.app import make_web
from tests.stories.holds.fake_account import PUBLIC, FakeAccount, FakeClock


class Newest:
    """Stands for the service that was started last, and takes what is asked of it there."""

    holds: Holds

    def __getattr__(self, name: str) -> Any:
        return getattr(self.holds, name)


NEWEST = Newest()


@cache
def newest_web() -> ASGIApp:
    """The web door of the newest service. One for all: building it takes longer than most stories."""
    return make_web(cast(Holds, NEWEST))


@dataclass(slots=True)
class Stage:
    """Everything a story needs."""

    account: FakeAccount = field(default_factory=FakeAccount)
    clock: FakeClock = field(default_factory=FakeClock)
    store: MemoryStore = field(default_factory=MemoryStore)
    ids: Any = field(default_factory=lambda: count(1))
    options: dict[str, Any] = field(default_factory=dict)
    holds: Holds = field(init=False)

    def __post_init__(self) -> None:
        self.clock.account = self.account
        self.account.clock = self.clock
        self.start()

    def start(self, **options: Any) -> None:
        """A new service on what there is: as after a restart, or with other options."""
        self.options |= options
        self.holds = Holds(
            self.account,
            store=self.store,
            clock=self.clock,
            new_id=lambda: HoldId(f"HO{next(self.ids):032x}"),
            **{"public_url": PUBLIC, "timeouts": Timeouts(check_interval_s=1.0), **self.options},
        )
        NEWEST.holds = self.holds
        self.account.web = newest_web()

    async def two_legs(self, *, after: str | None = None) -> tuple[CallSid, CallSid]:
        """A parent and a child whose Dial goes on at ours."""
        parent, child = self.account.dial(1, 2, action=self.holds.continue_url)
        await self.holds.adopt(parent, child, after=after)
        return parent, child

    async def passes(self, seconds: float, *, looked_after: bool = True) -> None:
        """Let time pass: documents end, and the service looks after what is held, if it is there."""
        until = self.clock.time + seconds
        while self.clock.time < until:
            self.clock.time = min(until, self.clock.time + 5.0)
            await self.settle()
            if looked_after:
                await self.holds.check()
                await self.settle()

    async def settle(self) -> None:
        """Let everything that is under way come to its end."""
        await self.account.quiet()

    async def kinds(self, hold: Hold) -> list[str]:
        """The history of one hold."""
        return [event.kind for event in await self.store.events() if event.hold == hold.id]


@pytest.fixture
def stage() -> Stage:
    """A service with nothing held yet."""
    return Stage()
