"""Keep the engine's one clock, and the timers that post to the switch.

`now` is the Unix time at the start plus the monotonic time since then: it never jumps, and reads as a date.
"""

from __future__ import annotations

import asyncio
import time

from holdfast.voice.model.effects import StartTimer, StopTimer
from holdfast.voice.model.facts import TimerFired
from holdfast.voice.model.ids import Token
from holdfast.voice.runtime.mailbox import EngineEvents


class Clock:
    """A clock counts seconds since the Unix epoch, and is monotonic within a run."""

    def __init__(self) -> None:
        self._offset = time.time() - time.monotonic()

    def now(self) -> float:
        """Return the current time. Units: seconds since the Unix epoch."""
        return self._offset + time.monotonic()


class Timers:
    """Running timers post `TimerFired` when they expire. Invariant: at most one timer per token."""

    def __init__(self, events: EngineEvents) -> None:
        self._events = events
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
        """Stop every timer."""
        for running in self._running.values():
            running.cancel()
        self._running.clear()

    def _fire(self, token: Token) -> None:
        self._running.pop(token, None)
        self._events.post(TimerFired(token=token))
