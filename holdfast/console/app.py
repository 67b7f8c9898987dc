"""Serve the console over HTTP: its files, which need no credentials and hold no data, and its sessions.

The page reads everything else from the JSON API.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from holdfast.console.sessions import SESSION_LIFETIME_S, Sessions

FOLDER = Path(__file__).parent
HEADERS = {
    # Nothing from other sites, and no page of another site around ours, which could steal a click on Hold.
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
    "img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-cache",
}
NO_STORE = {"Cache-Control": "no-store"}

PAGE, STYLE, SCRIPT, DOCS = "/", "/console/page.css", "/console/page.js", "/console/docs"
FILES = frozenset({PAGE, STYLE, SCRIPT, DOCS})
SESSION = "/console/session"
KEYS = "/console/keys"


def console_routes(*, sip: str, sessions: Sessions, docs: str, docs_headers: Mapping[str, str]) -> Sequence[Route]:
    """Return the routes of the page at `/`, its files and its sessions.

    `sip` is the address at which phones register, which the page shows while there is no call; `docs` is the page that
    describes the JSON API.
    """
    page = (FOLDER / "page.html").read_text("utf-8").replace("{{sip}}", escape(sip))
    files = {
        PAGE: (page, "text/html", HEADERS),
        STYLE: ((FOLDER / "page.css").read_text("utf-8"), "text/css", HEADERS),
        SCRIPT: ((FOLDER / "page.js").read_text("utf-8"), "text/javascript", HEADERS),
        DOCS: (docs, "text/html", {**HEADERS, **docs_headers}),
    }

    async def answer(request: Request) -> Response:
        content, media_type, headers = files[request.url.path]
        return Response(content, media_type=media_type, headers=headers)

    async def make_key(request: Request) -> Response:
        return JSONResponse({"key": sessions.new_key()}, 201, NO_STORE)

    async def sign_in(request: Request) -> Response:
        token = sessions.exchange_key(_read_key(await request.body()))
        if token is None:
            return _refused()
        return JSONResponse({"session": token, "lasts_s": SESSION_LIFETIME_S}, 201, NO_STORE)

    async def sign_out(request: Request) -> Response:
        session = sessions.find(request.headers.get("authorization", ""))
        if session is not None:
            session.end()
        return Response(status_code=204)

    return [
        *(Route(path, answer) for path in files),
        Route(KEYS, make_key, methods=["POST"]),
        Route(SESSION, sign_in, methods=["POST"]),
        Route(SESSION, sign_out, methods=["DELETE"]),
    ]


def _read_key(body: bytes) -> str:
    """Return the key in a request, or "" when there is none."""
    try:
        told = json.loads(body)
    except (ValueError, RecursionError):
        return ""
    key = told.get("key") if isinstance(told, dict) else None
    return key if isinstance(key, str) else ""


def _refused() -> JSONResponse:
    return JSONResponse(
        {
            "code": "key_not_good",
            "message": "this link was used already, is older than ten minutes, or is from a server that has stopped",
            "fix": "`holdfast console` prints a new one.",
        },
        403,
        NO_STORE,
    )
