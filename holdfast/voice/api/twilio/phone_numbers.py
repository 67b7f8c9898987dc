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
from holdfast.voice.api.paging import PAGING
from holdfast.voice.api.resource import ApiContext, ApiRequest, Operation, Resource
from holdfast.voice.api.stored_resource import StoredResource
from holdfast.voice.api.voice_settings import MESSAGES, VOICE, has_name, read_name, read_voice
from holdfast.voice.runtime.directory.records import NumberRecord

UPDATE: Final = VOICE | {"VoiceApplicationSid"}
IGNORED: Final = MESSAGES | {
    *("SmsApplicationSid", "EmergencyStatus", "EmergencyAddressSid", "TrunkSid", "IdentitySid", "AddressSid"),
    *("VoiceReceiveMode", "BundleSid", "AccountSid"),
}
FILTERS: Final = frozenset({"PhoneNumber", "FriendlyName"})
IGNORED_FILTERS: Final = frozenset({"Beta", "Origin"})
_AREA_CODE = re.compile(r"[2-9][0-9]{2}\Z")


def _new(context: ApiContext, request: ApiRequest) -> NumberRecord:
    """Return a number that the account is to have.

    Raises: NumberInvalid, NumberTaken, AreaCodeInvalid, AreaCodeExhausted, ApplicationInvalid.
    """
    e164 = _requested_number(request.form, context)
    return _change(context, request, context.directory.new_number(e164, now=context.switch.now()))


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
    e164 = context.directory.new_e164(phone_number or "")
    if e164 is None:
        raise NumberInvalid("PhoneNumber is required and must be a phone number, best in E.164, such as +15550100123")
    if context.directory.number(e164) is not None:
        raise NumberTaken(f"{e164} is not available: it is ours already")
    return e164


def _change(context: ApiContext, request: ApiRequest, number: NumberRecord) -> NumberRecord:
    """Return the number with the parameters set. Raises: ApplicationInvalid and those of `read_voice`."""
    form, application = request.form, number.voice_application_sid
    if form.raw("VoiceApplicationSid") is not None:
        application = form.text("VoiceApplicationSid")
        if application is not None and application not in context.directory.applications:
            raise ApplicationInvalid("VoiceApplicationSid is not an application of ours")
    return replace(
        number,
        friendly_name=read_name(form, number.friendly_name),
        voice=read_voice(form, number.voice),
        voice_application_sid=application,
        updated_at=context.switch.now(),
    )


def _shows(form: Form, number: NumberRecord) -> bool:
    """Return whether a list has this number. `PhoneNumber` may be a part of it, with `*` for any one digit."""
    pattern = form.text("PhoneNumber") or ""
    wanted = "".join("[0-9]" if character == "*" else re.escape(character) for character in pattern)
    return re.search(wanted, number.phone_number) is not None and has_name(form, number)


NUMBERS: Final = StoredResource(
    rows=lambda context, request: context.directory.numbers,
    missing="there is no number {}",
    collection="incoming_phone_numbers",
    render=lambda context, request, each: render.phone_number(context.account, each),
    new=_new,
    change=_change,
    shows=_shows,
)
_NUMBERS, _NUMBER = NUMBERS.resources(
    "/IncomingPhoneNumbers",
    create=UPDATE | {"PhoneNumber", "AreaCode"},
    update=UPDATE,
    filters=FILTERS,
    ignored=IGNORED,
    ignored_filters=IGNORED_FILTERS,
)
_NONE = Operation(
    run=replace(NUMBERS, shows=lambda form, number: False).list_page,
    parameters=PAGING | FILTERS,
    ignored=IGNORED_FILTERS,
)
RESOURCES: Final = (
    _NUMBERS,
    replace(_NUMBERS, path="/IncomingPhoneNumbers/Local"),
    Resource(path="/IncomingPhoneNumbers/Mobile", get=_NONE),
    Resource(path="/IncomingPhoneNumbers/TollFree", get=_NONE),
    _NUMBER,
)
