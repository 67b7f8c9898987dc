"""Read the parameters that Calls and Participants share: documents, callbacks, times, digits, credentials."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Final, Literal
from urllib.parse import urlsplit

from holdfast.voice.api.errors import (
    ApplicationInvalid,
    CallbackUrlInvalid,
    DigitsInvalid,
    ParameterInvalid,
    TimeoutInvalid,
    TwimlTooLong,
    UrlInvalid,
)
from holdfast.voice.api.forms import Form
from holdfast.voice.api.resource import ApiContext
from holdfast.voice.model.commands import (
    Callback,
    Instruction,
    RecordingOptions,
    Target,
)
from holdfast.voice.model.errors import DocumentTooLarge, DocumentUnreadable, RelativeUrl
from holdfast.voice.model.header_names import Fault, describe_fault, fault_of
from holdfast.voice.twiml.attributes import Node
from holdfast.voice.twiml.document import parse

MAX_TWIML: Final = 4000
MAX_TIMEOUT_S: Final = 600
MAX_TIME_LIMIT_S: Final = 14400
CALL_EVENTS: Final = ("initiated", "ringing", "answered", "completed")
CONFERENCE_EVENTS: Final = ("start", "end", "join", "leave", "mute", "hold", "modify", "speaker", "announcement")
RECORDING_EVENTS: Final = ("in-progress", "completed", "absent", "failed")
RECORDING: Final = frozenset(
    {
        *("RecordingStatusCallback", "RecordingStatusCallbackMethod", "RecordingStatusCallbackEvent"),
        *("RecordingChannels", "RecordingTrack", "Trim"),
    }
)
HEADER_CODES: Final[dict[Fault, int]] = {"name": 32111, "setter": 32113, "value": 32112}
"""Source: Twilio error dictionary, "SIP: Invalid header name", "Header name is not allowed", "Invalid header value"."""
_ADDRESSES = ("url", "action", "statuscallback")
_LINE_END = re.compile(r"[\r\n]")
_DIGITS = re.compile(r"[0-9A-Da-d#*wW]{1,32}\Z")


def read_instruction(form: Form, context: ApiContext, *, call: str | None = None) -> Instruction | None:
    """Return the document in `Url` or, without one, in `Twiml`, or None when neither is there.

    If both are there, `Url` counts and a warning is logged. Source: Twilio errors 21205, 32018, 32019.
    Raises: UrlInvalid, CallbackUrlInvalid, MethodInvalid, TwimlTooLong.
    """
    fallback = form.request("FallbackUrl", "FallbackMethod")
    request = form.request("Url", "Method", error=UrlInvalid)
    twiml = form.text("Twiml")
    if twiml is not None and len(twiml) > MAX_TWIML:
        raise TwimlTooLong(f"Twiml is over {MAX_TWIML} characters")
    if request is not None:
        if twiml is not None:
            context.warn(32019, "Both Url and Twiml were given; Url is used", call=call)
        return Instruction(request=request, fallback=fallback)
    return None if twiml is None else Instruction(twiml=twiml, fallback=fallback)


def check_absolute_urls(twiml: str) -> None:
    """Refuse an inline document that has a relative URL. Raises: RelativeUrl.

    A document that cannot be read passes: it fails when it is run, and its fallback URL is requested.
    Source: Twilio error 15004.
    """
    try:
        root = parse(twiml)
    except (DocumentUnreadable, DocumentTooLarge):
        return
    for address in _addresses(root):
        if not urlsplit(address).scheme:
            raise RelativeUrl(f"A document given inline may not have a relative URL: {address[:200]!r}")


def _addresses(node: Node) -> list[str]:
    found = [node.attributes[name] for name in node.attributes if name.lower().endswith(_ADDRESSES)]
    if node.tag in ("Play", "Redirect"):
        found.append(node.text.strip())
    return [address for address in found if address] + [each for child in node.children for each in _addresses(child)]


def read_application(form: Form, context: ApiContext) -> tuple[Instruction, Callback | None] | None:
    """Return the document and callback of `ApplicationSid`, None without the parameter. Raises: ApplicationInvalid."""
    sid = form.text("ApplicationSid")
    if sid is None:
        return None
    application = context.directory.applications.get(sid)
    instruction = application.voice.instruction() if application is not None else None
    if application is None or instruction is None:
        raise ApplicationInvalid("ApplicationSid is not an application of ours that has a VoiceUrl")
    return instruction, application.voice.callback()


def read_callback(
    form: Form,
    context: ApiContext,
    *,
    prefix: str = "StatusCallback",
    known: tuple[str, ...] = CALL_EVENTS,
    default: tuple[str, ...] = ("completed",),
    call: str | None = None,
) -> Callback | None:
    """Return the status callback and the events it subscribes to. Raises: CallbackUrlInvalid, MethodInvalid.

    An unknown event is dropped with a warning and not refused, as was measured on Twilio: the request is accepted
    and the callback is never sent. Source: Twilio error 21626.
    """
    request = form.request(prefix, f"{prefix}Method")
    wanted = form.words(f"{prefix}Event") or default
    unknown = [word[:64] for word in wanted if word not in known]
    if unknown:
        context.warn(21626, f"{prefix}Event has unknown events: {', '.join(unknown[:20])}", call=call)
    if request is None:
        return None
    if "_" in (urlsplit(request.url).hostname or ""):
        raise CallbackUrlInvalid(f"{prefix} is not a valid URL: its host name has an underscore")
    events = tuple(word for word in known if word in wanted)
    return Callback(url=request.url, method=request.method, events=events)


def read_recording(
    form: Form,
    context: ApiContext,
    *,
    source: Literal["OutboundAPI", "Conference", "StartCallRecordingAPI"],
    trim: bool,
    prefix: str = "",
) -> RecordingOptions:
    """Return the terms of a recording. `prefix`: `Conference`, where a form has two. Raises: ParameterInvalid."""
    channels = form.choice("RecordingChannels", ("mono", "dual"), error=ParameterInvalid)
    track = form.choice("RecordingTrack", ("both", "inbound", "outbound"), error=ParameterInvalid)
    trimmed = form.choice(f"{prefix}Trim", ("trim-silence", "do-not-trim"), error=ParameterInvalid)
    return RecordingOptions(
        source=source,
        dual=channels == "dual",
        track="inbound" if track == "inbound" else "outbound" if track == "outbound" else "both",
        trim=trim if trimmed is None else trimmed == "trim-silence",
        callback=read_callback(form, context, prefix=f"{prefix}RecordingStatusCallback", known=RECORDING_EVENTS),
    )


def read_timeout(form: Form, *, low: int = 1) -> int:
    """Return `Timeout`, how long the call may ring. Units: seconds. Raises: TimeoutInvalid."""
    timeout = form.integer("Timeout", low=low, high=MAX_TIMEOUT_S, error=TimeoutInvalid)
    return 60 if timeout is None else timeout


def read_time_limit(form: Form) -> int | None:
    """Return `TimeLimit`, the limit of the call in seconds, at most the account's. Raises: ParameterInvalid."""
    limit = form.integer("TimeLimit", low=1, high=10**9 - 1)
    return None if limit is None else min(limit, MAX_TIME_LIMIT_S)


def read_digits(form: Form) -> str:
    """Return the digits in `SendDigits`. Raises: DigitsInvalid."""
    digits = form.text("SendDigits") or ""
    if digits and not _DIGITS.match(digits):
        raise DigitsInvalid("SendDigits may have up to 32 of 0-9, A-D, #, *, w and W")
    return digits


def complete_target(target: Target, form: Form, context: ApiContext, *, call: str) -> Target:
    """Return the target with the credentials for its SIP endpoint, and without header fields that may not be sent.

    Source: Twilio errors 32111 to 32113: the header field is omitted. Raises: ParameterInvalid.
    """
    for name in ("SipAuthUsername", "SipAuthPassword"):
        if _LINE_END.search(form.text(name) or ""):
            raise ParameterInvalid(f"{name} must be one line")
    kept: list[tuple[str, str]] = []
    left_out: dict[int, dict[str, None]] = {}
    for name, value in target.headers:
        if (fault := fault_of(name, value)) is None:
            kept.append((name, value))
        else:
            left_out.setdefault(HEADER_CODES[fault], {})[describe_fault(fault, name, value)] = None
    for code, descriptions in left_out.items():
        context.warn(code, f"To: {'; '.join(list(descriptions)[:20])}", call=call)
    username, password = form.text("SipAuthUsername"), form.text("SipAuthPassword")
    return replace(target, headers=tuple(kept), username=username, password=password)
