"""Limit the rate of REST requests, and the rate at which their calls are placed.

Source: Twilio error 20429; "REST API rate limits"; Call resource, calls per second.
"""

from __future__ import annotations

from collections.abc import Callable

from starlette.types import ASGIApp, Receive, Scope, Send

from holdfast.voice.api.errors import BacklogFull, TooManyRequests, error_response

MAX_WAIT_S = 86_400.0
"""The longest that a call waits to be placed. Source: Twilio error 22005."""


class TokenBucket:
    """A token bucket that holds up to one second's requests. Units: `per_s` requests per second."""

    def __init__(self, *, per_s: float, now: Callable[[], float]) -> None:
        self._per_s = per_s
        self._now = now
        self._size = max(1.0, per_s)
        self._tokens = self._size
        self._refilled_at = now()

    def take(self) -> bool:
        """Take a token and return True, or return False when there is none."""
        now = self._now()
        self._tokens = min(self._size, self._tokens + (now - self._refilled_at) * self._per_s)
        self._refilled_at = now
        if self._tokens < 1.0:
            return False
        self._tokens -= 1.0
        return True


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


class RateLimited:
    """ASGI middleware that answers 429 above the rate, with a Retry-After of 1 s as the client libraries expect."""

    def __init__(self, app: ASGIApp, *, bucket: TokenBucket | None) -> None:
        self._app = app
        self._bucket = bucket

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or answer 429."""
        if scope["type"] == "http" and self._bucket is not None and not self._bucket.take():
            response = error_response(TooManyRequests("Too many requests"), scope["path"])
            response.headers["retry-after"] = "1"
            await response(scope, receive, send)
            return
        await self._app(scope, receive, send)
