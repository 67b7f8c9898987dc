"""Decide who may use the console and the JSON API, which can hold every call and read its state.

The account may, by HTTP Basic, or a browser that signed in with a link of the account. The source address of a request,
and a proxy's header fields about it, give no right: behind a proxy every request comes from loopback. The page's own
files, which hold no data, are public. Twilio's API under `/2010-04-01`, the engine's own `/engine`, and the signed
webhooks under `/twiml` authenticate requests themselves; but no page of another site changes anything anywhere, because
a browser that has the password sends it with the requests of such a page.
"""

from __future__ import annotations

import base64
import binascii
import hmac
from collections.abc import Mapping
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from holdfast.console.app import FILES, KEYS, SESSION
from holdfast.console.sessions import ConsoleSession, Sessions

SELF_AUTHENTICATED = ("/2010-04-01/", "/engine/", "/twiml/")
METRICS = "/metrics"
PUBLIC_PATHS = frozenset({"/healthz", "/readyz", SESSION, *FILES})
ACCOUNT_ONLY = frozenset({KEYS})
"""The paths that need the account: a session cannot make new sessions, or it would never end."""
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
BASIC = 'Basic realm="holdfast", charset="UTF-8"'
BEARER = 'Bearer realm="holdfast", error="invalid_token"'


class AccessGuard:
    """ASGI middleware that passes on permitted requests, and answers the others with what is missing."""

    def __init__(self, app: ASGIApp, *, sid: str, token: str, sessions: Sessions, metrics_open: bool = False) -> None:
        self._app = app
        self._pair = f"{sid}:{token}".encode()
        self._sessions = sessions
        self._open = PUBLIC_PATHS | {METRICS} if metrics_open else PUBLIC_PATHS

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or answer 401 or 403."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers, path = Headers(scope=scope), scope["path"]
        if scope["method"] not in SAFE_METHODS and is_cross_site(headers):
            answer = _error_response(
                403, "this request was made by a page of another site", "Use the console's own page."
            )
        elif path in self._open or path.startswith(SELF_AUTHENTICATED) or self._is_account(headers):
            await self._app(scope, receive, send)
            return
        elif path in ACCOUNT_ONLY or (session := self._session(headers)) is None:
            answer = _unauthorized(headers)
        else:
            await self._pass_within(session, scope, receive, send)
            return
        await answer(scope, receive, send)

    def _session(self, headers: Headers) -> ConsoleSession | None:
        return self._sessions.find(headers.get("authorization", ""))

    def _is_account(self, headers: Headers) -> bool:
        scheme, _, encoded = headers.get("authorization", "").partition(" ")
        try:
            given = base64.b64decode(encoded.strip(), validate=True)
        except (binascii.Error, ValueError):
            return False
        return scheme.lower() == "basic" and hmac.compare_digest(given, self._pair)

    async def _pass_within(self, session: ConsoleSession, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on a request until its session ends: an event stream is then ended cleanly, as when the server stops."""
        started = complete = False

        async def still() -> Message:
            try:
                async with session.while_valid():
                    return await receive()
            except TimeoutError:
                return {"type": "http.disconnect"}

        async def noted(message: Message) -> None:
            nonlocal started, complete
            started = True
            complete = message["type"] == "http.response.body" and not message.get("more_body", False)
            await send(message)

        await self._app(scope, still, noted)
        if started and not complete:
            await send({"type": "http.response.body", "body": b"", "more_body": False})


def is_cross_site(headers: Headers) -> bool:
    """Return whether a browser sent this for a page of another origin. Source: Fetch, "Origin", "Sec-Fetch-Site"."""
    if headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
        return True
    origin = headers.get("origin")
    try:
        return origin is not None and urlsplit(origin).netloc != headers.get("host")
    except ValueError:  # no browser writes such an origin, and none of our pages has it
        return True


def _unauthorized(headers: Headers) -> JSONResponse:
    """Return the 401 for a request. After an ended session it does not make the browser ask for a password."""
    if headers.get("authorization", "").lower().startswith("bearer"):
        return _error_response(
            401,
            "your session has ended, or does not exist",
            "`holdfast console` prints a link that begins a new one.",
            {"WWW-Authenticate": BEARER},
        )
    return _error_response(
        401,
        "this needs the account's SID and token in HTTP Basic authentication",
        "`holdfast account` prints them; `holdfast console` prints a link that signs a browser in.",
        {"WWW-Authenticate": BASIC},
    )


def _error_response(status: int, message: str, fix: str, headers: Mapping[str, str] | None = None) -> JSONResponse:
    code = {401: "not_authenticated", 403: "other_site"}[status]
    return JSONResponse({"code": code, "message": message, "fix": fix}, status, headers)
