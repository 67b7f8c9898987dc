"""Serve applications, which are voice settings under one SID. Source: Twilio API, Application resource."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from holdfast.voice.api import render
from holdfast.voice.api.paging import PAGING, page
from holdfast.voice.api.resource import ApiContext, ApiRequest, ApiResponse, Operation, Resource
from holdfast.voice.api.sids import new_sid
from holdfast.voice.api.voice_settings import MESSAGES, VOICE, read_name, read_voice
from holdfast.voice.model.errors import NotFound
from holdfast.voice.runtime.directory.records import ApplicationRecord, VoiceSettings

IGNORED: Final = MESSAGES | {"SmsStatusCallback", "MessageStatusCallback", "PublicApplicationConnectEnabled"}


def find(context: ApiContext, sid: str) -> ApplicationRecord:
    """Return the application with that SID. Raises: NotFound."""
    application = context.directory.application(sid)
    if application is None:
        raise NotFound(f"there is no application {sid}")
    return application


async def create(context: ApiContext, request: ApiRequest) -> ApiResponse:
    """Create an application. Raises: NameInvalid, VoiceUrlInvalid, MethodInvalid."""
    now = context.switch.now()
    sid = new_sid("AP")
    application = ApplicationRecord(
        sid=sid,
        friendly_name=read_name(request.form, sid),
        created_at=now,
        updated_at=now,
        voice=read_voice(request.form, VoiceSettings()),
    )
    await context.directory.put_application(application)
    return ApiResponse(status=201, body=render.application(context.account, application))


async def fetch(context: ApiContext, request: ApiRequest) -> ApiResponse:
    """Return one application. Raises: NotFound."""
    return ApiResponse(body=render.application(context.account, find(context, request.path_params["Sid"])))


async def update(context: ApiContext, request: ApiRequest) -> ApiResponse:
    """Set the parameters that were sent. Raises: NotFound, NameInvalid, VoiceUrlInvalid, MethodInvalid."""
    stored = find(context, request.path_params["Sid"])
    application = replace(
        stored,
        friendly_name=read_name(request.form, stored.friendly_name),
        voice=read_voice(request.form, stored.voice),
        updated_at=context.switch.now(),
    )
    await context.directory.put_application(application)
    return ApiResponse(body=render.application(context.account, application))


async def delete(context: ApiContext, request: ApiRequest) -> ApiResponse:
    """Delete an application. Numbers that name it use their own settings again. Raises: NotFound."""
    await context.directory.remove_application(find(context, request.path_params["Sid"]).sid)
    return ApiResponse(status=204, body=None)


async def list_page(context: ApiContext, request: ApiRequest) -> ApiResponse:
    """List the applications, the newest first."""
    name = request.form.text("FriendlyName")
    body = page(
        [each for each in context.directory.applications() if name is None or each.friendly_name == name],
        form=request.form,
        path=request.path,
        collection="applications",
        key=lambda each: each.sid,
        render=lambda each: render.application(context.account, each),
    )
    return ApiResponse(body=body)


RESOURCES: Final = (
    Resource(
        path="/Applications",
        get=Operation(run=list_page, parameters=PAGING | {"FriendlyName"}),
        post=Operation(run=create, parameters=VOICE, ignored=IGNORED),
    ),
    Resource(
        path="/Applications/{Sid}",
        get=Operation(run=fetch),
        post=Operation(run=update, parameters=VOICE, ignored=IGNORED),
        delete=Operation(run=delete),
    ),
)
