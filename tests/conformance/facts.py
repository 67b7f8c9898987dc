"""The fields of each resource in Twilio's reference, with their types, in our own table.

A type is `sid:XX` (a SID of that prefix), `date` (RFC 2822), `text`, `int`, `bool`, `number` (digits in a string),
`uri`, `map` (of addresses), `object`, or a `|`-separated list of allowed words; a `?` at its end allows null.
Source: Twilio API 2010-04-01, the properties of each resource.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

CALL: Final = {
    "sid": "sid:CA",
    "date_created": "date",
    "date_updated": "date",
    "parent_call_sid": "sid:CA?",
    "account_sid": "sid:AC",
    "to": "text",
    "to_formatted": "text",
    "from": "text",
    "from_formatted": "text",
    "phone_number_sid": "sid:PN?",
    "status": "queued|ringing|in-progress|completed|busy|failed|no-answer|canceled",
    "start_time": "date?",
    "end_time": "date?",
    "duration": "number?",
    "price": "text?",
    "price_unit": "USD",
    "direction": "inbound|outbound-api|outbound-dial",
    "answered_by": "text?",
    "api_version": "2010-04-01",
    "forwarded_from": "text?",
    "group_sid": "sid:GP?",
    "caller_name": "text?",
    "queue_time": "number",
    "trunk_sid": "sid:TK?",
    "uri": "uri",
    "subresource_uris": "map",
}
CONFERENCE: Final = {
    "account_sid": "sid:AC",
    "date_created": "date",
    "date_updated": "date",
    "api_version": "2010-04-01",
    "friendly_name": "text",
    "region": "us1",
    "sid": "sid:CF",
    "status": "init|in-progress|completed",
    "uri": "uri",
    "reason_conference_ended": "conference-ended-via-api|participant-with-end-conference-on-exit-left"
    "|participant-with-end-conference-on-exit-kicked|last-participant-kicked|last-participant-left?",
    "call_sid_ending_conference": "sid:CA?",
    "subresource_uris": "map",
}
PARTICIPANT: Final = {
    "account_sid": "sid:AC",
    "call_sid": "sid:CA",
    "label": "text?",
    "call_sid_to_coach": "sid:CA?",
    "coaching": "bool",
    "conference_sid": "sid:CF",
    "date_created": "date",
    "date_updated": "date",
    "end_conference_on_exit": "bool",
    "muted": "bool",
    "hold": "bool",
    "start_conference_on_enter": "bool",
    "status": "queued|connecting|ringing|connected|complete|failed",
    "queue_time": "number?",
    "uri": "uri",
}
QUEUE: Final = {
    "date_updated": "date",
    "current_size": "int",
    "friendly_name": "text",
    "uri": "uri",
    "account_sid": "sid:AC",
    "average_wait_time": "int",
    "sid": "sid:QU",
    "date_created": "date",
    "max_size": "int",
}
MEMBER: Final = {
    "call_sid": "sid:CA",
    "date_enqueued": "date",
    "position": "int",
    "uri": "uri",
    "wait_time": "int",
    "queue_sid": "sid:QU",
}
RECORDING: Final = {
    "account_sid": "sid:AC",
    "api_version": "text",
    "call_sid": "sid:CA?",
    "conference_sid": "sid:CF?",
    "channels": "int",
    "date_created": "date",
    "date_updated": "date",
    "start_time": "date",
    "duration": "number?",
    "sid": "sid:RE",
    "price": "number?",
    "price_unit": "text",
    "status": "in-progress|paused|stopped|processing|completed|absent|deleted",
    "source": "DialVerb|Conference|OutboundAPI|Trunking|RecordVerb|StartCallRecordingAPI|StartConferenceRecordingAPI",
    "error_code": "int?",
    "encryption_details": "object?",
    "media_url": "text?",
    "uri": "uri",
    "subresource_uris": "map",
}
CONFERENCE_RECORDING: Final = {
    name: kind for name, kind in RECORDING.items() if name not in ("media_url", "subresource_uris")
} | {"status": "in-progress|paused|stopped|processing|completed|absent"}
CALL_RECORDING: Final = CONFERENCE_RECORDING | {"track": "both|inbound|outbound"}
_VOICE: Final = {
    "voice_url": "text?",
    "voice_method": "GET|POST",
    "voice_fallback_url": "text?",
    "voice_fallback_method": "GET|POST",
    "status_callback": "text?",
    "status_callback_method": "GET|POST",
    "voice_caller_id_lookup": "bool",
}
NUMBER: Final = _VOICE | {
    "account_sid": "sid:AC",
    "address_sid": "sid:AD?",
    "address_requirements": "none|any|local|foreign",
    "api_version": "2010-04-01",
    "beta": "bool",
    "capabilities": "object",
    "date_created": "date",
    "date_updated": "date",
    "friendly_name": "text",
    "identity_sid": "sid:RI?",
    "phone_number": "text",
    "origin": "text",
    "sid": "sid:PN",
    "sms_application_sid": "sid:AP?",
    "sms_fallback_method": "GET|POST",
    "sms_fallback_url": "text?",
    "sms_method": "GET|POST",
    "sms_url": "text?",
    "trunk_sid": "sid:TK?",
    "uri": "uri",
    "voice_receive_mode": "voice|fax",
    "voice_application_sid": "sid:AP?",
    "emergency_status": "Active|Inactive",
    "emergency_address_sid": "sid:AD?",
    "emergency_address_status": "registered|unregistered|pending-registration|registration-failure"
    "|pending-unregistration|unregistration-failure",
    "bundle_sid": "sid:BU?",
    "status": "text",
    "type": "text",
}
APPLICATION: Final = _VOICE | {
    "account_sid": "sid:AC",
    "api_version": "2010-04-01",
    "date_created": "date",
    "date_updated": "date",
    "friendly_name": "text",
    "message_status_callback": "text?",
    "sid": "sid:AP",
    "sms_fallback_method": "GET|POST",
    "sms_fallback_url": "text?",
    "sms_method": "GET|POST",
    "sms_status_callback": "text?",
    "sms_url": "text?",
    "uri": "uri",
    "public_application_connect_enabled": "bool",
}
NOTIFICATION: Final = {
    "account_sid": "sid:AC",
    "api_version": "2010-04-01",
    "call_sid": "sid:CA?",
    "date_created": "date",
    "date_updated": "date",
    "error_code": "number",
    "log": "0|1",
    "message_date": "date",
    "message_text": "text",
    "more_info": "text",
    "request_method": "GET|POST?",
    "request_url": "text?",
    "sid": "sid:NO",
    "uri": "uri",
}
FULL_NOTIFICATION: Final = NOTIFICATION | {
    "request_variables": "text?",
    "response_body": "text?",
    "response_headers": "text?",
}
ACCOUNT: Final = {
    "sid": "sid:AC",
    "auth_token": "text",
    "date_created": "date",
    "date_updated": "date",
    "friendly_name": "text",
    "owner_account_sid": "sid:AC",
    "status": "active|suspended|closed",
    "type": "Trial|Full",
    "uri": "uri",
    "subresource_uris": "map",
}
MESSAGE: Final = {
    "account_sid": "sid:AC",
    "api_version": "2010-04-01",
    "body": "text",
    "date_created": "date",
    "date_sent": "date?",
    "date_updated": "date",
    "direction": "inbound|outbound-api|outbound-call|outbound-reply",
    "error_code": "int?",
    "error_message": "text?",
    "from": "text?",
    "messaging_service_sid": "sid:MG?",
    "num_media": "number",
    "num_segments": "number",
    "price": "text?",
    "price_unit": "text",
    "sid": "sid:[SM]M",
    "status": "queued|sending|sent|failed|delivered|undelivered|receiving|received|accepted|scheduled|read"
    "|partially_delivered|canceled",
    "subresource_uris": "map",
    "to": "text",
    "uri": "uri",
}
KEY: Final = {"sid": "sid:SK", "friendly_name": "text", "date_created": "date", "date_updated": "date"}
NEW_KEY: Final = KEY | {"secret": "text"}
EVENT: Final = {"request": "object", "response": "object"}
EVENT_REQUEST: Final = {"method": "GET|POST", "url": "text", "parameters": "object"}
EVENT_RESPONSE: Final = {
    "response_code": "int?",
    "request_duration": "int",
    "content_type": "text",
    "response_body": "text",
    "date_created": "date",
}
CREDENTIAL_LIST: Final = {
    "account_sid": "sid:AC",
    "date_created": "date",
    "date_updated": "date",
    "friendly_name": "text",
    "sid": "sid:CL",
    "subresource_uris": "map",
    "uri": "uri",
}
CREDENTIAL: Final = {
    "sid": "sid:CR",
    "account_sid": "sid:AC",
    "credential_list_sid": "sid:CL",
    "username": "text",
    "date_created": "date",
    "date_updated": "date",
    "uri": "uri",
}
DOMAIN: Final = {
    "account_sid": "sid:AC",
    "api_version": "2010-04-01",
    "auth_type": "text",
    "date_created": "date",
    "date_updated": "date",
    "domain_name": "text",
    "friendly_name": "text",
    "sid": "sid:SD",
    "uri": "uri",
    "voice_fallback_method": "GET|POST",
    "voice_fallback_url": "text?",
    "voice_method": "GET|POST",
    "voice_status_callback_method": "GET|POST",
    "voice_status_callback_url": "text?",
    "voice_url": "text?",
    "subresource_uris": "map",
    "sip_registration": "bool",
    "emergency_calling_enabled": "bool",
    "secure": "bool",
    "byoc_trunk_sid": "sid:BY?",
    "emergency_caller_sid": "sid:PN?",
}
MAPPING: Final = {
    "account_sid": "sid:AC",
    "date_created": "date",
    "date_updated": "date",
    "friendly_name": "text",
    "sid": "sid:CL",
}
LEGACY_MAPPING: Final = MAPPING | {"domain_sid": "sid:SD", "uri": "uri"}
SCHEMAS: Final = {
    "application": APPLICATION,
    "call": CALL,
    "call_event": EVENT,
    "call_notification": NOTIFICATION,
    "call_notification-instance": FULL_NOTIFICATION,
    "call_recording": CALL_RECORDING,
    "conference": CONFERENCE,
    "conference_recording": CONFERENCE_RECORDING,
    "incoming_phone_number": NUMBER,
    "member": MEMBER,
    "notification": NOTIFICATION,
    "notification-instance": FULL_NOTIFICATION,
    "participant": PARTICIPANT,
    "queue": QUEUE,
    "recording": RECORDING,
    "sip_auth_calls_credential_list_mapping": MAPPING,
    "sip_auth_registrations_credential_list_mapping": MAPPING,
    "sip_credential": CREDENTIAL,
    "sip_credential_list": CREDENTIAL_LIST,
    "sip_credential_list_mapping": LEGACY_MAPPING,
    "sip_domain": DOMAIN,
}
"""The same resources by their names in Twilio's OpenAPI file."""
ENVELOPE: Final = {
    "first_page_uri": "uri",
    "next_page_uri": "uri?",
    "previous_page_uri": "uri?",
    "uri": "uri",
    "page": "int",
    "page_size": "int",
    "start": "int",
    "end": "int",
}
ERROR: Final = {"code": "int", "message": "text", "more_info": "text", "status": "int"}

_DATE = re.compile(r"(Mon|Tue|Wed|Thu|Fri|Sat|Sun), [0-3]\d [A-Z][a-z]{2} \d{4} [0-2]\d:[0-5]\d:[0-5]\d \+0000\Z")


def faults(body: object, facts: Mapping[str, str]) -> list[str]:
    """Return the differences of a JSON object from the table: missing or extra fields, and fields of another type."""
    if not isinstance(body, dict):
        return [f"not an object: {body!r}"]
    found = [f"{name}: missing" for name in facts.keys() - body.keys()]
    found += [f"{name}: not in the reference" for name in body.keys() - facts.keys()]
    found += [
        f"{name}: {body[name]!r} is not {kind}"
        for name, kind in facts.items()
        if name in body and not _fits(body[name], kind)
    ]
    return sorted(found)


def _fits(value: object, kind: str) -> bool:
    if kind.endswith("?"):
        return value is None or _fits(value, kind[:-1])
    match kind:
        case "int":
            return isinstance(value, int) and not isinstance(value, bool)
        case "bool":
            return isinstance(value, bool)
        case "object":
            return isinstance(value, dict)
        case "map":
            return isinstance(value, dict) and bool(value) and all(_fits(each, "uri") for each in value.values())
    if not isinstance(value, str):
        return False
    match kind.partition(":"):
        case ("text", _, _):
            return True
        case ("number", _, _):
            return value.isdigit()
        case ("uri", _, _):
            return value.startswith("/2010-04-01/Accounts")
        case ("date", _, _):
            return _DATE.match(value) is not None
        case ("sid", _, prefix):
            return re.fullmatch(prefix + "[0-9a-f]{32}", value) is not None
        case _:
            return value in kind.split("|")
