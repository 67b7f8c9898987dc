"""How fast the REST door may be asked: a bucket that fills with time and is emptied by requests.

Source: Twilio error 20429; "REST API rate limits".
"""

from __future__ import annotations

from collections.abc import Callable

from starlette.types import ASGIApp, Receive, Scope, Send

from holdfast.voice.api.errors import TooManyRequests, told


class Bucket:
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


class Paced:
    """ASGI middleware: answers 429 to what comes too fast, with the second to wait as the client libraries expect."""

    def __init__(self, app: ASGIApp, *, bucket: Bucket | None) -> None:
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
