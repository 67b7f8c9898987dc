"""What operators ask: is it alive, what does it carry, what happened to this call; and the lines and numbers by JSON.

`/engine/…` wants the account's SID and token; `/healthz`, `/readyz` and `/metrics` tell no secrets and want nothing.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Request, Response
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import JSONResponse, PlainTextResponse

from holdfast.voice.api.auth import Credentials
from holdfast.voice.api.errors import ParameterInvalid
from holdfast.voice.api.forms import is_web_address
from holdfast.voice.api.metrics import Metrics
from holdfast.voice.api.ports import Switch
from holdfast.voice.api.routes import NoRegistrations, Registrations, add_routes
from holdfast.voice.api.told import Told
from holdfast.voice.control.trace import ladder as draw
from holdfast.voice.model.errors import NotFound
from holdfast.voice.model.ids import AccountSid, is_sid
from holdfast.voice.model.ports import Journal
from holdfast.voice.runtime.directory import E164, LINE_NAME, Directory, normal
from holdfast.voice.runtime.listings import Line, PhoneNumber, VoiceSettings

NO_REGISTRATIONS = NoRegistrations()


class NewLine(BaseModel):
    """A SIP user who may register, and call what begins with one of `may_call`: [""] is everything, [] nothing."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"example": {"name": "alice", "password": "pa55"}})
    name: Annotated[str, Field(pattern="^" + LINE_NAME.pattern.replace(r"\Z", "$"))]
    password: Annotated[str, Field(min_length=1, max_length=256)]
    may_call: list[Annotated[str, Field(max_length=64)]] = [""]


class ShownLine(BaseModel):
    """A line without its password."""

    name: str
    may_call: list[str]


class Lines(BaseModel):
    """Every line, by name."""

    lines: list[ShownLine]


class NewNumber(BaseModel):
    """A phone number of ours, and what answers it. Without `voice_url` it rings the line registered under it."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"example": {"phone_number": "+15550100123", "voice_url": "http://127.0.0.1:8000/voice"}},
    )
    phone_number: str
    friendly_name: Annotated[str, Field(max_length=64)] = ""
    voice_url: str | None = None
    voice_method: Literal["GET", "POST"] = "POST"


class ShownNumber(NewNumber):
    """A phone number of ours."""

    sid: str


class Numbers(BaseModel):
    """Every number, the newest first."""

    numbers: list[ShownNumber]


class JournalLine(BaseModel):
    """Something that happened to a call. Units: `at` seconds since the Unix epoch."""

    at: float
    call: str
    kind: str
    data: object


class Ladder(BaseModel):
    """All that happened to a call, oldest first."""

    call: str
    entries: list[JournalLine]


class PhoneHold(BaseModel):
    """A call whose own phone holds. Units: `since` seconds since the Unix epoch."""

    call: str
    since: float


class PhoneHolds(BaseModel):
    """Every live call whose own phone holds."""

    holds: list[PhoneHold]


def make_diagnostics(
    *,
    switch: Switch,
    directory: Directory,
    journal: Journal,
    account_sid: AccountSid,
    auth_token: str,
    metrics: Metrics,
    not_ready: Callable[[], str | None] = lambda: None,
    registrations: Registrations = NO_REGISTRATIONS,
) -> APIRouter:
    """The router, to be included at the root. `not_ready` says why we are not ready, or None when we are."""
    credentials = Credentials(account_sid=account_sid, auth_token=auth_token)

    def account(request: Request) -> None:
        credentials.check(request.headers.get("authorization", ""))

    router = APIRouter(route_class=Told)
    engine = APIRouter(prefix="/engine", tags=["engine"], dependencies=[Depends(account)], route_class=Told)

    @router.get("/healthz", tags=["operation"], summary="The process answers")
    async def healthz() -> dict[str, str]:
        return {"status": "ok"}

    @router.get("/readyz", tags=["operation"], summary="Calls can be made")
    async def readyz() -> JSONResponse:
        reason = not_ready()
        if reason is None:
            return JSONResponse({"status": "ready"})
        return JSONResponse({"status": "not ready", "reason": reason}, status_code=503)

    @router.get("/metrics", tags=["operation"], summary="Figures for Prometheus")
    async def scrape() -> Response:
        return Response(metrics.exposition(), media_type="text/plain; version=0.0.4; charset=utf-8")

    @engine.get("/ladder/{call}", summary="All that happened to a call", response_model=Ladder)
    async def ladder(call: str, request: Request) -> Ladder | PlainTextResponse:
        entries = await journal.entries(call) if is_sid(call, "CA") else ()
        entries = entries or switch.unclaimed(call)
        if not entries:
            raise NotFound(f"nothing is known of {call}")
        if request.headers.get("accept", "").startswith("text/plain"):
            return PlainTextResponse(draw(call, entries))
        lines = [JournalLine(at=each.at, call=each.call, kind=each.kind, data=_data(each.data)) for each in entries]
        return Ladder(call=call, entries=lines)

    @engine.get("/phone-holds", summary="Calls whose own phones hold")
    async def phone_holds() -> PhoneHolds:
        calls = switch.board.calls.values()
        return PhoneHolds(
            holds=[
                PhoneHold(call=call.sid, since=call.phone_held_at or call.updated_at)
                for call in calls
                if call.phone_held and call.live
            ]
        )

    @engine.get("/lines", summary="Every line")
    async def lines() -> Lines:
        return Lines(lines=[_shown_line(line) for line in directory.lines()])

    @engine.post("/lines", status_code=201, summary="Add a line, or replace it")
    async def add_line(line: NewLine) -> ShownLine:
        added = Line(name=line.name, password=line.password, may_call=tuple(line.may_call))
        await directory.put_line(added)
        return _shown_line(added)

    @engine.delete("/lines/{name}", status_code=204, summary="Remove a line")
    async def remove_line(name: str) -> None:
        if not await directory.remove_line(name):
            raise NotFound(f"there is no line {name}")

    @engine.get("/numbers", summary="Every number")
    async def numbers() -> Numbers:
        return Numbers(numbers=[_shown_number(number) for number in directory.numbers()])

    @engine.post("/numbers", status_code=201, summary="Add a number, or change what answers it")
    async def add_number(number: NewNumber) -> ShownNumber:
        e164 = normal(number.phone_number)
        if not E164.match(e164):
            raise ParameterInvalid("phone_number must be in E.164, such as +15550100123")
        if number.voice_url is not None and not is_web_address(number.voice_url):
            raise ParameterInvalid("voice_url must be absolute and begin with http:// or https://")
        now = switch.now()
        known = directory.number(e164) or directory.new_number(e164, now=now)
        voice = VoiceSettings(voice_url=number.voice_url, voice_method=number.voice_method)
        added = replace(
            known,
            friendly_name=number.friendly_name or known.friendly_name,
            voice=voice,
            voice_application_sid=None,
            updated_at=now,
        )
        await directory.put_number(added)
        return _shown_number(added)

    @engine.delete("/numbers/{phone_number}", status_code=204, summary="Give a number up")
    async def remove_number(phone_number: str) -> None:
        if not await directory.remove_number(normal(phone_number)):
            raise NotFound(f"{phone_number} is not ours")

    add_routes(engine, directory, registrations)
    router.include_router(engine)
    return router


def _data(text: str) -> object:
    """The JSON of a journal line; a line that is not JSON is shown as it is."""
    try:
        return json.loads(text)
    except ValueError:
        return text


def _shown_line(line: Line) -> ShownLine:
    return ShownLine(name=line.name, may_call=list(line.may_call))


def _shown_number(number: PhoneNumber) -> ShownNumber:
    return ShownNumber(
        sid=number.sid,
        phone_number=number.phone_number,
        friendly_name=number.friendly_name,
        voice_url=number.voice.voice_url,
        voice_method=number.voice.voice_method,
    )
