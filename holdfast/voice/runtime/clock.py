"""The engine's one clock, and the timers that tell the switch of it.

`now` is seconds since the Unix epoch at the start plus what the monotonic clock has gone on since, so that it never
jumps and still says what time it is.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from holdfast.voice.model.effects import StartTimer, StopTimer
from holdfast.voice.model.facts import TimerFired
from holdfast.voice.model.ids import Token


class Clock:
    """Seconds since the Unix epoch, monotonic within a run."""

    def __init__(self) -> None:
        self._offset = time.time() - time.monotonic()

    def now(self) -> float:
        """The time. Units: seconds."""
        return self._offset + time.monotonic()


class Timers:
    """Tells `TimerFired` when its time has come. Invariant: at most one timer per token."""

    def __init__(self, post: Callable[[TimerFired], None]) -> None:
        self._tell = post
        self._running: dict[Token, asyncio.TimerHandle] = {}

    def carry_out(self, effect: StartTimer | StopTimer) -> None:
        """Start or stop a timer."""
        running = self._running.pop(effect.token, None)
        if running is not None:
            running.cancel()
        if isinstance(effect, StartTimer):
            loop = asyncio.get_running_loop()
            self._running[effect.token] = loop.call_later(effect.after_s, self._fire, effect.token)

    def close(self) -> None:
        """Stop all."""
        for running in self._running.values():
            running.cancel()
        self._running.clear()

    def _fire(self, token: Token) -> None:
        self._running.pop(token, None)
        self._tell(TimerFired(token=token))
