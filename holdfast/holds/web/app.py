"""The web door: a JSON API for people and programs, a stream of events, and the documents the account asks for.

`make_web(holds)` is an ASGI application. Who may use the JSON API is decided in front of it; the documents under
`/twiml` are for the account alone, by its signature.
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
from holdfast.holds.errors import BadInput, BeingStopped, HoldsError
from holdfast.holds.service import Holds
from holdfast.holds.web.schemas import (
    NO_OBJECT,
    CallResponse,
    CallsResponse,
    EventResponse,
    HoldRequest,
    HoldResponse,
    HoldsResponse,
    PairRequest,
    PairResponse,
    ResumeRequest,
    errors,
)
from holdfast.holds.web.webhooks import make_webhooks

BEAT_S = 15.0
"""How often a quiet event stream shows that it is alive."""
EVENTS_AT_ONCE = 500
BACK_IN_S = 10
"""When a server that is being stopped has most often been started again."""
MOST_BODY = 65_536
"""Longest request body, in bytes."""

DOCS = resources.files("holdfast.holds").joinpath("docs.html").read_text("utf-8")
"""The page that describes the JSON API. It holds no data: it reads `openapi.json`, which wants who signed in."""


def _digest_of_script(page: str) -> str:
    """What names a page's one script in its policy. Source: Content Security Policy Level 3, "hash-source"."""
    script = page.partition("<script>")[2].partition("</script>")[0]
    return "sha256-" + base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()


DOCS_HEADERS = {
    # Nothing runs but the page's own script. No page of elsewhere around ours: its "Try it" could be clicked unseen.
    "Content-Security-Policy": f"default-src 'none'; script-src '{_digest_of_script(DOCS)}'; "
    "style-src 'unsafe-inline'; connect-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}

ABOUT = """
Put live phone calls on hold, and bring them back, on any account that speaks Twilio's voice API.

* **Hold** a call by its SID: its party hears music, and nobody hears the party.
* **Resume** the hold: everybody hears each other as before.
* A call that cannot be held without harm is refused before anything is touched, and the answer says what would help.

Holding twice and resuming twice are no errors: each gives the one outcome there is.
"""


def make_web(holds: Holds, *, is_ending: Callable[[], bool] = lambda: False) -> FastAPI:
    """The application of one service. Run it inside `async with holds`.

    While `is_ending` the calls behind it are being hung up: no hold begins, and those that are there can be resumed.
    """
    app = FastAPI(title="Holdfast", version="1", description=ABOUT, docs_url=None, redoc_url=None)
    app.add_middleware(BodyLimit)
    _add_holds(app, holds, is_ending)
    _add_looking(app, holds)
    app.include_router(make_webhooks(holds))
    app.add_exception_handler(HoldsError, _told)
    app.add_exception_handler(RequestValidationError, _misread)
    app.add_exception_handler(HTTPException, _not_served)
    return app


def _add_holds(app: FastAPI, holds: Holds, is_ending: Callable[[], bool]) -> None:
    @app.post(
        "/holds",
        status_code=201,
        tags=["Holds"],
        summary="Hold a call",
        response_model=HoldResponse,
        responses={
            200: {"model": HoldResponse, "description": "The call was on hold already: the one hold there is."},
            **errors(400, 403, 409, 502, 503, 504),
        },
    )
    async def hold(asked: HoldRequest, response: Response) -> HoldResponse:
        """Put a live call on hold; answers once its party hears its hold sound."""
        if is_ending():
            why = "the server is being stopped: it hangs up its calls, and no hold begins"
            raise BeingStopped(why, fix=f"Ask again in {BACK_IN_S} s, when it has been started again.")
        known = set(holds.ledger.ids())
        held = await holds.hold(asked.call, by=asked.by, music=asked.music, reason=asked.reason, limit_s=asked.limit_s)
        if held.id in known:
            response.status_code = 200
        return HoldResponse.of(held)

    @app.post(
        "/holds/{id}/resume",
        tags=["Holds"],
        summary="Bring a party back",
        responses=errors(400, 403, 404, 409, 502, 503, 504),
    )
    async def resume(id: str, asked: Annotated[ResumeRequest | None, Body()] = None) -> HoldResponse:
        """Resume a hold, by its id or by the call's SID. `status` tells how it ended: `resumed`, or `call-ended`.

        A call that another program holds on this account is brought back too, as far as the account shows it.
        """
        return HoldResponse.of(await holds.resume(id, by=None if asked is None else asked.by))

    @app.get("/holds", tags=["Holds"], summary="List holds", responses=errors(400, 503))
    async def list_holds(
        active: Annotated[bool, Query(description="Only those that go on.")] = False,
        limit: Annotated[int, Query(ge=1, le=1000)] = 100,
    ) -> HoldsResponse:
        """Holds, newest first."""
        return HoldsResponse(holds=[HoldResponse.of(one) for one in await holds.list(active_only=active, limit=limit)])

    @app.get("/holds/{id}", tags=["Holds"], summary="One hold", responses=errors(400, 404, 503))
    async def one_hold(id: str) -> HoldResponse:
        """A hold, by its id."""
        return HoldResponse.of(await holds.get(id))

    @app.post(
        "/pairs", status_code=201, tags=["Holds"], summary="Adopt a <Dial>", responses=errors(400, 409, 502, 503, 504)
    )
    async def adopt(asked: PairRequest) -> PairResponse:
        """Say that a Dial's `action` is our `/twiml/continue`, so that both its legs can be held."""
        return PairResponse.of(await holds.adopt(asked.parent, asked.child, after=asked.after))


def _add_looking(app: FastAPI, holds: Holds) -> None:
    @app.get("/calls", tags=["Calls"], summary="List live calls", responses=errors(502, 504))
    async def calls() -> CallsResponse:
        """Every live call: where it is, whether it is held, what it hears, whether it can be held."""
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
            **errors(400, 503),
        },
    )
    async def events(
        after: Annotated[int | None, Query(ge=0, lt=2**63, description="From the event after this id on.")] = None,
        last_event_id: Annotated[str | None, Header(description="Sent by browsers that come back.")] = None,
    ) -> StreamingResponse:
        """Every change of every hold as it happens; what was missed first, when an id is given."""
        if after is None and last_event_id:
            if not (last_event_id.isascii() and last_event_id.isdigit() and len(last_event_id) < 19):
                raise BadInput("Last-Event-ID is not the id of an event of this stream")
            after = int(last_event_id)
        await holds.load()
        if after is None:
            after = await holds.ledger.last_event()
        headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
        return StreamingResponse(_stream(holds, after), media_type="text/event-stream", headers=headers)

    @app.get("/docs", include_in_schema=False)
    async def docs() -> HTMLResponse:
        return HTMLResponse(DOCS, headers=DOCS_HEADERS)


async def _stream(holds: Holds, after: int) -> AsyncIterator[str]:
    """Events in the format of the HTML standard, "Server-sent events"."""
    ledger, clock, last = holds.ledger, SystemClock(), after
    yield "retry: 1000\n\n"
    while not ledger.closed:
        news = ledger.news
        happened = await ledger.events(after=last, limit=EVENTS_AT_ONCE)
        for event in happened:
            last = event.id
            yield f"id: {event.id}\nevent: hold\ndata: {EventResponse.of(event).model_dump_json()}\n\n"
        if not happened and not await clock.wait(news, timeout_s=BEAT_S):
            yield ": alive\n\n"


async def _told(request: Request, error: Exception) -> JSONResponse:
    if not isinstance(error, HoldsError):
        raise error
    answer = _answer(error.http, code=error.code, message=error.message, fix=error.fix, hold=error.hold)
    if isinstance(error, BeingStopped):
        answer.headers["Retry-After"] = str(BACK_IN_S)
    return answer


async def _misread(request: Request, error: Exception) -> JSONResponse:
    if not isinstance(error, RequestValidationError):
        raise error
    problems = []
    for one in error.errors():
        problems.append(_problem(one["type"], tuple(one["loc"][1:]), one["msg"]))
    return _answer(400, code="bad_input", message="; ".join(problems), fix="/docs shows what is expected.")


def _problem(kind: str, where: tuple[str | int, ...], words: str) -> str:
    """What is wrong with one value, without words of the library that found it."""
    if kind == "json_invalid":
        return f"the body cannot be read as JSON: {NO_OBJECT}"
    if not where:
        return NO_OBJECT if kind == "missing" else words
    name = ".".join(str(part) for part in where)
    if kind == "missing":
        return f"{name} is missing"
    return f"{name} {words.partition(', unable')[0].replace('Input should be', 'must be')}"


async def _not_served(request: Request, error: Exception) -> JSONResponse:
    if not isinstance(error, HTTPException):
        raise error
    codes = {404: "not_found", 405: "method_not_allowed"}
    message = f"{request.method} {request.url.path}: {error.detail}"
    code = codes.get(error.status_code, "bad_input")
    return _answer(error.status_code, code=code, message=message, fix="/docs lists what there is.")


def _answer(status: int, *, code: str, message: str, fix: str | None, hold: str | None = None) -> JSONResponse:
    return JSONResponse({"code": code, "message": message, "fix": fix, "hold": hold}, status)


class BodyLimit:
    """ASGI middleware: a request body that is too long is refused before it fills the memory."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on, and count."""
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
            if len(body) > MOST_BODY:
                answer = _answer(413, code="bad_input", message=f"the body is longer than {MOST_BODY} bytes", fix=None)
                await answer(scope, receive, send)
                return
        given = False

        async def whole() -> Message:
            nonlocal given
            if given:
                return await receive()
            given = True
            return {"type": "http.request", "body": bytes(body), "more_body": False}

        await self._app(scope, whole, send)
