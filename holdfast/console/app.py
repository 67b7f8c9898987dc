"""The console's three files over HTTP. It asks the JSON API for all the rest."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from pathlib import Path

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

FOLDER = Path(__file__).parent
HEADERS = {
    # Nothing from elsewhere, and no page of elsewhere around ours, which could steal a click on Hold.
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
    "img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-cache",
}


def console_routes(*, sip: str) -> Sequence[Route]:
    """The page at `/`, and what it loads. `sip` is the address a phone registers at, which the empty page tells."""
    page = (FOLDER / "page.html").read_text("utf-8").replace("{{sip}}", escape(sip))
    files = {
        "/": (page, "text/html"),
        "/console/page.css": ((FOLDER / "page.css").read_text("utf-8"), "text/css"),
        "/console/page.js": ((FOLDER / "page.js").read_text("utf-8"), "text/javascript"),
    }

    async def answer(request: Request) -> Response:
        content, media_type = files[request.url.path]
        return Response(content, media_type=media_type, headers=HEADERS)

    return [Route(path, answer) for path in files]
