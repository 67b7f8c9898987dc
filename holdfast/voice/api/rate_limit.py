"""Limit the rate at which calls are placed. Source: Twilio API, Call resource, calls per second."""

from __future__ import annotations

from collections.abc import Callable

from holdfast.voice.api.errors import BacklogFull

MAX_WAIT_S = 86_400.0
"""The longest that a call waits to be placed. Source: Twilio error 22005."""


class CallPacing:
    """Spaces the calls that REST places: `per_s` in a second, in order. None places all at once."""

    def __init__(self, *, per_s: float | None, now: Callable[[], float]) -> None:
        self._interval_s = 0.0 if per_s is None else 1 / per_s
        self._now = now
        self._next_at = now()

    def reserve(self) -> float:
        """Reserve the next place and return how long the call waits for it. Units: seconds. Raises: BacklogFull."""
        now = self._now()
        at = max(now, self._next_at)
        if at - now > MAX_WAIT_S:
            raise BacklogFull(
                f"{(at - now) * (1 / self._interval_s):.0f} calls wait to be placed already, as many as in a day"
            )
        self._next_at = at + self._interval_s
        return at - now
