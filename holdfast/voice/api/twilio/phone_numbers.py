"""Serve the phone numbers of the account. Source: Twilio API, IncomingPhoneNumber resource.

Every number is a local one: `/Local` lists them all, `/Mobile` and `/TollFree` none.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Final

from holdfast.voice.api import render
from holdfast.voice.api.errors import (
    ApplicationInvalid,
    AreaCodeExhausted,
    AreaCodeInvalid,
    NumberInvalid,
    NumberTaken,
)
from holdfast.voice.api.forms import Form
from holdfast.voice.api.paging import PAGING, page
from holdfast.voice.api.resource import ApiContext, ApiRequest, ApiResponse, Operation, Resource
from holdfast.voice.api.voice_settings import MESSAGES, VOICE, read_name, read_voice
from holdfast.voice.model.errors import NotFound
from holdfast.voice.runtime.directory.directory import E164, normalize_number
from holdfast.voice.runtime.directory.records import NumberRecord

UPDATE: Final = VOICE | {"VoiceApplicationSid"}
CREATE: Final = UPDATE | {"PhoneNumber", "AreaCode"}
IGNORED: Final = MESSAGES | {
    *("SmsApplicationSid", "EmergencyStatus", "EmergencyAddressSid", "TrunkSid", "IdentitySid", "AddressSid"),
    *("VoiceReceiveMode", "BundleSid", "AccountSid"),
}
LIST: Final = PAGING | {"PhoneNumber", "FriendlyName"}
_AREA_CODE = re.compile(r"[2-9][0-9]{2}\Z")


def find(context: ApiContext, sid: str) -> NumberRecord:
    """Return the number with that SID. Raises: NotFound."""
    number = context.directory.number_of_sid(sid)
    if number is None:
        raise NotFound(f"there is no number {sid}")
    return number


async def create(context: ApiContext, request: ApiRequest) -> ApiResponse:
    """Add a number to the account.

    Raises: NumberInvalid, NumberTaken, AreaCodeInvalid, AreaCodeExhausted, ApplicationInvalid.
    """
    e164 = _requested_number(request.form, context)
    number = _with_settings(context.directory.new_number(e164, now=context.switch.now()), request.form, context)
    await context.directory.put_number(number)
    return ApiResponse(status=201, body=render.phone_number(context.account, number))


def _requested_number(form: Form, context: ApiContext) -> str:
    """Return the requested number; by area code the first free one reserved for fiction (555-0100 to 555-0199)."""
    phone_number, area_code = form.text("PhoneNumber"), form.text("AreaCode")
    if phone_number is None and area_code is not None:
        if not _AREA_CODE.match(area_code):
            raise AreaCodeInvalid(f"AreaCode is not one of North America: {area_code[:64]}")
        for line in range(100, 200):
            free = f"+1{area_code}5550{line}"
            if context.directory.number(free) is None:
                return free
        raise AreaCodeExhausted(f"No phone numbers are left in area code {area_code}")
    e164 = normalize_number(phone_number or "")
    if not E164.match(e164):
        raise NumberInvalid("PhoneNumber is required and must be in E.164, such as +15550100123")
    if context.directory.number(e164) is not None:
        raise NumberTaken(f"{e164} is not available: it is ours already")
    return e164


def _with_settings(number: NumberRecord, form: Form, context: ApiContext) -> NumberRecord:
    """Return the number with the parameters of the form set. Raises: ApplicationInvalid and those of `read_voice`."""
    application = number.voice_application_sid
    if form.raw("VoiceApplicationSid") is not None:
        application = form.text("VoiceApplicationSid")
        if application is not None and context.directory.application(application) is None:
            raise ApplicationInvalid("VoiceApplicationSid is not an application of ours")
    return replace(
        number,
        friendly_name=read_name(form, number.friendly_name),
        voice=read_voice(form, number.voice),
        voice_application_sid=application,
        updated_at=context.switch.now(),
    )


async def fetch(context: ApiContext, request: ApiRequest) -> ApiResponse:
    """Return one number. Raises: NotFound."""
    return ApiResponse(body=render.phone_number(context.account, find(context, request.path_params["Sid"])))


async def update(context: ApiContext, request: ApiRequest) -> ApiResponse:
    """Change how a number is answered. Raises: NotFound, ApplicationInvalid, VoiceUrlInvalid, MethodInvalid."""
    number = _with_settings(find(context, request.path_params["Sid"]), request.form, context)
    await context.directory.put_number(number)
    return ApiResponse(body=render.phone_number(context.account, number))


async def delete(context: ApiContext, request: ApiRequest) -> ApiResponse:
    """Remove a number from the account. Raises: NotFound."""
    await context.directory.remove_number(find(context, request.path_params["Sid"]).phone_number)
    return ApiResponse(status=204, body=None)


async def list_page(context: ApiContext, request: ApiRequest) -> ApiResponse:
    """List the numbers, the newest first. `PhoneNumber` may be a part of a number, with `*` for any one digit."""
    pattern, name = request.form.text("PhoneNumber"), request.form.text("FriendlyName")
    wanted = re.compile("".join("[0-9]" if character == "*" else re.escape(character) for character in pattern or ""))
    rows = [
        number
        for number in context.directory.numbers()
        if wanted.search(number.phone_number) and (name is None or number.friendly_name == name)
    ]
    return _page(context, request, rows)


async def list_none(context: ApiContext, request: ApiRequest) -> ApiResponse:
    """List the numbers of a type that no number here has."""
    return _page(context, request, [])


def _page(context: ApiContext, request: ApiRequest, rows: list[NumberRecord]) -> ApiResponse:
    body = page(
        rows,
        form=request.form,
        path=request.path,
        collection="incoming_phone_numbers",
        key=lambda number: number.sid,
        render=lambda number: render.phone_number(context.account, number),
    )
    return ApiResponse(body=body)


_LIST = Operation(run=list_page, parameters=LIST, ignored=frozenset({"Beta", "Origin"}))
_NONE = Operation(run=list_none, parameters=LIST, ignored=frozenset({"Beta", "Origin"}))
_CREATE = Operation(run=create, parameters=CREATE, ignored=IGNORED)

RESOURCES: Final = (
    Resource(path="/IncomingPhoneNumbers", get=_LIST, post=_CREATE),
    Resource(path="/IncomingPhoneNumbers/Local", get=_LIST, post=_CREATE),
    Resource(path="/IncomingPhoneNumbers/Mobile", get=_NONE),
    Resource(path="/IncomingPhoneNumbers/TollFree", get=_NONE),
    Resource(
        path="/IncomingPhoneNumbers/{Sid}",
        get=Operation(run=fetch),
        post=Operation(run=update, parameters=UPDATE, ignored=IGNORED),
        delete=Operation(run=delete),
    ),
)
