"""Serve the operator's endpoints: health, metrics, the journal of a call, phone holds, and the directory by JSON.

`/engine/…` needs the account's SID and token, checked here. `/healthz` and `/readyz` show no secrets and need no
credentials; the console's guard decides who may read `/metrics`.
"""

from __future__ import annotations

import json
from collections.abc import Callable

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel
from starlette.responses import JSONResponse, PlainTextResponse

from holdfast.voice.api.ops.json_errors import JsonErrorRoute, engine_router
from holdfast.voice.api.ops.lines_endpoint import add_lines, add_numbers
from holdfast.voice.api.ops.metrics_endpoint import Metrics
from holdfast.voice.api.ops.routes_endpoint import NoRegistrations, TrunkRegistrations, add_routes
from holdfast.voice.api.ports import SwitchPort
from holdfast.voice.diagnostics.ladder import ladder as draw
from holdfast.voice.model.errors import NotFound
from holdfast.voice.model.ids import AccountSid, is_sid
from holdfast.voice.model.ports import Journal
from holdfast.voice.runtime.directory.directory import Directory
from holdfast.voice.runtime.directory.records import MIN_PASSWORD_LENGTH

NO_REGISTRATIONS = NoRegistrations()


class JournalLine(BaseModel):
    """One event in the journal of a call. Units: `at` seconds since the Unix epoch."""

    at: float
    call: str
    kind: str
    data: object


class LadderResponse(BaseModel):
    """The journal of a call, oldest first."""

    call: str
    entries: list[JournalLine]


class PhoneHold(BaseModel):
    """A call that its own phone holds. Units: `since` seconds since the Unix epoch."""

    call: str
    since: float


class PhoneHoldsResponse(BaseModel):
    """Every live call that its own phone holds."""

    holds: list[PhoneHold]


def make_diagnostics(
    *,
    switch: SwitchPort,
    directory: Directory,
    journal: Journal,
    account_sid: AccountSid,
    auth_token: str,
    metrics: Metrics,
    not_ready: Callable[[], str | None] = lambda: None,
    registrations: TrunkRegistrations = NO_REGISTRATIONS,
    min_password_length: int = MIN_PASSWORD_LENGTH,
) -> APIRouter:
    """Return the router, to be included at the root.

    `not_ready` returns why the engine is not ready, or None when it is. `min_password_length` is the least number of
    characters in the password of a line.
    """
    router = APIRouter(route_class=JsonErrorRoute)
    engine = engine_router(account_sid, auth_token)

    @router.get("/healthz", tags=["operation"], summary="Whether the process answers")
    async def healthz() -> dict[str, str]:
        return {"status": "ok"}

    @router.get("/readyz", tags=["operation"], summary="Whether calls can be made")
    async def readyz() -> JSONResponse:
        reason = not_ready()
        if reason is None:
            return JSONResponse({"status": "ready"})
        return JSONResponse({"status": "not ready", "reason": reason}, status_code=503)

    @router.get("/metrics", tags=["operation"], summary="Metrics for Prometheus")
    async def scrape() -> Response:
        return Response(metrics.exposition(), media_type="text/plain; version=0.0.4; charset=utf-8")

    @engine.get("/ladder/{call}", summary="The journal of a call", response_model=LadderResponse)
    async def ladder(call: str, request: Request) -> LadderResponse | PlainTextResponse:
        entries = await journal.entries(call) if is_sid(call, "CA") else ()
        entries = entries or switch.orphan_entries(call)
        if not entries:
            raise NotFound(f"there is no journal of {call}")
        if request.headers.get("accept", "").startswith("text/plain"):
            return PlainTextResponse(draw(call, entries))
        lines = [JournalLine(at=each.at, call=each.call, kind=each.kind, data=_data(each.data)) for each in entries]
        return LadderResponse(call=call, entries=lines)

    @engine.get("/phone-holds", summary="Calls that their own phones hold")
    async def phone_holds() -> PhoneHoldsResponse:
        calls = switch.state.calls.values()
        return PhoneHoldsResponse(
            holds=[
                PhoneHold(call=call.sid, since=call.phone_held_at or call.updated_at)
                for call in calls
                if call.phone_held and call.live
            ]
        )

    add_lines(engine, directory, min_password_length=min_password_length)
    add_numbers(engine, directory, now=switch.now)
    add_routes(engine, directory, registrations)
    router.include_router(engine)
    return router


def _data(text: str) -> object:
    """Return the JSON of a journal entry. An entry that is not JSON is returned as text."""
    try:
        return json.loads(text)
    except ValueError:
        return text
