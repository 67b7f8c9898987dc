"""This module is the web application of the holds service: a JSON API, a stream of events, and the webhooks.

`make_web(holds)` is an ASGI application. Access to the JSON API is decided in front of it; the documents under `/twiml`
are for the account alone, by its signature.
"""

import base64
import hashlib
from collections.abc import AsyncIterator, Callable
from importlib import resources
from typing import Annotated

from fastapi import Body, FastAPI, Header, Query, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import HTMLResponse, JSONResponse, StreamingResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from holdfast.holds.clock import SystemClock
from holdfast.holds.errors import BadInput, HoldsError, ServerStopping
from holdfast.holds.service import Holds
from holdfast.holds.web.document_endpoints import make_webhooks
from holdfast.holds.web.schemas import (
    NOT_AN_OBJECT,
    CallResponse,
    CallsResponse,
    EventResponse,
    HoldRequest,
    HoldResponse,
    HoldsResponse,
    PairRequest,
    PairResponse,
    ResumeRequest,
    error_responses,
)

KEEPALIVE_S = 15.0
"""How often a quiet event stream sends a comment."""
EVENT_BATCH = 500
RETRY_AFTER_S = 10
"""After how long a server that is stopping has usually been started again."""
MAX_BODY = 65_536
"""Longest request body, in bytes."""

DOCS = resources.files("holdfast.holds").joinpath("docs.html").read_text("utf-8")
"""The page that describes the JSON API. It has no data: it reads `openapi.json`, which needs a signed-in client."""


def _digest_of_script(page: str) -> str:
    """Return the digest that names a page's one script in its policy.

    Source: Content Security Policy Level 3, "hash-source".
    """
    script = page.partition("<script>")[2].partition("</script>")[0]
    return "sha256-" + base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()


DOCS_HEADERS = {
    # Only the page's own script runs. No other site may frame the page: its "Try it" could be clicked unseen.
    "Content-Security-Policy": f"default-src 'none'; script-src '{_digest_of_script(DOCS)}'; "
    "style-src 'unsafe-inline'; connect-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}

ABOUT = """
Put live phone calls on hold, and resume them, on any account that speaks Twilio's voice API.

* **Hold** a call by its SID: its party hears music, and no other party hears it.
* **Resume** the hold: all parties hear each other as before.
* A call that cannot be held without harm is refused before anything is touched, and the response says what would help.

Holding twice and resuming twice are no errors: the second request returns the same hold.
"""


def make_web(holds: Holds, *, is_ending: Callable[[], bool] = lambda: False) -> FastAPI:
    """Return the web application of one service. Run it inside `async with holds`.

    While `is_stopping` the calls of the server are being hung up: no hold begins, and existing ones can be resumed.
    """
    app = FastAPI(title="Holdfast", version="1", description=ABOUT, docs_url=None, redoc_url=None)
    app.add_middleware(BodyLimit)
    _add_holds(app, holds, is_ending)
    _add_reads(app, holds)
    app.include_router(make_webhooks(holds))
    app.add_exception_handler(HoldsError, _on_holds_error)
    app.add_exception_handler(RequestValidationError, _on_invalid_request)
    app.add_exception_handler(HTTPException, _on_http_error)
    return app


def _add_holds(app: FastAPI, holds: Holds, is_ending: Callable[[], bool]) -> None:
    @app.post(
        "/holds",
        status_code=201,
        tags=["Holds"],
        summary="Hold a call",
        response_model=HoldResponse,
        responses={
            200: {"model": HoldResponse, "description": "The call was already on hold: that hold."},
            **error_responses(400, 403, 409, 502, 503, 504),
        },
    )
    async def hold(request: HoldRequest, response: Response) -> HoldResponse:
        """Put a live call on hold; the response comes once its party hears hold music."""
        if is_ending():
            why = "the server is stopping: it hangs up its calls, and no hold begins"
            raise ServerStopping(why, fix=f"Ask again in {RETRY_AFTER_S} s, when it has been started again.")
        known = set(holds.hold_log.ids())
        held = await holds.hold(
            request.call, by=request.by, music=request.music, reason=request.reason, limit_s=request.limit_s
        )
        if held.id in known:
            response.status_code = 200
        return HoldResponse.of(held)

    @app.post(
        "/holds/{id}/resume",
        tags=["Holds"],
        summary="Resume a party",
        responses=error_responses(400, 403, 404, 409, 502, 503, 504),
    )
    async def resume(id: str, request: Annotated[ResumeRequest | None, Body()] = None) -> HoldResponse:
        """Resume a hold, by its id or by the call's SID. `status` shows how it ended: `resumed`, or `call-ended`.

        A call that another program holds on this account is resumed too, as far as the account shows it.
        """
        return HoldResponse.of(await holds.resume(id, by=None if request is None else request.by))

    @app.get("/holds", tags=["Holds"], summary="List holds", responses=error_responses(400, 503))
    async def list_holds(
        active: Annotated[bool, Query(description="Only active holds.")] = False,
        limit: Annotated[int, Query(ge=1, le=1000)] = 100,
    ) -> HoldsResponse:
        """List holds, newest first."""
        return HoldsResponse(
            holds=[HoldResponse.of(hold) for hold in await holds.list(active_only=active, limit=limit)]
        )

    @app.get("/holds/{id}", tags=["Holds"], summary="One hold", responses=error_responses(400, 404, 503))
    async def one_hold(id: str) -> HoldResponse:
        """Return a hold, by its id."""
        return HoldResponse.of(await holds.get(id))

    @app.post(
        "/pairs",
        status_code=201,
        tags=["Holds"],
        summary="Adopt a <Dial>",
        responses=error_responses(400, 409, 502, 503, 504),
    )
    async def adopt(request: PairRequest) -> PairResponse:
        """Record that a Dial's `action` is our `/twiml/continue`, so that both its legs can be held."""
        return PairResponse.of(await holds.adopt(request.parent, request.child, after=request.after))


def _add_reads(app: FastAPI, holds: Holds) -> None:
    @app.get("/calls", tags=["Calls"], summary="List live calls", responses=error_responses(502, 504))
    async def calls() -> CallsResponse:
        """List every live call: where it is, whether it is held, what it hears, whether it can be held."""
        return CallsResponse(calls=[CallResponse.of(view) for view in await holds.calls()])

    @app.get(
        "/events",
        tags=["Events"],
        summary="Watch holds",
        response_class=StreamingResponse,
        responses={
            200: {
                "description": "Server-sent events, named `hold`; the data of each is one line of history.",
                "content": {"text/event-stream": {"schema": EventResponse.model_json_schema()}},
            },
            **error_responses(400, 503),
        },
    )
    async def events(
        after: Annotated[int | None, Query(ge=0, lt=2**63, description="Start after the event with this id.")] = None,
        last_event_id: Annotated[str | None, Header(description="Sent by browsers that reconnect.")] = None,
    ) -> StreamingResponse:
        """Stream every change of every hold as it happens; with an id, the changes after it first."""
        if after is None and last_event_id:
            if not (last_event_id.isascii() and last_event_id.isdigit() and len(last_event_id) < 19):
                raise BadInput("Last-Event-ID is not the id of an event of this stream")
            after = int(last_event_id)
        await holds.load()
        if after is None:
            after = await holds.hold_log.last_event_id()
        headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
        return StreamingResponse(_stream(holds, after), media_type="text/event-stream", headers=headers)

    @app.get("/docs", include_in_schema=False)
    async def docs() -> HTMLResponse:
        return HTMLResponse(DOCS, headers=DOCS_HEADERS)


async def _stream(holds: Holds, after: int) -> AsyncIterator[str]:
    """Yield events in the format of the HTML standard, "Server-sent events"."""
    hold_log, clock, last = holds.hold_log, SystemClock(), after
    yield "retry: 1000\n\n"
    while not hold_log.closed:
        changed = hold_log.changed
        happened = await hold_log.events(after=last, limit=EVENT_BATCH)
        for event in happened:
            last = event.id
            yield f"id: {event.id}\nevent: hold\ndata: {EventResponse.of(event).model_dump_json()}\n\n"
        if not happened and not await clock.wait(changed, timeout_s=KEEPALIVE_S):
            yield ": alive\n\n"


async def _on_holds_error(request: Request, error: Exception) -> JSONResponse:
    if not isinstance(error, HoldsError):
        raise error
    response = _error_response(error.http, code=error.code, message=error.message, fix=error.fix, hold=error.hold)
    if isinstance(error, ServerStopping):
        response.headers["Retry-After"] = str(RETRY_AFTER_S)
    return response


async def _on_invalid_request(request: Request, error: Exception) -> JSONResponse:
    if not isinstance(error, RequestValidationError):
        raise error
    problems = []
    for found in error.errors():
        problems.append(_field_problem(found["type"], tuple(found["loc"][1:]), found["msg"]))
    return _error_response(400, code="bad_input", message="; ".join(problems), fix="/docs shows what is expected.")


def _field_problem(kind: str, where: tuple[str | int, ...], words: str) -> str:
    """Describe what is wrong with one value, without words of the library that found it."""
    if kind == "json_invalid":
        return f"the body cannot be read as JSON: {NOT_AN_OBJECT}"
    if not where:
        return NOT_AN_OBJECT if kind == "missing" else words
    name = ".".join(str(part) for part in where)
    if kind == "missing":
        return f"{name} is missing"
    return f"{name} {words.partition(', unable')[0].replace('Input should be', 'must be')}"


async def _on_http_error(request: Request, error: Exception) -> JSONResponse:
    if not isinstance(error, HTTPException):
        raise error
    codes = {404: "not_found", 405: "method_not_allowed"}
    message = f"{request.method} {request.url.path}: {error.detail}"
    code = codes.get(error.status_code, "bad_input")
    return _error_response(error.status_code, code=code, message=message, fix="/docs lists what there is.")


def _error_response(status: int, *, code: str, message: str, fix: str | None, hold: str | None = None) -> JSONResponse:
    return JSONResponse({"code": code, "message": message, "fix": fix, "hold": hold}, status)


class BodyLimit:
    """A body limit is ASGI middleware that refuses a request body that is too long before it fills the memory."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Read the body up to the limit, then pass the request on."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        body, more = bytearray(), True
        while more:
            message = await receive()
            if message["type"] != "http.request":
                return
            body += message.get("body", b"")
            more = message.get("more_body", False)
            if len(body) > MAX_BODY:
                response = _error_response(
                    413, code="bad_input", message=f"the body is longer than {MAX_BODY} bytes", fix=None
                )
                await response(scope, receive, send)
                return
        delivered = False

        async def receive_again() -> Message:
            nonlocal delivered
            if delivered:
                return await receive()
            delivered = True
            return {"type": "http.request", "body": bytes(body), "more_body": False}

        await self._app(scope, receive_again, send)
