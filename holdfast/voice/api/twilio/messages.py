"""Serve messages: create, read, list, redact and delete them. They are recorded, and not delivered.

Deviation: `Media` and `Feedback` of a message are not built, nothing is scheduled, and `DateSent` filters by the
date of creation, because no message is sent. Source: Twilio API, Message resource.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Final

from holdfast.voice.api import render
from holdfast.voice.api.errors import (
    ChannelsDiffer,
    ContentSidInvalid,
    FromInvalid,
    MediaUrlInvalid,
    MessageCallbackInvalid,
    MessageEmpty,
    MessageNotCancelable,
    MessageTooLong,
    MessageUpdateInvalid,
    MessagingServiceInvalid,
    RecipientMissing,
    SenderIsRecipient,
    SenderMissing,
    SenderNotCapable,
    SenderNotOurs,
    ServiceMessageEmpty,
    ToInvalid,
    TooManyMedia,
)
from holdfast.voice.api.forms import Form, is_web_address
from holdfast.voice.api.paging import PAGING, DateRange, date_filters, page
from holdfast.voice.api.resource import ApiContext, ApiRequest, ApiResponse, Operation, Resource, new_sid
from holdfast.voice.api.stored_resource import StoredResource
from holdfast.voice.model.ids import is_sid
from holdfast.voice.model.phone_numbers import bare_number, is_short
from holdfast.voice.runtime.directory.directory import Directory
from holdfast.voice.runtime.messages.message_log import NOT_SENT
from holdfast.voice.runtime.messages.message_record import MessageRecord, count_segments

MAX_BODY: Final = 1600
MAX_MEDIA: Final = 10
CREATE: Final = frozenset(
    {"To", "From", "MessagingServiceSid", "Body", "MediaUrl", "ContentSid", "ContentRetention", "StatusCallback"}
)
CREATE_IGNORED: Final = frozenset(
    {
        *("ApplicationSid", "MaxPrice", "ProvideFeedback", "Attempt", "ValidityPeriod", "ForceDelivery"),
        *("AddressRetention", "SmartEncoded", "PersistentAction", "TrafficType", "ShortenUrls", "ScheduleType"),
        *("SendAt", "SendAsMms", "ContentVariables", "MessageIntent", "RiskCheck", "FallbackFrom"),
    }
)
LIST: Final = PAGING | date_filters("DateSent") | {"To", "From"}

_CHANNEL = re.compile(r"(whatsapp|messenger|rcs):[^\s\"<>\\]{1,255}\Z")
_SENDER_ID = re.compile(r"(?=[^A-Za-z]*[A-Za-z])[A-Za-z0-9 +_&-]{1,11}\Z")
"""An alphanumeric sender ID. Source: Twilio, "Alphanumeric Sender ID"."""


async def create(context: ApiContext, request: ApiRequest) -> ApiResponse:
    """Record a message. The response shows it as `queued`, as on Twilio; from then on it is `failed`.

    Raises: SenderNotCapable when the setting refuses messages, and the errors of each parameter.
    """
    form = request.form
    callback = form.url("StatusCallback", error=MessageCallbackInvalid)
    message = _read(form, context.directory, now=context.switch.now())
    if not context.messages.accepts:
        raise SenderNotCapable('No number here is SMS-capable: the setting messages is "refuse"')
    await context.messages.put(message)
    context.messages.report(message, account=context.account, callback=callback)
    return ApiResponse(status=201, body=render.message(context.account, message, status="queued"))


def _read(form: Form, directory: Directory, *, now: float) -> MessageRecord:
    """Return the message of a form. Raises: the error of each parameter."""
    to = _recipient(form, directory)
    sender, service = _sender(form, directory)
    if sender is not None and _channel(sender) != _channel(to):
        raise ChannelsDiffer("'From' and 'To' should be of the same channel")
    if sender == to:
        raise SenderIsRecipient("'To' and 'From' number cannot be the same")
    body, media = _body(form), _media(form)
    content = form.text("ContentSid")
    if content is not None and not is_sid(content, "HX"):
        raise ContentSidInvalid("The ContentSid is HX and 32 hexadecimal digits")
    if not (body.strip() or media or content):
        if service is not None:
            raise ServiceMessageEmpty("A Message Body, Media URL or Content SID is required")
        raise MessageEmpty("Message body is required")
    discards = form.choice("ContentRetention", ("retain", "discard")) == "discard"
    return MessageRecord(
        sid=new_sid("MM" if media else "SM"),
        created_at=now,
        updated_at=now,
        to=to,
        from_=sender,
        body="" if discards else body,
        segments=count_segments(body),
        media=() if discards else media,
        messaging_service_sid=service,
    )


def _recipient(form: Form, directory: Directory) -> str:
    """Return the phone number or channel address in `To`. Raises: RecipientMissing, ToInvalid."""
    to = form.text("To")
    if to is None:
        raise RecipientMissing("A 'To' phone number is required")
    if _CHANNEL.match(to):
        return to
    number = directory.e164(to)
    if number is None or is_short(number):
        raise ToInvalid(f"The 'To' number {to[:64]} is not a valid phone number")
    return number


def _sender(form: Form, directory: Directory) -> tuple[str | None, str | None]:
    """Return the sender and the Messaging Service, one of which may be None.

    Raises: SenderMissing, MessagingServiceInvalid, SenderNotOurs, FromInvalid.
    """
    from_, service = form.text("From"), form.text("MessagingServiceSid")
    if from_ is not None and is_sid(from_, "MG"):
        from_, service = None, from_
    if from_ is None and service is None:
        raise SenderMissing("A 'From' or 'MessagingServiceSid' parameter is required")
    if service is not None and not is_sid(service, "MG"):
        raise MessagingServiceInvalid("The MessagingServiceSid is MG and 32 hexadecimal digits")
    if from_ is None or _CHANNEL.match(from_):
        return from_, service
    number = directory.e164(from_) or bare_number(from_)
    if number is not None:
        if number not in directory.numbers:
            raise SenderNotOurs(f"'From' {number} is not one of our phone numbers; add it to the directory first")
        return number, service
    if not _SENDER_ID.match(from_):
        raise FromInvalid(f"'From' is no phone number, sender ID or channel address: {from_[:64]}")
    return from_, service


def _channel(address: str) -> str:
    """Return the channel of an address: "" for phone numbers and sender IDs."""
    return address.partition(":")[0] if _CHANNEL.match(address) else ""


def _body(form: Form) -> str:
    """Return the text, with the space around it. Raises: MessageTooLong."""
    body = next((value for name, value in form.pairs() if name == "Body"), "")
    if len(body) > MAX_BODY:
        raise MessageTooLong(f"The message body exceeds the {MAX_BODY} character limit")
    return body


def _media(form: Form) -> tuple[str, ...]:
    """Return the URLs of media. Raises: MediaUrlInvalid, TooManyMedia."""
    media = tuple(value.strip() for name, value in form.pairs() if name == "MediaUrl" and value.strip())
    if len(media) > MAX_MEDIA:
        raise TooManyMedia(f"A message has up to {MAX_MEDIA} media URLs")
    if not all(is_web_address(url) for url in media):
        raise MediaUrlInvalid("A MediaUrl is no absolute http(s) URL")
    return media


def _redact(context: ApiContext, request: ApiRequest, stored: MessageRecord) -> MessageRecord:
    """Return the message without its text. Raises: MessageUpdateInvalid, MessageNotCancelable."""
    body, status = request.form.raw("Body"), request.form.text("Status")
    if status == "canceled" and body is None:
        raise MessageNotCancelable("Only a scheduled message can be canceled")
    if status is not None or body != "":
        raise MessageUpdateInvalid("Either Body must be empty, which redacts the message, or Status canceled")
    return replace(stored, body="", updated_at=context.switch.now())


async def list_page(context: ApiContext, request: ApiRequest) -> ApiResponse:
    """List the messages, the newest first. Raises: ParameterInvalid, PageTooLarge."""
    form = request.form
    to, from_ = (context.directory.written_forms(form.text(name)) for name in ("To", "From"))
    when = DateRange.read(form, "DateSent")
    rows = [
        each
        for each in context.messages.all()
        if (not to or each.to in to) and (not from_ or each.from_ in from_) and when.contains(each.created_at)
    ]
    return page(
        rows,
        request=request,
        collection=MESSAGES.collection,
        key=lambda each: each.sid,
        render=lambda each: MESSAGES.render(context, request, each),
    )


MESSAGES: Final = StoredResource(
    rows=lambda context, request: context.messages,
    missing="there is no message {}",
    collection="messages",
    render=lambda context, request, each: render.message(context.account, each, status=NOT_SENT),
    change=_redact,
)
RESOURCES: Final = (
    Resource(
        path="/Messages",
        get=Operation(run=list_page, parameters=LIST),
        post=Operation(run=create, parameters=CREATE, ignored=CREATE_IGNORED),
    ),
    Resource(
        path="/Messages/{Sid}",
        get=Operation(run=MESSAGES.fetch),
        post=Operation(run=MESSAGES.update, parameters=frozenset({"Body", "Status"})),
        delete=Operation(run=MESSAGES.delete),
    ),
)
