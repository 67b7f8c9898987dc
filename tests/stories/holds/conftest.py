"""The stories use a service on a fake account, with its real web application."""

from dataclasses import dataclass, field
from functools import cache
from itertools import count
from typing import Any, cast

import pytest
from starlette.types import ASGIApp

from holdfast.holds.clock import Timeouts
from holdfast.holds.history.memory_store import MemoryStore
from holdfast.holds.hold import Hold
from holdfast.holds.ids import CallSid, HoldId
from holdfast.holds.service import Holds
from holdfast.holds.web.app import make_web
from tests.stories.holds.fake_account import PUBLIC, FakeAccount, FakeClock


class Newest:
    """The newest service stands for the one that was started last, and forwards every use to it."""

    holds: Holds

    def __getattr__(self, name: str) -> Any:
        return getattr(self.holds, name)


NEWEST = Newest()


@cache
def newest_web() -> ASGIApp:
    """Return the web application of the newest service.

    It is one for all: building it takes longer than most stories.
    """
    return make_web(cast(Holds, NEWEST))


@dataclass(slots=True)
class Stage:
    """A stage has everything that a story needs."""

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
        """Start a new service on the same account and store: as after a restart, or with other options."""
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
        """Add a parent and a child whose Dial continues at our URL."""
        parent, child = self.account.dial(1, 2, action=self.holds.continue_url)
        await self.holds.adopt(parent, child, after=after)
        return parent, child

    async def passes(self, seconds: float, *, looked_after: bool = True) -> None:
        """Let time pass: documents end, and the service checks what is held, if it runs."""
        until = self.clock.time + seconds
        while self.clock.time < until:
            self.clock.time = min(until, self.clock.time + 5.0)
            await self.settle()
            if looked_after:
                await self.holds.check()
                await self.settle()

    async def settle(self) -> None:
        """Finish all that is in progress."""
        await self.account.quiet()

    async def kinds(self, hold: Hold) -> list[str]:
        """Return the history of one hold."""
        return [event.kind for event in await self.store.events() if event.hold == hold.id]


@pytest.fixture
def stage() -> Stage:
    """Return a service with no hold yet."""
    return Stage()
