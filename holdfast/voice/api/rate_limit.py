"""How fast the REST door may be asked, and how fast it places calls.

Source: Twilio error 20429; "REST API rate limits"; Call resource, calls per second.
"""

from __future__ import annotations

from collections.abc import Callable

from starlette.types import ASGIApp, Receive, Scope, Send

from holdfast.voice.api.errors import BacklogFull, TooManyRequests, told

BACKLOG_S = 86_400.0
"""The longest that a call waits for its turn. Source: Twilio error 22005."""


class TokenBucket:
    """Holds up to one second's requests. Units: `per_s` requests per second."""

    def __init__(self, *, per_s: float, now: Callable[[], float]) -> None:
        self._per_s = per_s
        self._now = now
        self._size = max(1.0, per_s)
        self._left = self._size
        self._at = now()

    def take(self) -> bool:
        """Whether one more request may go through now."""
        now = self._now()
        self._left = min(self._size, self._left + (now - self._at) * self._per_s)
        self._at = now
        if self._left < 1.0:
            return False
        self._left -= 1.0
        return True


class CallPacing:
    """When each call of REST is placed: `per_s` in a second, one behind the other; None: all at once."""

    def __init__(self, *, per_s: float | None, now: Callable[[], float]) -> None:
        self._every_s = 0.0 if per_s is None else 1 / per_s
        self._now = now
        self._next_at = now()

    def take(self) -> float:
        """How long the call that comes now waits for its turn, which is taken. Units: seconds. Raises: BacklogFull."""
        now = self._now()
        at = max(now, self._next_at)
        if at - now > BACKLOG_S:
            raise BacklogFull(f"{(at - now) * (1 / self._every_s):.0f} calls wait to be placed already, a day's work")
        self._next_at = at + self._every_s
        return at - now


class RateLimited:
    """ASGI middleware: answers 429 to what comes too fast, with the second to wait as the client libraries expect."""

    def __init__(self, app: ASGIApp, *, bucket: TokenBucket | None) -> None:
        self._app = app
        self._bucket = bucket

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on, or answer 429."""
        if scope["type"] == "http" and self._bucket is not None and not self._bucket.take():
            response = told(TooManyRequests("Too many requests"), scope["path"])
            response.headers["retry-after"] = "1"
            await response(scope, receive, send)
            return
        await self._app(scope, receive, send)
