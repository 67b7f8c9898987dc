"""Who may use the console and the JSON API, which can hold and listen to the state of every call.

On the machine itself nobody needs a password: a request that came to a loopback name, through no proxy, of no other
web page. Anybody else proves to be the account by HTTP Basic. Twilio's API under `/2010-04-01`, the engine's own
`/engine`, and the signed webhooks under `/twiml` have their own locks; but no page of another site changes anything
there either, because a browser that was given the password sends it along with whatever such a page asks for.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import ipaddress
import re
from collections.abc import Mapping
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

OTHER_LOCKS = ("/2010-04-01/", "/engine/", "/twiml/")
OPEN = frozenset({"/healthz", "/readyz", "/metrics"})
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
_HOST = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(?::\d{1,5})?\Z", re.ASCII)
PROXY_HEADERS = ("forwarded", "x-forwarded-for", "x-real-ip", "cf-connecting-ip")


class Guard:
    """ASGI middleware: lets through who may, and tells the others what is missing.

    `trusts_loopback` is whether the server listens on loopback alone, so that who reaches it is on this machine.
    """

    def __init__(self, app: ASGIApp, *, sid: str, token: str, trusts_loopback: bool) -> None:
        self._app = app
        self._pair = f"{sid}:{token}".encode()
        self._trusts_loopback = trusts_loopback

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on, or answer 401 or 403."""
        if scope["type"] != "http" or scope["path"] in OPEN:
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        if scope["method"] not in SAFE_METHODS and of_another_page(headers):
            answer = _told(403, "this request was made by a page of another site", "Use the console's own page.")
        elif scope["path"].startswith(OTHER_LOCKS) or self._is_local(headers) or self._is_account(headers):
            await self._app(scope, receive, send)
            return
        else:
            answer = _told(
                401,
                "this needs the account's SID and token in HTTP Basic authentication",
                "`holdfast account` prints them. On the machine itself, use the address 127.0.0.1.",
                {"WWW-Authenticate": 'Basic realm="holdfast", charset="UTF-8"'},
            )
        await answer(scope, receive, send)

    def _is_local(self, headers: Headers) -> bool:
        # A name that leads to 127.0.0.1 but is not loopback's own may belong to a hostile page that rebinds it.
        proxied = any(name in headers for name in PROXY_HEADERS)
        return self._trusts_loopback and not proxied and is_loopback(_host_name(headers.get("host", "")))

    def _is_account(self, headers: Headers) -> bool:
        scheme, _, encoded = headers.get("authorization", "").partition(" ")
        try:
            given = base64.b64decode(encoded.strip(), validate=True)
        except (binascii.Error, ValueError):
            return False
        return scheme.lower() == "basic" and hmac.compare_digest(given, self._pair)


def is_loopback(host: str) -> bool:
    """Whether a host name or address is this machine's own and nobody else's. Source: RFC 6761 §6.3."""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def of_another_page(headers: Headers) -> bool:
    """Whether a browser sent this for a page of another origin. Source: Fetch, "Origin" and "Sec-Fetch-Site"."""
    if headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
        return True
    origin = headers.get("origin")
    return origin is not None and urlsplit(origin).netloc != headers.get("host")


def _host_name(host: str) -> str:
    """The name in a Host field, or "" when it is not of its form. Source: RFC 9110 §7.2."""
    found = _HOST.match(host)
    return found[1].strip("[]").lower() if found else ""


def _told(status: int, message: str, fix: str, headers: Mapping[str, str] | None = None) -> JSONResponse:
    code = {401: "not_authenticated", 403: "other_site"}[status]
    return JSONResponse({"code": code, "message": message, "fix": fix}, status, headers)
