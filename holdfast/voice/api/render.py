"""Render each resource as Twilio's JSON, one function per resource.

Numbers that Twilio writes as strings are strings here, absent values are null, dates are RFC 2822 in UTC.
Source: Twilio API, the fields of each resource.
"""

from __future__ import annotations

from typing import Final, Literal, assert_never

from holdfast.voice.control.entities import (
    Call,
    CallStatus,
    Member,
    Participant,
    Queue,
    Recording,
    RecordingStatus,
    Room,
)
from holdfast.voice.model.ids import AccountSid
from holdfast.voice.model.timestamps import rfc2822
from holdfast.voice.runtime.directory.directory import format_number
from holdfast.voice.runtime.directory.records import ApplicationRecord, NumberRecord, VoiceSettings
from holdfast.voice.runtime.messages.message_log import NOT_DELIVERED, NOT_SENT
from holdfast.voice.runtime.messages.message_record import MessageRecord
from holdfast.voice.runtime.notification_log import LoggedNotification

Json = dict[str, object]

VERSION: Final = "2010-04-01"
ACCOUNT_NAME: Final = "Holdfast"
CALL_SUBRESOURCES: Final = {
    "notifications": "Notifications",
    "recordings": "Recordings",
    "payments": "Payments",
    "events": "Events",
    "siprec": "Siprec",
    "streams": "Streams",
    "transcriptions": "Transcriptions",
    "user_defined_message_subscriptions": "UserDefinedMessageSubscriptions",
    "user_defined_messages": "UserDefinedMessages",
}
ACCOUNT_SUBRESOURCES: Final = {
    "applications": "Applications",
    "calls": "Calls",
    "conferences": "Conferences",
    "incoming_phone_numbers": "IncomingPhoneNumbers",
    "messages": "Messages",
    "notifications": "Notifications",
    "queues": "Queues",
    "recordings": "Recordings",
}


def uri(account: AccountSid, *parts: str) -> str:
    """Return the address of a resource, relative to the host."""
    return "/".join((f"/{VERSION}/Accounts", account, *parts))


def date(timestamp: float | None) -> str | None:
    """Return a timestamp as Twilio writes it. Units: `timestamp` seconds since the Unix epoch."""
    return None if timestamp is None else rfc2822(timestamp)


def call(noun: Call) -> Json:
    """Return a Call as JSON. Only calls that were answered and have ended have a `duration`."""
    own = uri(noun.account, "Calls", noun.sid)
    duration = None
    if noun.status is CallStatus.COMPLETED and noun.answered_at is not None and noun.ended_at is not None:
        duration = str(int(noun.ended_at - noun.answered_at))
    return {
        "sid": noun.sid,
        "date_created": date(noun.created_at),
        "date_updated": date(noun.updated_at),
        "parent_call_sid": noun.parent,
        "account_sid": noun.account,
        "to": noun.to,
        "to_formatted": format_number(noun.to),
        "from": noun.from_,
        "from_formatted": format_number(noun.from_),
        "phone_number_sid": noun.phone_number_sid,
        "status": noun.status.value,
        "start_time": date(noun.started_at),
        "end_time": date(noun.ended_at),
        "duration": duration,
        "price": None,
        "price_unit": "USD",
        "direction": noun.direction,
        "answered_by": None,
        "api_version": VERSION,
        "forwarded_from": dict(noun.extra_params).get("ForwardedFrom"),
        "group_sid": None,
        "caller_name": noun.caller_name,
        "queue_time": f"{noun.queue_time_s * 1000:.0f}",
        "trunk_sid": None,
        "uri": f"{own}.json",
        "subresource_uris": {key: f"{own}/{part}.json" for key, part in CALL_SUBRESOURCES.items()},
    }


def conference(noun: Room) -> Json:
    """Return a Conference as JSON."""
    own = uri(noun.account, "Conferences", noun.sid)
    return {
        "account_sid": noun.account,
        "date_created": date(noun.created_at),
        "date_updated": date(noun.updated_at),
        "api_version": VERSION,
        "friendly_name": noun.name,
        "region": "us1",
        "sid": noun.sid,
        "status": noun.status.value,
        "uri": f"{own}.json",
        "reason_conference_ended": noun.reason_ended,
        "call_sid_ending_conference": noun.call_ending,
        "subresource_uris": {"participants": f"{own}/Participants.json", "recordings": f"{own}/Recordings.json"},
    }


def participant(room: Room, noun: Participant, *, queue_time_s: float | None = None) -> Json:
    """Return a Participant as JSON. Only the answer to its creation has a `queue_time`. Units: seconds."""
    return {
        "account_sid": room.account,
        "call_sid": noun.call,
        "label": noun.label,
        "call_sid_to_coach": noun.coach,
        "coaching": noun.coaching,
        "conference_sid": room.sid,
        "date_created": date(noun.joined_at),
        "date_updated": date(noun.updated_at),
        "end_conference_on_exit": noun.end_on_exit,
        "muted": noun.muted,
        "hold": noun.held,
        "start_conference_on_enter": noun.start_on_enter,
        "status": noun.status,
        "queue_time": None if queue_time_s is None else f"{queue_time_s * 1000:.0f}",
        "uri": uri(room.account, "Conferences", room.sid, "Participants", f"{noun.call}.json"),
    }


def queue(noun: Queue, *, now: float) -> Json:
    """Return a Queue as JSON. Its average is of the members that wait `now`."""
    return {
        "date_updated": date(noun.updated_at),
        "current_size": len(noun.members),
        "friendly_name": noun.name,
        "uri": uri(noun.account, "Queues", f"{noun.sid}.json"),
        "account_sid": noun.account,
        "average_wait_time": noun.average_wait_s(now),
        "sid": noun.sid,
        "date_created": date(noun.created_at),
        "max_size": noun.max_size,
    }


def member(noun: Queue, waiting: Member, *, position: int, now: float) -> Json:
    """Return a Member at its `position`, counted from 1, as JSON."""
    return {
        "call_sid": waiting.call,
        "date_enqueued": date(waiting.entered_at),
        "position": position,
        "uri": uri(noun.account, "Queues", noun.sid, "Members", f"{waiting.call}.json"),
        "wait_time": max(0, int(now - waiting.entered_at)),
        "queue_sid": noun.sid,
    }


def recording(noun: Recording, *, within: Literal["account", "call", "conference"]) -> Json:
    """Return a Recording as the account's, a call's or a conference's list shows it.

    A call's list shows the track, the account's list the subresources. `media_url` is set once there is a file.
    The resource has no status for a recording that failed: it is `absent`, with its error code.
    """
    own = uri(noun.account, "Recordings", noun.sid)
    completed = noun.status is RecordingStatus.COMPLETED
    body: Json = {
        "account_sid": noun.account,
        "api_version": VERSION,
        "call_sid": noun.call,
        "conference_sid": noun.room,
        "channels": noun.channels,
        "date_created": date(noun.created_at),
        "date_updated": date(noun.updated_at),
        "start_time": date(noun.created_at),
        "duration": None if noun.duration_s is None else str(noun.duration_s),
        "sid": noun.sid,
        "price": None,
        "price_unit": "USD",
        "status": (RecordingStatus.ABSENT if noun.status is RecordingStatus.FAILED else noun.status).value,
        "source": noun.options.source,
        "error_code": noun.error_code or None,
        "encryption_details": None,
        "uri": f"{own}.json",
    }
    match within:
        case "account":
            more = ("add_on_results", "AddOnResults"), ("transcriptions", "Transcriptions")
            uris = {name: f"{own}/{path}.json" for name, path in more}
            return body | {"media_url": noun.url if completed else None, "subresource_uris": uris}
        case "call":
            return body | {"track": noun.options.track}
        case "conference":
            return body
        case _:
            assert_never(within)


def phone_number(account: AccountSid, number: NumberRecord) -> Json:
    """Return an IncomingPhoneNumber as JSON. It has voice only; the fields of messages are null."""
    return {
        "account_sid": account,
        "address_sid": None,
        "address_requirements": "none",
        "api_version": VERSION,
        "beta": False,
        "capabilities": {"voice": True, "sms": False, "mms": False, "fax": False},
        "date_created": date(number.created_at),
        "date_updated": date(number.updated_at),
        "friendly_name": number.friendly_name,
        "identity_sid": None,
        "phone_number": number.phone_number,
        "origin": "hosted",
        "sid": number.sid,
        "sms_application_sid": None,
        "sms_fallback_method": "POST",
        "sms_fallback_url": None,
        "sms_method": "POST",
        "sms_url": None,
        "trunk_sid": None,
        "uri": uri(account, "IncomingPhoneNumbers", f"{number.sid}.json"),
        "voice_receive_mode": "voice",
        "voice_application_sid": number.voice_application_sid,
        "emergency_status": "Inactive",
        "emergency_address_sid": None,
        "emergency_address_status": "unregistered",
        "bundle_sid": None,
        "status": "in-use",
        "type": "local",
    } | _voice(number.voice)


def application(account: AccountSid, noun: ApplicationRecord) -> Json:
    """Return an Application as JSON. It has voice only; the fields of messages are null."""
    return {
        "account_sid": account,
        "api_version": VERSION,
        "date_created": date(noun.created_at),
        "date_updated": date(noun.updated_at),
        "friendly_name": noun.friendly_name,
        "message_status_callback": None,
        "sid": noun.sid,
        "sms_fallback_method": "POST",
        "sms_fallback_url": None,
        "sms_method": "POST",
        "sms_status_callback": None,
        "sms_url": None,
        "uri": uri(account, "Applications", f"{noun.sid}.json"),
        "public_application_connect_enabled": False,
    } | _voice(noun.voice)


def _voice(voice: VoiceSettings) -> Json:
    return {
        "voice_url": voice.voice_url,
        "voice_method": voice.voice_method,
        "voice_fallback_url": voice.voice_fallback_url,
        "voice_fallback_method": voice.voice_fallback_method,
        "status_callback": voice.status_callback,
        "status_callback_method": voice.status_callback_method,
        "voice_caller_id_lookup": voice.voice_caller_id_lookup,
    }


def notification(account: AccountSid, notice: LoggedNotification) -> Json:
    """Return a Notification as lists show it."""
    logged = notice.notification
    parts = ("Calls", logged.call, "Notifications") if logged.call else ("Notifications",)
    return {
        "account_sid": account,
        "api_version": VERSION,
        "call_sid": logged.call,
        "date_created": date(notice.logged_at),
        "date_updated": date(notice.logged_at),
        "error_code": str(logged.code),
        "log": str(logged.log),
        "message_date": date(notice.logged_at),
        "message_text": logged.message,
        "more_info": f"https://www.twilio.com/docs/errors/{logged.code}",
        "request_method": None,
        "request_url": logged.url or None,
        "sid": notice.sid,
        "uri": uri(account, *parts, f"{notice.sid}.json"),
    }


def full_notification(account: AccountSid, notice: LoggedNotification) -> Json:
    """Return a Notification as a fetch shows it. Its exchange with a web server is null where none is known."""
    return notification(account, notice) | {"request_variables": None, "response_body": None, "response_headers": None}


def message(account: AccountSid, noun: MessageRecord, *, status: Literal["queued", "failed"]) -> Json:
    """Return a Message as JSON. `date_sent` is null, because no message is sent."""
    failed = status == NOT_SENT
    own = uri(account, "Messages", noun.sid)
    return {
        "account_sid": account,
        "api_version": VERSION,
        "body": noun.body,
        "date_created": date(noun.created_at),
        "date_sent": None,
        "date_updated": date(noun.updated_at),
        "direction": "outbound-api",
        "error_code": NOT_DELIVERED if failed else None,
        "error_message": "Not delivered: this server records messages and sends none" if failed else None,
        "from": noun.from_,
        "messaging_service_sid": noun.messaging_service_sid,
        "num_media": str(len(noun.media)),
        "num_segments": str(noun.segments),
        "price": None,
        "price_unit": "USD",
        "sid": noun.sid,
        "status": status,
        "subresource_uris": {"media": f"{own}/Media.json"},
        "to": noun.to,
        "uri": f"{own}.json",
    }


def account(sid: AccountSid, *, auth_token: str, created_at: float) -> Json:
    """Return the Account as JSON. The client has authenticated with the token, which Twilio shows here too."""
    own = uri(sid)
    return {
        "sid": sid,
        "auth_token": auth_token,
        "date_created": date(created_at),
        "date_updated": date(created_at),
        "friendly_name": ACCOUNT_NAME,
        "owner_account_sid": sid,
        "status": "active",
        "type": "Full",
        "uri": f"{own}.json",
        "subresource_uris": {key: f"{own}/{part}.json" for key, part in ACCOUNT_SUBRESOURCES.items()},
    }
