"""Serve applications, which are voice settings under one SID. Source: Twilio API, Application resource."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from holdfast.voice.api import render
from holdfast.voice.api.resource import ApiContext, ApiRequest, new_sid
from holdfast.voice.api.stored_resource import StoredResource
from holdfast.voice.api.voice_settings import MESSAGES, VOICE, has_name, read_name, read_voice
from holdfast.voice.runtime.directory.records import ApplicationRecord, VoiceSettings

IGNORED: Final = MESSAGES | {"SmsStatusCallback", "MessageStatusCallback", "PublicApplicationConnectEnabled"}


def _new(context: ApiContext, request: ApiRequest) -> ApplicationRecord:
    """Return a new application. Raises: NameInvalid, VoiceUrlInvalid, MethodInvalid."""
    now, sid = context.switch.now(), new_sid("AP")
    return ApplicationRecord(
        sid=sid,
        friendly_name=read_name(request.form, sid),
        created_at=now,
        updated_at=now,
        voice=read_voice(request.form, VoiceSettings()),
    )


def _change(context: ApiContext, request: ApiRequest, stored: ApplicationRecord) -> ApplicationRecord:
    """Return the application with the parameters set. Raises: NameInvalid, VoiceUrlInvalid, MethodInvalid."""
    return replace(
        stored,
        friendly_name=read_name(request.form, stored.friendly_name),
        voice=read_voice(request.form, stored.voice),
        updated_at=context.switch.now(),
    )


APPLICATIONS: Final = StoredResource(
    rows=lambda context, request: context.directory.applications,
    missing="there is no application {}",
    collection="applications",
    render=lambda context, request, each: render.application(context.account, each),
    new=_new,
    change=_change,
    shows=has_name,
)
RESOURCES: Final = APPLICATIONS.resources(
    "/Applications", create=VOICE, update=VOICE, filters=frozenset({"FriendlyName"}), ignored=IGNORED
)
