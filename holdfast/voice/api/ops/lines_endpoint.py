"""Serve the lines and numbers of the directory as JSON."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Annotated, Literal

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field

from holdfast.voice.api.errors import ParameterInvalid
from holdfast.voice.api.forms import is_web_address
from holdfast.voice.media.rtp.latch import RtpSource
from holdfast.voice.model.errors import NotFound
from holdfast.voice.runtime.directory.directory import (
    LINE_NAME,
    Directory,
)
from holdfast.voice.runtime.directory.records import LineRecord, NumberRecord, VoiceSettings


class NewLine(BaseModel):
    """A line that may register, and call what begins with one of `may_call`: [""] is everything, [] nothing."""

    model_config = ConfigDict(
        extra="forbid",
        hide_input_in_errors=True,
        json_schema_extra={"example": {"name": "alice", "password": "correct-horse"}},
    )
    name: Annotated[str, Field(pattern="^" + LINE_NAME.pattern.replace(r"\Z", "$"))]
    password: Annotated[str, Field(min_length=1, max_length=256, repr=False)]
    may_call: list[Annotated[str, Field(max_length=64)]] = [""]
    rtp_source: RtpSource | None = None


class LineResponse(BaseModel):
    """A line without its password."""

    name: str
    may_call: list[str]
    rtp_source: RtpSource | None = None


class LinesResponse(BaseModel):
    """Every line, by name."""

    lines: list[LineResponse]


class NewNumber(BaseModel):
    """A phone number and the document that answers it. Without `voice_url` it rings the line of that name."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"example": {"phone_number": "+15550100123", "voice_url": "http://127.0.0.1:8000/voice"}},
    )
    phone_number: str
    friendly_name: Annotated[str, Field(max_length=64)] = ""
    voice_url: str | None = None
    voice_method: Literal["GET", "POST"] = "POST"


class NumberResponse(NewNumber):
    """A phone number of this account."""

    sid: str


class NumbersResponse(BaseModel):
    """Every number, the newest first."""

    numbers: list[NumberResponse]


def add_lines(engine: APIRouter, directory: Directory, *, min_password_length: int) -> None:
    """Add the endpoints that list, add, replace and remove lines."""

    @engine.get("/lines", summary="Every line")
    async def lines() -> LinesResponse:
        return LinesResponse.model_validate({"lines": directory.lines()}, from_attributes=True)

    @engine.post("/lines", status_code=201, summary="Add a line, or replace it")
    async def add_line(line: NewLine) -> LineResponse:
        if len(line.password) < min_password_length:
            raise ParameterInvalid(
                f"password must have at least {min_password_length} characters: SIP does not listen on loopback alone"
            )
        added = LineRecord.with_password(
            name=line.name,
            password=line.password,
            may_call=tuple(line.may_call),
            rtp_source=line.rtp_source,
        )
        await directory.own_lines.put(added)
        return LineResponse.model_validate(added, from_attributes=True)

    @engine.delete("/lines/{name}", status_code=204, summary="Remove a line")
    async def remove_line(name: str) -> None:
        if not await directory.own_lines.remove(name):
            raise NotFound(f"there is no line {name}")


def add_numbers(engine: APIRouter, directory: Directory, *, now: Callable[[], float]) -> None:
    """Add the endpoints that list, add, change and remove numbers."""

    @engine.get("/numbers", summary="Every number")
    async def numbers() -> NumbersResponse:
        return NumbersResponse(numbers=[_number_response(number) for number in directory.numbers.all()])

    @engine.post("/numbers", status_code=201, summary="Add a number, or change what answers it")
    async def add_number(number: NewNumber) -> NumberResponse:
        e164 = directory.new_e164(number.phone_number)
        if e164 is None:
            raise ParameterInvalid("phone_number must be a phone number, best in E.164, such as +15550100123")
        if number.voice_url is not None and not is_web_address(number.voice_url):
            raise ParameterInvalid("voice_url must be absolute and begin with http:// or https://")
        timestamp = now()
        known = directory.number(e164) or directory.new_number(e164, now=timestamp)
        voice = VoiceSettings(voice_url=number.voice_url, voice_method=number.voice_method)
        added = replace(
            known,
            friendly_name=number.friendly_name or known.friendly_name,
            voice=voice,
            voice_application_sid=None,
            updated_at=timestamp,
        )
        await directory.numbers.put(added)
        return _number_response(added)

    @engine.delete("/numbers/{phone_number}", status_code=204, summary="Remove a number")
    async def remove_number(phone_number: str) -> None:
        known = directory.number(phone_number)
        if known is None or not await directory.numbers.remove(known.phone_number):
            raise NotFound(f"{phone_number} is not ours")


def _number_response(number: NumberRecord) -> NumberResponse:
    return NumberResponse(
        sid=number.sid,
        phone_number=number.phone_number,
        friendly_name=number.friendly_name,
        voice_url=number.voice.voice_url,
        voice_method=number.voice.voice_method,
    )
