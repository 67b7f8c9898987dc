"""Calls: place, read, list, redirect, end, forget. Source: Twilio API, Call resource."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from holdfast.voice.api import render
from holdfast.voice.api.call_parameters import (
    MAX_TIME_LIMIT_S,
    RECORDING,
    addressed,
    read_application,
    read_callback,
    read_digits,
    read_instruction,
    read_recording,
    read_time_limit,
    read_timeout,
    refuse_relative,
)
from holdfast.voice.api.errors import ParameterInvalid, UrlInvalid
from holdfast.voice.api.paging import PAGING, Between, comparable, newest_first, page
from holdfast.voice.api.resource import ApiContext, ApiRequest, ApiResponse, Operation, Resource
from holdfast.voice.api.sids import new_sid
from holdfast.voice.api.to_from import read_parties
from holdfast.voice.control.entities import Call, CallStatus
from holdfast.voice.model.commands import (
    Callback,
    ChangeCall,
    CreateCall,
    EndCall,
    ForgetCall,
    RedirectCall,
    WebRequest,
)
from holdfast.voice.model.errors import CallNotInProgress, NotFound
from holdfast.voice.model.ids import CallSid
from holdfast.voice.runtime.directory.directory import normalize_number

STATUSES: Final = tuple(status.value for status in CallStatus)

CREATE: Final = frozenset(
    {
        *("To", "From", "Url", "Method", "Twiml", "ApplicationSid", "FallbackUrl", "FallbackMethod"),
        *("StatusCallback", "StatusCallbackMethod", "StatusCallbackEvent", "SendDigits", "Timeout", "TimeLimit"),
        *("SipAuthUsername", "SipAuthPassword", "Record"),
    }
    | RECORDING
)
CREATE_IGNORED: Final = frozenset(
    {
        *("MachineDetection", "MachineDetectionTimeout", "AsyncAmd"),
        *("MachineDetectionSpeechThreshold", "MachineDetectionSpeechEndThreshold", "MachineDetectionSilenceTimeout"),
        *("AsyncAmdStatusCallback", "AsyncAmdStatusCallbackMethod", "CallerId", "CallReason", "CallToken", "Byoc"),
        "ClientNotificationUrl",
    }
)
UPDATE: Final = frozenset(
    {
        *("Url", "Method", "Twiml", "Status", "FallbackUrl", "FallbackMethod"),
        *("StatusCallback", "StatusCallbackMethod", "TimeLimit"),
    }
)
LIST: Final = PAGING | comparable("StartTime") | comparable("EndTime") | {"To", "From", "ParentCallSid", "Status"}


def find(door: ApiContext, sid: str) -> Call:
    """The call of that SID. Raises: NotFound."""
    call = door.switch.state.calls.get(CallSid(sid))
    if call is None:
        raise NotFound(f"there is no call {sid}")
    return call


async def create(door: ApiContext, asked: ApiRequest) -> ApiResponse:
    """Place a call. The application brings its own settings, and those beside it are not looked at."""
    door.begin_call()
    form = asked.form
    target, from_ = read_parties(form, door.directory)
    application = read_application(form, door)
    if application is not None:
        instruction, callback = application
    else:
        given = read_instruction(form, door)
        if given is None:
            raise UrlInvalid("One of Url, Twiml and ApplicationSid is required")
        instruction, callback = given, read_callback(form, door)
    sid = CallSid(new_sid("CA"))
    await door.switch.execute(
        CreateCall(
            call=sid,
            account=door.account,
            target=addressed(target, form, door, call=sid),
            from_=from_,
            instruction=instruction,
            callback=callback,
            timeout_s=read_timeout(form),
            time_limit_s=read_time_limit(form) or MAX_TIME_LIMIT_S,
            send_digits=read_digits(form),
            record=read_recording(form, door, source="OutboundAPI", trim=True) if form.flag("Record") else None,
            wait_s=door.turns.take(),
        )
    )
    return ApiResponse(status=201, body=render.call(find(door, sid)))


async def fetch(door: ApiContext, asked: ApiRequest) -> ApiResponse:
    """One call."""
    return ApiResponse(body=render.call(find(door, asked.names["Sid"])))


async def change(door: ApiContext, asked: ApiRequest) -> ApiResponse:
    """Redirect or end a call, and replace what is stored of it.

    Everything is checked before anything is asked. The answer shows the call at the moment of acceptance: what was
    asked takes effect behind it. Raises: CallNotInProgress, and those of each parameter.
    """
    form = asked.form
    call = find(door, asked.names["Sid"])
    status = form.choice("Status", ("completed", "canceled"))
    instruction = read_instruction(form, door, call=call.sid)
    if instruction is not None and instruction.twiml is not None:
        refuse_relative(instruction.twiml)
    settings = ChangeCall(
        call=call.sid,
        fallback=_fallback(asked, call),
        callback=_callback(door, asked, call),
        time_limit_s=read_time_limit(form),
    )
    if not call.live:
        raise CallNotInProgress("Call is not in-progress. Cannot redirect.")
    if settings != ChangeCall(call=call.sid):
        await door.switch.execute(settings)
    accepted = door.switch.state.calls.get(call.sid, call)
    if status == "completed":
        await door.switch.execute(EndCall(call=call.sid))
    elif status == "canceled":
        await door.switch.execute(EndCall(call=call.sid, status="canceled"))
    elif instruction is not None:
        await door.switch.execute(RedirectCall(call=call.sid, instruction=instruction))
    return ApiResponse(body=render.call(accepted))


def _fallback(asked: ApiRequest, call: Call) -> WebRequest | None:
    """The fallback to store from now on; a method alone changes the method of the stored one."""
    given = asked.form.request("FallbackUrl", "FallbackMethod")
    if given is None and call.fallback is not None and asked.form.text("FallbackMethod") is not None:
        return replace(call.fallback, method=asked.form.method("FallbackMethod"))
    return given


def _callback(door: ApiContext, asked: ApiRequest, call: Call) -> Callback | None:
    """The callback to store from now on; the events stay those that were subscribed."""
    stored = call.callback
    given = read_callback(asked.form, door, call=call.sid)
    if given is not None:
        return given if stored is None else replace(given, events=stored.events)
    if stored is not None and asked.form.text("StatusCallbackMethod") is not None:
        return replace(stored, method=asked.form.method("StatusCallbackMethod"))
    return None


async def forget(door: ApiContext, asked: ApiRequest) -> ApiResponse:
    """Delete the record of a finished call. Raises: NotFound, RecordNotFinished."""
    await door.switch.execute(ForgetCall(call=find(door, asked.names["Sid"]).sid))
    return ApiResponse(status=204, body=None)


async def listed(door: ApiContext, asked: ApiRequest) -> ApiResponse:
    """Calls, the newest first. Raises: ParameterInvalid, PageTooLarge."""
    form = asked.form
    status = form.choice("Status", STATUSES, wrong=ParameterInvalid)
    to, from_ = normalize_number(form.text("To") or ""), normalize_number(form.text("From") or "")
    parent = form.text("ParentCallSid")
    started, ended = Between.read(form, "StartTime"), Between.read(form, "EndTime")
    found = (
        call
        for call in door.switch.state.calls.values()
        if (status is None or call.status.value == status)
        and to in ("", call.to)
        and from_ in ("", call.from_)
        and (parent is None or call.parent == parent)
        and started.lets(call.started_at)
        and ended.lets(call.ended_at)
    )
    rows = newest_first(found, lambda call: call.created_at)
    return ApiResponse(
        body=page(rows, form=form, path=asked.path, collection="calls", key=lambda call: call.sid, show=render.call)
    )


RESOURCES: Final = (
    Resource(
        path="/Calls",
        get=Operation(run=listed, parameters=LIST),
        post=Operation(run=create, parameters=CREATE, ignored=CREATE_IGNORED),
    ),
    Resource(
        path="/Calls/{Sid}",
        get=Operation(run=fetch),
        post=Operation(run=change, parameters=UPDATE),
        delete=Operation(run=forget),
    ),
)
