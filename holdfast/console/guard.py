"""Who may use the console and the JSON API, which can hold and listen to the state of every call.

The account, by HTTP Basic, or a browser that signed in with a link the account made. The address a request comes from,
and what a proxy says of it, open nothing: behind a proxy every request comes from loopback. Open are the page's own
files, which hold no data. Twilio's API under `/2010-04-01`, the engine's own `/engine`, and the signed webhooks under
`/twiml` have their own locks; but no page of another site changes anything anywhere, because a browser that was given
the password sends it along with whatever such a page asks for.
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
from holdfast.console.sessions import Session, Sessions

SELF_AUTHENTICATED = ("/2010-04-01/", "/engine/", "/twiml/")
METRICS = "/metrics"
PUBLIC_PATHS = frozenset({"/healthz", "/readyz", SESSION, *FILES})
ACCOUNT_ONLY = frozenset({KEYS})
"""A session makes no new sessions: it would never end."""
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
BASIC = 'Basic realm="holdfast", charset="UTF-8"'
BEARER = 'Bearer realm="holdfast", error="invalid_token"'


class AccessGuard:
    """ASGI middleware: lets through who may, and tells the others what is missing."""

    def __init__(self, app: ASGIApp, *, sid: str, token: str, sessions: Sessions, metrics_open: bool = False) -> None:
        self._app = app
        self._pair = f"{sid}:{token}".encode()
        self._sessions = sessions
        self._open = PUBLIC_PATHS | {METRICS} if metrics_open else PUBLIC_PATHS

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on, or answer 401 or 403."""
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

    def _session(self, headers: Headers) -> Session | None:
        return self._sessions.find(headers.get("authorization", ""))

    def _is_account(self, headers: Headers) -> bool:
        scheme, _, encoded = headers.get("authorization", "").partition(" ")
        try:
            given = base64.b64decode(encoded.strip(), validate=True)
        except (binascii.Error, ValueError):
            return False
        return scheme.lower() == "basic" and hmac.compare_digest(given, self._pair)

    async def _pass_within(self, session: Session, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on what ends with its session: a stream of events is cut off whole, as at the end of the server."""
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
    """Whether a browser sent this for a page of another origin. Source: Fetch, "Origin" and "Sec-Fetch-Site"."""
    if headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
        return True
    origin = headers.get("origin")
    try:
        return origin is not None and urlsplit(origin).netloc != headers.get("host")
    except ValueError:  # no browser writes it, and it is no page of ours
        return True


def _unauthorized(headers: Headers) -> JSONResponse:
    """What somebody without rights is answered; a page whose session is over makes no browser ask for a password."""
    if headers.get("authorization", "").lower().startswith("bearer"):
        return _error_response(
            401,
            "your session has ended, or is none",
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
