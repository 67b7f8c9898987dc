"""Applications: voice settings under one SID. Source: Twilio API, Application resource."""

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


def find(door: ApiContext, sid: str) -> ApplicationRecord:
    """The application of that SID. Raises: NotFound."""
    application = door.directory.application(sid)
    if application is None:
        raise NotFound(f"there is no application {sid}")
    return application


async def create(door: ApiContext, asked: ApiRequest) -> ApiResponse:
    """Make an application. Raises: NameInvalid, VoiceUrlInvalid, MethodInvalid."""
    now = door.switch.now()
    sid = new_sid("AP")
    application = ApplicationRecord(
        sid=sid,
        friendly_name=read_name(asked.form, sid),
        created_at=now,
        updated_at=now,
        voice=read_voice(asked.form, VoiceSettings()),
    )
    await door.directory.put_application(application)
    return ApiResponse(status=201, body=render.application(door.account, application))


async def fetch(door: ApiContext, asked: ApiRequest) -> ApiResponse:
    """One application."""
    return ApiResponse(body=render.application(door.account, find(door, asked.names["Sid"])))


async def change(door: ApiContext, asked: ApiRequest) -> ApiResponse:
    """Change what was sent. Raises: NotFound, NameInvalid, VoiceUrlInvalid, MethodInvalid."""
    stored = find(door, asked.names["Sid"])
    application = replace(
        stored,
        friendly_name=read_name(asked.form, stored.friendly_name),
        voice=read_voice(asked.form, stored.voice),
        updated_at=door.switch.now(),
    )
    await door.directory.put_application(application)
    return ApiResponse(body=render.application(door.account, application))


async def delete(door: ApiContext, asked: ApiRequest) -> ApiResponse:
    """Remove; numbers that name it fall back to their own settings. Raises: NotFound."""
    await door.directory.remove_application(find(door, asked.names["Sid"]).sid)
    return ApiResponse(status=204, body=None)


async def listed(door: ApiContext, asked: ApiRequest) -> ApiResponse:
    """Applications, the newest first."""
    name = asked.form.text("FriendlyName")
    body = page(
        [each for each in door.directory.applications() if name is None or each.friendly_name == name],
        form=asked.form,
        path=asked.path,
        collection="applications",
        key=lambda each: each.sid,
        show=lambda each: render.application(door.account, each),
    )
    return ApiResponse(body=body)


RESOURCES: Final = (
    Resource(
        path="/Applications",
        get=Operation(run=listed, parameters=PAGING | {"FriendlyName"}),
        post=Operation(run=create, parameters=VOICE, ignored=IGNORED),
    ),
    Resource(
        path="/Applications/{Sid}",
        get=Operation(run=fetch),
        post=Operation(run=change, parameters=VOICE, ignored=IGNORED),
        delete=Operation(run=delete),
    ),
)
