"""Phone numbers of ours. Source: Twilio API, IncomingPhoneNumber resource.

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


def find(door: ApiContext, sid: str) -> NumberRecord:
    """The number of that SID. Raises: NotFound."""
    number = door.directory.number_of_sid(sid)
    if number is None:
        raise NotFound(f"there is no number {sid}")
    return number


async def create(door: ApiContext, asked: ApiRequest) -> ApiResponse:
    """Make a number ours.

    Raises: NumberInvalid, NumberTaken, AreaCodeInvalid, AreaCodeExhausted, ApplicationInvalid.
    """
    e164 = _wanted(asked.form, door)
    number = _over(door.directory.new_number(e164, now=door.switch.now()), asked.form, door)
    await door.directory.put_number(number)
    return ApiResponse(status=201, body=render.phone_number(door.account, number))


def _wanted(form: Form, door: ApiContext) -> str:
    """The number asked for; by area code the first free one of those reserved for fiction (555-0100 to 555-0199)."""
    phone_number, area_code = form.text("PhoneNumber"), form.text("AreaCode")
    if phone_number is None and area_code is not None:
        if not _AREA_CODE.match(area_code):
            raise AreaCodeInvalid(f"AreaCode is not one of North America: {area_code[:64]}")
        for line in range(100, 200):
            free = f"+1{area_code}5550{line}"
            if door.directory.number(free) is None:
                return free
        raise AreaCodeExhausted(f"No phone numbers are left in area code {area_code}")
    e164 = normalize_number(phone_number or "")
    if not E164.match(e164):
        raise NumberInvalid("PhoneNumber is required and must be in E.164, such as +15550100123")
    if door.directory.number(e164) is not None:
        raise NumberTaken(f"{e164} is not available: it is ours already")
    return e164


def _over(number: NumberRecord, form: Form, door: ApiContext) -> NumberRecord:
    """The number with what was sent laid over it. Raises: ApplicationInvalid, and those of voice settings."""
    application = number.voice_application_sid
    if form.raw("VoiceApplicationSid") is not None:
        application = form.text("VoiceApplicationSid")
        if application is not None and door.directory.application(application) is None:
            raise ApplicationInvalid("VoiceApplicationSid is not an application of ours")
    return replace(
        number,
        friendly_name=read_name(form, number.friendly_name),
        voice=read_voice(form, number.voice),
        voice_application_sid=application,
        updated_at=door.switch.now(),
    )


async def fetch(door: ApiContext, asked: ApiRequest) -> ApiResponse:
    """One number."""
    return ApiResponse(body=render.phone_number(door.account, find(door, asked.names["Sid"])))


async def change(door: ApiContext, asked: ApiRequest) -> ApiResponse:
    """Change how a number answers. Raises: NotFound, ApplicationInvalid, VoiceUrlInvalid, MethodInvalid."""
    number = _over(find(door, asked.names["Sid"]), asked.form, door)
    await door.directory.put_number(number)
    return ApiResponse(body=render.phone_number(door.account, number))


async def delete(door: ApiContext, asked: ApiRequest) -> ApiResponse:
    """Give a number up. Raises: NotFound."""
    await door.directory.remove_number(find(door, asked.names["Sid"]).phone_number)
    return ApiResponse(status=204, body=None)


async def listed(door: ApiContext, asked: ApiRequest) -> ApiResponse:
    """Numbers, the newest first; `PhoneNumber` may be a part of one, with `*` for any one digit."""
    pattern, name = asked.form.text("PhoneNumber"), asked.form.text("FriendlyName")
    wanted = re.compile("".join("[0-9]" if sign == "*" else re.escape(sign) for sign in pattern or ""))
    rows = [
        number
        for number in door.directory.numbers()
        if wanted.search(number.phone_number) and (name is None or number.friendly_name == name)
    ]
    return _page(door, asked, rows)


async def none_listed(door: ApiContext, asked: ApiRequest) -> ApiResponse:
    """Numbers of a type that none of ours has."""
    return _page(door, asked, [])


def _page(door: ApiContext, asked: ApiRequest, rows: list[NumberRecord]) -> ApiResponse:
    body = page(
        rows,
        form=asked.form,
        path=asked.path,
        collection="incoming_phone_numbers",
        key=lambda number: number.sid,
        show=lambda number: render.phone_number(door.account, number),
    )
    return ApiResponse(body=body)


_LISTED = Operation(run=listed, parameters=LIST, ignored=frozenset({"Beta", "Origin"}))
_NONE = Operation(run=none_listed, parameters=LIST, ignored=frozenset({"Beta", "Origin"}))
_CREATE = Operation(run=create, parameters=CREATE, ignored=IGNORED)

RESOURCES: Final = (
    Resource(path="/IncomingPhoneNumbers", get=_LISTED, post=_CREATE),
    Resource(path="/IncomingPhoneNumbers/Local", get=_LISTED, post=_CREATE),
    Resource(path="/IncomingPhoneNumbers/Mobile", get=_NONE),
    Resource(path="/IncomingPhoneNumbers/TollFree", get=_NONE),
    Resource(
        path="/IncomingPhoneNumbers/{Sid}",
        get=Operation(run=fetch),
        post=Operation(run=change, parameters=UPDATE, ignored=IGNORED),
        delete=Operation(run=delete),
    ),
)
