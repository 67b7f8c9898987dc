"""Make the form parameters of every request to a web server, and the status callbacks of a call.

Source: Twilio docs, "TwiML Voice: request parameters", "Call status callbacks".
"""

from __future__ import annotations

from dataclasses import replace

from holdfast.voice.control.entities import Call, Recording
from holdfast.voice.control.geography import Form, geography_params
from holdfast.voice.control.read_only_state import ReadOnlyState
from holdfast.voice.model.commands import (
    Role,
    WebRequest,
)
from holdfast.voice.model.effects import PostCallback
from holdfast.voice.model.timestamps import rfc2822
from holdfast.voice.twiml.script import ScriptSubject


def standard_params(call: Call) -> Form:
    """Return the parameters of every request about a call."""
    form = [
        ("CallSid", call.sid),
        ("AccountSid", call.account),
        ("From", call.from_),
        ("To", call.to),
        ("CallStatus", call.status.value),
        ("ApiVersion", "2010-04-01"),
        ("Direction", call.direction),
        ("Caller", call.from_),
        ("Called", call.to),
    ]
    if call.caller_name:
        form.append(("CallerName", call.caller_name))
    if call.parent is not None:
        form.append(("ParentCallSid", call.parent))
    return (*form, *geography_params(call.from_, call.to), *call.extra_params)


def script_subject(call: Call, role: Role, view: ReadOnlyState, now: float) -> ScriptSubject:
    """Return the call as the subject of a script of this role, with the form of its requests."""
    return ScriptSubject(
        call=call.sid,
        account=call.account,
        from_=call.from_,
        to=call.to,
        direction=call.direction,
        form=lambda: (*standard_params(call), *_role_params(call, role, view, now)),
    )


def _role_params(call: Call, role: Role, view: ReadOnlyState, now: float) -> Form:
    if role == "queue":
        return _queue_params(call, view, now)
    if role in ("wait", "hold", "announce"):
        return _conference_params(call, view)
    return ()


def _queue_params(call: Call, view: ReadOnlyState, now: float) -> Form:
    """Return the parameters of a queue's waitUrl. Source: TwiML <Enqueue> waitUrl."""
    queue = view.queue_of(call.sid)
    if queue is None:
        return ()
    places = ((at, now - member.entered_at) for at, member in enumerate(queue.members, 1) if member.call == call.sid)
    position, waited = next(places, (0, 0.0))
    return (
        ("QueuePosition", str(position)),
        ("QueueSid", queue.sid),
        ("QueueTime", str(int(waited))),
        ("AvgQueueTime", str(queue.average_wait_s(now))),
        ("CurrentQueueSize", str(len(queue.members))),
        ("MaxQueueSize", str(queue.max_size)),
    )


def _conference_params(call: Call, view: ReadOnlyState) -> Form:
    """Return the parameters of a conference's waitUrl, HoldUrl and AnnounceUrl (unconfirmed)."""
    room = view.room_of(call.sid)
    participant = room.participant(call.sid) if room is not None else None
    if room is None or participant is None:
        return ()
    form: Form = (
        ("ConferenceSid", room.sid),
        ("FriendlyName", room.name),
        ("Hold", _true_or_false(participant.held)),
        ("Muted", _true_or_false(participant.muted)),
        ("Coaching", _true_or_false(participant.coaching)),
    )
    return (*form, ("ParticipantLabel", participant.label)) if participant.label else form


def _true_or_false(value: bool) -> str:
    return "true" if value else "false"


def dial_sip_params(call: Call, sip_code: int) -> Form:
    """Return the `action` parameters of a `<Dial>` about a SIP phone. Source: TwiML <Sip>, DialSip… parameters."""
    if not call.to.lower().startswith(("sip:", "sips:")):
        return ()
    return (*call.sip_params, ("DialSipResponseCode", str(sip_code if call.answered_at is None else 200)))


def status_callback(
    call: Call, event: str, now: float, recorded: Recording | None = None
) -> tuple[Call, tuple[PostCallback, ...]]:
    """Return the call with the callback counted, and the status callback of an event, if one is subscribed to.

    `recorded` is the recording the call was placed with. Shape: `event` is initiated, ringing, answered or completed.
    """
    subscription = call.callback
    if subscription is None or event not in subscription.events:
        return call, ()
    form = dict(standard_params(call))
    if event == "initiated":
        form["CallStatus"] = "initiated"
    form |= {
        "Timestamp": rfc2822(now),
        "CallbackSource": "call-progress-events",
        "SequenceNumber": str(call.callbacks_sent),
    }
    if event == "completed":
        spoken = int(now - call.answered_at) if call.answered_at is not None else 0
        form |= {"CallDuration": str(spoken), "Duration": str(-(-spoken // 60))}
        form["SipResponseCode"] = str(call.sip_code)
        if recorded is not None:
            length = int(now - recorded.created_at)
            form |= {
                "RecordingUrl": recorded.url,
                "RecordingSid": recorded.sid,
                "RecordingDuration": str(length),
            }
    request = WebRequest(url=subscription.url, method=subscription.method, form=tuple(form.items()))
    counted = replace(call, callbacks_sent=call.callbacks_sent + 1)
    return counted, (PostCallback(call=call.sid, kind="call", request=request),)
