"""Serve calls: create, read, list, redirect, end and delete them. Source: Twilio API, Call resource."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from holdfast.voice.api import render
from holdfast.voice.api.call_parameters import (
    MAX_TIME_LIMIT_S,
    RECORDING,
    check_absolute_urls,
    complete_target,
    read_application,
    read_callback,
    read_digits,
    read_instruction,
    read_recording,
    read_time_limit,
    read_timeout,
)
from holdfast.voice.api.errors import ParameterInvalid, UrlInvalid
from holdfast.voice.api.paging import PAGING, DateRange, date_filters, newest_first, page
from holdfast.voice.api.resource import ApiContext, ApiRequest, ApiResponse, Operation, Resource, new_sid
from holdfast.voice.api.to_from import read_caller_id, read_parties
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

STATUSES: Final = tuple(status.value for status in CallStatus)

CREATE: Final = frozenset(
    {
        *("To", "From", "Url", "Method", "Twiml", "ApplicationSid", "FallbackUrl", "FallbackMethod"),
        *("StatusCallback", "StatusCallbackMethod", "StatusCallbackEvent", "SendDigits", "Timeout", "TimeLimit"),
        *("SipAuthUsername", "SipAuthPassword", "Record", "CallerId"),
    }
    | RECORDING
)
CREATE_IGNORED: Final = frozenset(
    {
        *("MachineDetection", "MachineDetectionTimeout", "AsyncAmd"),
        *("MachineDetectionSpeechThreshold", "MachineDetectionSpeechEndThreshold", "MachineDetectionSilenceTimeout"),
        *("AsyncAmdStatusCallback", "AsyncAmdStatusCallbackMethod", "CallReason", "CallToken", "Byoc"),
        "ClientNotificationUrl",
    }
)
UPDATE: Final = frozenset(
    {
        *("Url", "Method", "Twiml", "Status", "FallbackUrl", "FallbackMethod"),
        *("StatusCallback", "StatusCallbackMethod", "TimeLimit"),
    }
)
LIST: Final = PAGING | date_filters("StartTime") | date_filters("EndTime") | {"To", "From", "ParentCallSid", "Status"}


def find(context: ApiContext, sid: str) -> Call:
    """Return the call with that SID. Raises: NotFound."""
    call = context.switch.state.calls.get(CallSid(sid))
    if call is None:
        raise NotFound(f"there is no call {sid}")
    return call


async def create(context: ApiContext, request: ApiRequest) -> ApiResponse:
    """Create a call. With an application its settings count, and those beside it are ignored."""
    context.refuse_when_stopping()
    form = request.form
    target, from_ = read_parties(form, context.directory)
    application = read_application(form, context)
    if application is not None:
        instruction, callback = application
    else:
        given = read_instruction(form, context)
        if given is None:
            raise UrlInvalid("One of Url, Twiml and ApplicationSid is required")
        instruction, callback = given, read_callback(form, context)
    sid = CallSid(new_sid("CA"))
    await context.switch.execute(
        CreateCall(
            call=sid,
            account=context.account,
            target=complete_target(target, form, context, call=sid),
            from_=from_,
            instruction=instruction,
            callback=callback,
            timeout_s=read_timeout(form),
            time_limit_s=read_time_limit(form) or MAX_TIME_LIMIT_S,
            send_digits=read_digits(form),
            record=read_recording(form, context, source="OutboundAPI", trim=True) if form.flag("Record") else None,
            caller_id=read_caller_id(form, context.directory, target),
            wait_s=context.call_pacing.reserve(),
        )
    )
    return ApiResponse(status=201, body=render.call(find(context, sid)))


async def fetch(context: ApiContext, request: ApiRequest) -> ApiResponse:
    """Return one call. Raises: NotFound."""
    return ApiResponse(body=render.call(find(context, request.path_params["Sid"])))


async def update(context: ApiContext, request: ApiRequest) -> ApiResponse:
    """Redirect or end a call, and replace its stored settings.

    All parameters are checked before any command is posted. The answer shows the call when the request is accepted:
    the commands take effect after it. Raises: CallNotInProgress, and the errors of each parameter.
    """
    form = request.form
    call = find(context, request.path_params["Sid"])
    status = form.choice("Status", ("completed", "canceled"))
    instruction = read_instruction(form, context, call=call.sid)
    if instruction is not None and instruction.twiml is not None:
        check_absolute_urls(instruction.twiml)
    settings = ChangeCall(
        call=call.sid,
        fallback=_fallback(request, call),
        callback=_callback(context, request, call),
        time_limit_s=read_time_limit(form),
    )
    if not call.live:
        raise CallNotInProgress("Call is not in-progress. Cannot redirect.")
    if settings != ChangeCall(call=call.sid):
        await context.switch.execute(settings)
    accepted = context.switch.state.calls.get(call.sid, call)
    if status == "completed":
        await context.switch.execute(EndCall(call=call.sid))
    elif status == "canceled":
        await context.switch.execute(EndCall(call=call.sid, status="canceled"))
    elif instruction is not None:
        await context.switch.execute(RedirectCall(call=call.sid, instruction=instruction))
    return ApiResponse(body=render.call(accepted))


def _fallback(request: ApiRequest, call: Call) -> WebRequest | None:
    """Return the fallback to store. A method alone changes the method of the stored one."""
    given = request.form.request("FallbackUrl", "FallbackMethod")
    if given is None and call.fallback is not None and request.form.text("FallbackMethod") is not None:
        return replace(call.fallback, method=request.form.method("FallbackMethod"))
    return given


def _callback(context: ApiContext, request: ApiRequest, call: Call) -> Callback | None:
    """Return the callback to store. The subscribed events stay the same."""
    stored = call.callback
    given = read_callback(request.form, context, call=call.sid)
    if given is not None:
        return given if stored is None else replace(given, events=stored.events)
    if stored is not None and request.form.text("StatusCallbackMethod") is not None:
        return replace(stored, method=request.form.method("StatusCallbackMethod"))
    return None


async def delete(context: ApiContext, request: ApiRequest) -> ApiResponse:
    """Delete the record of a finished call. Raises: NotFound, RecordNotFinished."""
    await context.switch.execute(ForgetCall(call=find(context, request.path_params["Sid"]).sid))
    return ApiResponse(status=204, body=None)


async def list_page(context: ApiContext, request: ApiRequest) -> ApiResponse:
    """List the calls, the newest first. Raises: ParameterInvalid, PageTooLarge."""
    form = request.form
    status = form.choice("Status", STATUSES, error=ParameterInvalid)
    to, from_ = (context.directory.written_forms(form.text(name)) for name in ("To", "From"))
    parent = form.text("ParentCallSid")
    started, ended = DateRange.read(form, "StartTime"), DateRange.read(form, "EndTime")
    found = (
        call
        for call in context.switch.state.calls.values()
        if (status is None or call.status.value == status)
        and (not to or call.to in to)
        and (not from_ or call.from_ in from_)
        and (parent is None or call.parent == parent)
        and started.contains(call.started_at)
        and ended.contains(call.ended_at)
    )
    rows = newest_first(found, lambda call: call.created_at)
    return page(rows, request=request, collection="calls", key=lambda call: call.sid, render=render.call)


RESOURCES: Final = (
    Resource(
        path="/Calls",
        get=Operation(run=list_page, parameters=LIST),
        post=Operation(run=create, parameters=CREATE, ignored=CREATE_IGNORED),
    ),
    Resource(
        path="/Calls/{Sid}",
        get=Operation(run=fetch),
        post=Operation(run=update, parameters=UPDATE),
        delete=Operation(run=delete),
    ),
)
