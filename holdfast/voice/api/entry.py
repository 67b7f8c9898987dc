"""Check each REST request before its resource: count it, authenticate it, and limit the rate.

A client that is not authenticated is answered 401 on every path, so it does not learn which paths exist.
Source: Twilio errors 20003 and 20429; "REST API rate limits".
"""

from __future__ import annotations

from collections.abc import Callable

from starlette.types import ASGIApp, Receive, Scope, Send

from holdfast.voice.api.authentication import RestCredentials
from holdfast.voice.api.errors import NotAuthenticated, TooManyRequests, error_response
from holdfast.voice.api.ops.metrics_endpoint import Metrics
from holdfast.voice.api.resource import PATH
from holdfast.voice.sip.abuse_guard import HostBuckets


class RestEntry:
    """ASGI middleware that passes on only requests of the account, within the rate, and only to that account.

    It removes `.json` from the end of the path; the scope keeps the requested path. `bucket` None: any rate.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        metrics: Metrics,
        credentials: RestCredentials,
        bucket: HostBuckets | None,
        now: Callable[[], float],
    ) -> None:
        self._app = app
        self._metrics = metrics
        self._credentials = credentials
        self._bucket = bucket
        self._now = now

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or answer 401 or 429."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        send = self._metrics.counted(scope["method"], send)
        path: str = scope["path"]
        resource = path.removesuffix(".json")
        try:
            self._credentials.authorize(header(scope, b"authorization"), resource)
            if self._bucket is not None and not self._bucket.consume(self._credentials.account_sid, self._now()):
                raise TooManyRequests("Too many requests")
        except (NotAuthenticated, TooManyRequests) as error:
            await error_response(error, path)(scope, receive, send)
            return
        await self._app({**scope, "path": resource, PATH: path}, receive, send)


def header(scope: Scope, name: bytes) -> str:
    """Return the first header field with that lower-case name, or ""."""
    return next((value.decode("latin-1") for key, value in scope["headers"] if key == name), "")


def request_bucket(per_s: float) -> HostBuckets:
    """Return a token bucket that holds up to one second's requests of the account."""
    return HostBuckets(burst=max(1.0, per_s), per_s=per_s, max_hosts=1)
