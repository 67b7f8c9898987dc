"""Serve the participants of a conference: list, hold, mute, coach and remove them, announce to them, call them in.

Source: Twilio API, Participant resource.
"""

from __future__ import annotations

from typing import Final
from xml.sax.saxutils import escape, quoteattr

from holdfast.voice.api import render
from holdfast.voice.api.call_parameters import (
    CONFERENCE_EVENTS,
    MAX_TIME_LIMIT_S,
    RECORDING,
    complete_target,
    read_callback,
    read_recording,
    read_time_limit,
    read_timeout,
)
from holdfast.voice.api.errors import ParameterInvalid
from holdfast.voice.api.forms import Form
from holdfast.voice.api.paging import PAGING, page
from holdfast.voice.api.resource import ApiContext, ApiRequest, ApiResponse, Operation, Resource, new_sid
from holdfast.voice.api.to_from import read_caller_id, read_display_name, read_parties
from holdfast.voice.api.twilio import conferences
from holdfast.voice.control.entities import Participant, Room, RoomStatus
from holdfast.voice.model.commands import (
    Admission,
    ChangeParticipant,
    CreateCall,
    Instruction,
    RemoveParticipant,
    ReserveParticipant,
)
from holdfast.voice.model.errors import ConferenceNotActive, LabelInvalid, LabelTaken, NotFound
from holdfast.voice.model.ids import CallSid, RoomSid, is_sid

BEEPS: Final = ("true", "false", "onEnter", "onExit")
MAX_NAME: Final = 128

CREATE: Final = frozenset(
    {
        *("From", "To", "StatusCallback", "StatusCallbackMethod", "StatusCallbackEvent", "Label", "Timeout"),
        *("TimeLimit", "Muted", "Beep", "StartConferenceOnEnter", "EndConferenceOnExit", "WaitUrl", "WaitMethod"),
        *("EarlyMedia", "CallerId", "CallerDisplayName"),
        *("MaxParticipants", "ConferenceStatusCallback", "ConferenceStatusCallbackMethod"),
        *("ConferenceStatusCallbackEvent", "SipAuthUsername", "SipAuthPassword", "Coaching", "CallSidToCoach"),
        *("Record", "ConferenceRecord", "ConferenceTrim", "ConferenceRecordingStatusCallback"),
        *("ConferenceRecordingStatusCallbackMethod", "ConferenceRecordingStatusCallbackEvent"),
    }
    | RECORDING
)
CREATE_IGNORED: Final = frozenset(
    {
        *("Region", "JitterBufferSize", "Byoc", "CallReason"),
        *("MachineDetection", "MachineDetectionTimeout", "MachineDetectionSpeechThreshold"),
        *("MachineDetectionSpeechEndThreshold", "MachineDetectionSilenceTimeout", "AmdStatusCallback"),
        *("AmdStatusCallbackMethod", "CallToken", "ClientNotificationUrl"),
    }
)
UPDATE: Final = frozenset(
    {
        *("Muted", "Hold", "HoldUrl", "HoldMethod", "AnnounceUrl", "AnnounceMethod", "WaitUrl", "WaitMethod"),
        *("BeepOnExit", "EndConferenceOnExit", "Coaching", "CallSidToCoach"),
    }
)
LIST: Final = PAGING | {"Muted", "Hold", "Coaching"}


def find(context: ApiContext, request: ApiRequest) -> tuple[Room, Participant]:
    """Return the participant that the path names by call SID or label. Raises: NotFound."""
    room = context.conference(request.path_params["ConferenceSid"])
    name = request.path_params["CallSid"]
    for member in _visible(room):
        if member.call == name or (member.label is not None and member.label == name):
            return room, member
    raise NotFound(f"{name} is not in conference {room.sid}")


def _visible(room: Room) -> tuple[Participant, ...]:
    """Return the participants that lists show. A completed conference shows none."""
    return () if room.status is RoomStatus.COMPLETED else room.participants


async def fetch(context: ApiContext, request: ApiRequest) -> ApiResponse:
    """Return one participant. Raises: NotFound."""
    return ApiResponse(body=render.participant(*find(context, request)))


async def update(context: ApiContext, request: ApiRequest) -> ApiResponse:
    """Hold, resume, mute or coach a participant, or announce to it. Parameters that were not sent change nothing.

    Hold music is fetched with GET unless HoldMethod is POST; an empty HoldUrl is silence. CallSidToCoach alone means
    Coaching=true. Raises: NotFound, CoachTargetHeld, CoachTargetAbsent, and the errors of each parameter.
    """
    form = request.form
    room, member = find(context, request)
    coach = form.text("CallSidToCoach")
    coaching = form.flag("Coaching")
    if coaching is None and coach is not None:
        coaching = True
    if coaching and coach is None and member.coach is None:
        raise ParameterInvalid("Coaching=true needs CallSidToCoach")
    command = ChangeParticipant(
        room=room.sid,
        call=member.call,
        muted=form.flag("Muted"),
        hold=form.flag("Hold"),
        hold_request=form.request_or_silence("HoldUrl", "HoldMethod", default="GET"),
        announce=form.request("AnnounceUrl", "AnnounceMethod"),
        wait=form.request_or_silence("WaitUrl", "WaitMethod"),
        end_on_exit=form.flag("EndConferenceOnExit"),
        beep_on_exit=form.flag("BeepOnExit"),
        coaching=coaching,
        coach=None if coach is None else CallSid(coach),
    )
    await context.switch.execute(command)
    after = context.switch.state.rooms.get(room.sid, room)
    return ApiResponse(body=render.participant(after, after.participant(member.call) or member))


async def remove(context: ApiContext, request: ApiRequest) -> ApiResponse:
    """Remove a participant. Its call continues after its `<Dial>`, or ends if it was called in. Raises: NotFound."""
    room, member = find(context, request)
    await context.switch.execute(RemoveParticipant(room=room.sid, call=member.call))
    return ApiResponse(status=204, body=None)


async def list_page(context: ApiContext, request: ApiRequest) -> ApiResponse:
    """List the participants of a conference, the newest first. Raises: NotFound, PageTooLarge, ParameterInvalid."""
    form = request.form
    room = context.conference(request.path_params["ConferenceSid"])
    muted, hold, coaching = form.flag("Muted"), form.flag("Hold"), form.flag("Coaching")
    rows = [
        member
        for member in reversed(_visible(room))
        if muted in (None, member.muted) and hold in (None, member.held) and coaching in (None, member.coaching)
    ]
    return page(
        rows,
        request=request,
        collection="participants",
        key=lambda member: member.call,
        render=lambda member: render.participant(room, member),
    )


async def create(context: ApiContext, request: ApiRequest) -> ApiResponse:
    """Call a party into the conference: an active one by SID, or any by name.

    Raises: ConferenceNotActive, LabelInvalid, LabelTaken, ServerStopping, and the errors of each parameter.
    """
    context.refuse_when_stopping()
    form = request.form
    room = _room(context, request.path_params["ConferenceSid"])
    target, from_ = read_parties(form, context.directory, applications=True)
    name = room.name if room is not None else request.path_params["ConferenceSid"]
    admission = _admission(form, context, name, room)
    call = CallSid(new_sid("CA"))
    seat = ReserveParticipant(
        call=call,
        account=context.account,
        admission=admission,
        new_room=room.sid if room is not None else RoomSid(new_sid("CF")),
    )
    command = CreateCall(
        call=call,
        account=context.account,
        target=complete_target(target, form, context, call=call),
        from_=from_,
        instruction=Instruction(twiml=document(admission)),
        callback=read_callback(form, context),
        timeout_s=read_timeout(form, low=5),
        time_limit_s=read_time_limit(form) or MAX_TIME_LIMIT_S,
        record=read_recording(form, context, source="OutboundAPI", trim=True) if form.flag("Record") else None,
        reserve=seat,
        caller_id=read_caller_id(form, context.directory, target),
        display_name=read_display_name(form, target),
        wait_s=context.call_pacing.reserve(),
    )
    await context.switch.execute(command)
    joined = _joined(context, name, seat.new_room)
    now = context.switch.now()
    seated = Participant(call=call, joined_at=now, updated_at=now, status="queued", label=admission.label)
    shown = render.participant(joined, joined.participant(call) or seated, queue_time_s=command.wait_s)
    return ApiResponse(status=201, body=shown)


def _joined(context: ApiContext, name: str, sid: RoomSid) -> Room:
    """Return the conference in which a seat was reserved. Raises: ConferenceNotActive when it ended meanwhile."""
    room = conferences.active(context, name) or context.switch.state.rooms.get(sid)
    if room is None:
        raise ConferenceNotActive(f"Conference {name} is over")
    return room


def _room(context: ApiContext, named: str) -> Room | None:
    """Return the conference to join, or None for a new one. Raises: ConferenceNotActive, ParameterInvalid."""
    if not is_sid(named, "CF"):
        if len(named) > MAX_NAME:
            raise ParameterInvalid(f"A conference's friendly name has up to {MAX_NAME} characters")
        return conferences.active(context, named)
    room = context.switch.state.rooms.get(RoomSid(named))
    if room is None or room.kind != "conference" or room.status is RoomStatus.COMPLETED:
        raise ConferenceNotActive(f"Conference {named} does not exist or is completed")
    return room


def _admission(form: Form, context: ApiContext, name: str, room: Room | None) -> Admission:
    coach = form.text("CallSidToCoach")
    coaching = form.flag("Coaching")
    if coaching and coach is None:
        raise ParameterInvalid("Coaching=true needs CallSidToCoach")
    early_media = form.flag("EarlyMedia")
    start, maximum = form.flag("StartConferenceOnEnter"), form.integer("MaxParticipants", low=2, high=250)
    recorded = form.choice("ConferenceRecord", ("true", "false", "record-from-start", "do-not-record"))
    record = None
    if recorded in ("true", "record-from-start"):
        record = read_recording(form, context, source="Conference", trim=True, prefix="Conference")
    return Admission(
        name=name,
        muted=form.flag("Muted") or False,
        beep=form.choice("Beep", BEEPS) or "true",
        start_on_enter=True if start is None else start,
        end_on_exit=form.flag("EndConferenceOnExit") or False,
        label=_label(form, room),
        wait=form.request_or_silence("WaitUrl", "WaitMethod"),
        max_participants=250 if maximum is None else maximum,
        coach=CallSid(coach) if coach is not None and coaching is not False else None,
        callback=read_callback(
            form, context, prefix="ConferenceStatusCallback", known=CONFERENCE_EVENTS, default=("start", "end")
        ),
        record=record,
        early_media=True if early_media is None else early_media,
    )


def _label(form: Form, room: Room | None) -> str | None:
    label = form.text("Label")
    if label is None:
        return None
    if len(label) > MAX_NAME or "/" in label or is_sid(label, "CA"):
        raise LabelInvalid(f"Label must be below {MAX_NAME + 1} characters, without '/', and not look like a call SID")
    if room is not None and any(member.label == label for member in room.participants):
        raise LabelTaken(f"Label {label!r} is used by another participant")
    return label


def document(admission: Admission) -> str:
    """Return the TwiML with which a called party joins a conference."""
    values = {
        "muted": str(admission.muted).lower(),
        "beep": admission.beep,
        "startConferenceOnEnter": str(admission.start_on_enter).lower(),
        "endConferenceOnExit": str(admission.end_on_exit).lower(),
        "maxParticipants": str(admission.max_participants),
    }
    if admission.label is not None:
        values["participantLabel"] = admission.label
    if admission.wait is not None:
        values |= {"waitUrl": admission.wait.url, "waitMethod": admission.wait.method}
    if admission.coach is not None:
        values["coach"] = admission.coach
    if admission.callback is not None:
        values |= {
            "statusCallback": admission.callback.url,
            "statusCallbackMethod": admission.callback.method,
            "statusCallbackEvent": " ".join(admission.callback.events),
        }
    attributes = "".join(f" {name}={quoteattr(value)}" for name, value in values.items())
    return f"<Response><Dial><Conference{attributes}>{escape(admission.name)}</Conference></Dial></Response>"


RESOURCES: Final = (
    Resource(
        path="/Conferences/{ConferenceSid}/Participants",
        get=Operation(run=list_page, parameters=LIST),
        post=Operation(run=create, parameters=CREATE, ignored=CREATE_IGNORED),
    ),
    Resource(
        path="/Conferences/{ConferenceSid}/Participants/{CallSid}",
        get=Operation(run=fetch),
        post=Operation(run=update, parameters=UPDATE),
        delete=Operation(run=remove),
    ),
)
