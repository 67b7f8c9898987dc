"""The room machine decides who is in a conference or a bridge, and when it begins and ends.

Audio follows from the state after each step (`audio`); this module only changes values and notifies calls and
applications.

Everything that affects the status of a room is in this file, and in the table `ROOM_TRANSITIONS`: a message that the
table does not list for the status is refused, and changes nothing.
"""

from __future__ import annotations

from dataclasses import replace
from typing import assert_never

from holdfast.voice.control.conference.announcements import (
    announce,
    handle_announcement_end,
    handle_announcement_start,
    remove_listener,
)
from holdfast.voice.control.conference.audio import (
    Comfort,
    beeps,
    changes,
    hears_changes,
    is_early_heard,
    newly_audible,
    ringing_changes,
    route_changes,
    speech_detection_changes,
    speech_reported,
)
from holdfast.voice.control.conference.participant import change
from holdfast.voice.control.conference.step import RoomStep
from holdfast.voice.control.entities import Participant, Room, RoomStatus
from holdfast.voice.control.read_only_state import Emitted, ReadOnlyState, Transition
from holdfast.voice.control.statuses import (
    PARTICIPANT_TRANSITIONS,
    ROOM_TRANSITIONS,
    ParticipantStatus,
    RoomMessage,
)
from holdfast.voice.model import twilio_assumptions
from holdfast.voice.model.commands import (
    Admission,
    AnnounceToRoom,
    ChangeParticipant,
    EndCall,
    EndRoom,
    RemoveParticipant,
    ReserveParticipant,
    Role,
)
from holdfast.voice.model.effects import LogRefusal
from holdfast.voice.model.errors import ConferenceNotActive, NotFound
from holdfast.voice.model.facts import LegSpeaks, RoomEntered, RoomLeft, RoomRefused
from holdfast.voice.model.ids import AccountSid, CallSid, RecordingSid, RoomSid, derive, is_label, is_sid
from holdfast.voice.model.internal_commands import (
    BeginRecording,
    Bridge,
    EndRecording,
    EnterConference,
    LeaveRoom,
    NoteAnnounced,
    NoteAnnouncing,
    NoteParticipant,
    NotePhoneHold,
    RefuseEntry,
    StartScript,
    StopScript,
)


def bridge(command: Bridge, now: float) -> Room:
    """Return an empty bridge of two legs."""
    return Room(sid=command.room, account=command.account, kind="bridge", name="", created_at=now, updated_at=now)


def conference(sid: RoomSid, account: AccountSid, admission: Admission, now: float) -> Room:
    """Return an empty conference with the attributes of its first participant. Source: TwiML <Conference>."""
    return Room(
        sid=sid,
        account=account,
        kind="conference",
        name=admission.name,
        created_at=now,
        updated_at=now,
        max_participants=admission.max_participants,
        callback=admission.callback,
        record=admission.record,
    )


def handle(room: Room, message: RoomMessage, now: float, view: ReadOnlyState) -> Transition[Room]:
    """Handle one message for a room.

    Raises: NotFound, ConferenceNotActive, CoachTargetHeld, CoachTargetAbsent.
    """
    followers = ROOM_TRANSITIONS.get((room.status, type(message)))
    if followers is None:
        return _refuse(room, message)
    step = RoomStep(room=room, now=now, view=view)
    match message:
        case Bridge(call=call):
            _add(step, _with_phone_hold(step, Participant(call=call, joined_at=now, updated_at=now)))
        case EnterConference(call=call, admission=admission):
            seat = room.participant(call)
            if seat is not None and (seat.status, EnterConference) not in PARTICIPANT_TRANSITIONS:
                return _refuse(room, message, seat)
            _enter(step, call, admission)
        case ReserveParticipant(call=call, admission=admission):
            _add(step, _participant(call, admission, now, "queued"))
        case LeaveRoom(call=call, cause=cause):
            reason = "participant_hung_up" if cause in ("hangup", "done") else "participant_updated_via_api"
            _leave(step, step.participant(call), reason, kicked=False)
        case RefuseEntry(call=call, code=code, message=text):
            step.emit(RoomRefused(call=call, code=code, message=text))
            _leave(step, step.participant(call), "participant_add_failed", kicked=False)
        case RemoveParticipant(call=call):
            _leave(step, _require_participant(room, call), "participant_updated_via_api", kicked=True)
            left: Emitted = RoomLeft(call=call, room=room.sid, reason="kicked")
            step.emit(left if twilio_assumptions.KICKED_CONTINUES_DOCUMENT else EndCall(call=call))
        case ChangeParticipant(call=call):
            changed, emitted = change(_require_participant(room, call), message, room, now)
            step.put(changed)
            if message.announce is not None:
                remove_listener(step, changed)
            for item in emitted:
                if isinstance(item, str):
                    step.send_callback(item, changed)
                else:
                    step.emit(item)
        case EndRoom():
            if room.status is not RoomStatus.COMPLETED:
                _end(step, "conference-ended-via-api", None, "conference_ended_via_api")
        case AnnounceToRoom(request=request):
            announce(step, request)
        case NoteAnnouncing(call=call, instruction=instruction):
            handle_announcement_start(step, call, instruction)
        case NoteAnnounced():
            handle_announcement_end(step, message)
        case NotePhoneHold(call=call, held=held, heard=heard):
            step.put(replace(step.participant(call), phone_held=held, holder_heard=heard))
        case NoteParticipant(call=call, status=status):
            participant = step.participant(call)
            if status not in PARTICIPANT_TRANSITIONS.get((participant.status, NoteParticipant), ()):
                return _refuse(room, message, participant)
            if status == "ringing" and participant.early_media:
                participant = replace(participant, early_audio="phone" if message.early_media else "ringing")
            step.put(replace(participant, status=status, updated_at=now))
        case LegSpeaks(call=call, speaks=speaks):
            if call in speech_reported(room):
                _set_speaking(step, step.participant(call), speaks)
        case _:
            assert_never(message)
    _settle(step)
    assert step.room.status in followers, f"{room.status} -> {step.room.status} by {type(message).__name__}"
    speaking = [participant for participant in step.room.participants if participant.speaking]
    reported = speech_reported(step.room) if speaking else ()
    for participant in speaking:
        if participant.call not in reported:
            _set_speaking(step, participant, False)
    after = step.room
    moved = changes(room, after)
    audio: list[Emitted] = [*newly_audible(moved, room, after), *route_changes(moved, room, after)]
    audio += [*ringing_changes(moved), *beeps(moved, after), *speech_detection_changes(room, after)]
    audio += hears_changes(moved, room, after) if moved else ()
    return Transition(after, (*audio, *step.emitted))


def _refuse(room: Room, message: RoomMessage, participant: Participant | None = None) -> Transition[Room]:
    """Refuse a message that a table does not list: the room's, or that of the participant.

    Raises: NotFound, ConferenceNotActive.
    """
    match message:
        case ChangeParticipant(call=call) | RemoveParticipant(call=call):
            raise NotFound(f"Participant {call} was not found in conference {room.sid}")
        case AnnounceToRoom():
            raise ConferenceNotActive(f"Conference {room.sid} is completed")
        case _:
            status = room.status.value if participant is None else participant.status
            return Transition(room, (LogRefusal(noun=room.sid, status=status, message=type(message).__name__),))


def _set_speaking(step: RoomStep, participant: Participant, speaks: bool) -> None:
    """Note that a participant began to speak, or stopped."""
    if participant.speaking != speaks:
        step.put(replace(participant, speaking=speaks))
        step.send_callback("participant-speech-start" if speaks else "participant-speech-stop", participant)


def _require_participant(room: Room, call: CallSid) -> Participant:
    participant = room.participant(call)
    if participant is None:
        raise NotFound(f"Participant {call} was not found in conference {room.sid}")
    return participant


def _participant(call: CallSid, admission: Admission, now: float, status: ParticipantStatus) -> Participant:
    return Participant(
        call=call,
        joined_at=now,
        updated_at=now,
        status=status,
        label=admission.label,
        muted=admission.muted,
        coaching=admission.coach is not None,
        coach=admission.coach,
        start_on_enter=admission.start_on_enter,
        end_on_exit=admission.end_on_exit,
        beep=admission.beep,
        wait=admission.wait,
        early_media=admission.early_media,
    )


def _add(step: RoomStep, participant: Participant) -> None:
    """Add a participant behind the others."""
    participant = replace(participant, place=1 + max((each.place for each in step.room.participants), default=0))
    step.room = replace(step.room, participants=(*step.room.participants, participant), updated_at=step.now)
    if participant.status == "connected":
        step.emit(RoomEntered(call=participant.call, room=step.room.sid))
        step.send_callback("participant-join", participant)


def _enter(step: RoomStep, call: CallSid, admission: Admission) -> None:
    """Let a call in, unless the conference is full or its attributes are impossible."""
    seat = step.room.participant(call)
    others = [participant for participant in step.room.participants if participant.call != call]
    step.remove(call)
    refusal = _refusal(others, step.room, admission)
    if refusal is not None:
        step.emit(RoomRefused(call=call, code=refusal[0], message=refusal[1]))
        _end_if_empty(step, None, "last-participant-left")
        return
    # REST changes made while the phone rang stay.
    participant = (
        _participant(call, admission, step.now, "connected")
        if seat is None
        else replace(seat, status="connected", early_audio="")
    )
    _add(step, _with_phone_hold(step, replace(participant, updated_at=step.now)))
    if participant.held:
        step.emit(StartScript(call=call, role="hold", request=participant.hold))


def _with_phone_hold(step: RoomStep, participant: Participant) -> Participant:
    """Return a participant that joins, with the hold of its phone."""
    joining = step.view.calls.get(participant.call)
    if joining is None:
        return participant
    return replace(participant, phone_held=joining.phone_held, holder_heard=joining.holder_heard)


def _refusal(others: list[Participant], room: Room, admission: Admission) -> tuple[int, str] | None:
    """Return why a call may not enter. Source: Twilio errors 13240, 16020, 16023, 16025, 16027, 16028."""
    if len(others) >= room.max_participants:
        return 16020, f"Conference {room.sid} is full ({room.max_participants} participants)"
    if admission.label and not is_label(admission.label):
        return 16023, f"Participant label {admission.label[:160]!r} is too long, contains '/' or looks like a call SID"
    if admission.label and any(participant.label == admission.label for participant in others):
        return 16025, f"Participant label {admission.label!r} is already used in this conference"
    if admission.coach is not None:
        if not is_sid(admission.coach, "CA"):
            return 13240, f"coach={admission.coach[:60]!r} is no call SID"
        coached = next((participant for participant in others if participant.call == admission.coach), None)
        if coached is None:
            return 16028, f"Participant to be coached {admission.coach} is not in the conference"
        if coached.held:
            return 16027, f"Participant to be coached {admission.coach} is on hold"
    return None


def _leave(step: RoomStep, participant: Participant, reason: str, *, kicked: bool) -> None:
    """Remove a participant: its scripts stop, applications are notified, and the room may end."""
    step.remove(participant.call)
    _stop_scripts(step, participant)
    if step.room.kind == "bridge":
        for other in step.room.participants:
            step.emit(RoomLeft(call=other.call, room=step.room.sid, reason="peer_left"))
            step.remove(other.call)
            _stop_scripts(step, other)
        step.set_status(RoomStatus.COMPLETED)
        return
    _send_leave_callback(step, participant, reason)
    verb = "kicked" if kicked else "left"
    if participant.end_on_exit and participant.status == "connected" and reason != "participant_add_failed":
        _end(step, f"participant-with-end-conference-on-exit-{verb}", participant, "moderator_ended_conference")
        return
    remove_listener(step, participant)
    _end_if_empty(step, participant, f"last-participant-{verb}")


def _send_leave_callback(step: RoomStep, participant: Participant, reason: str) -> None:
    """Send the event of a participant that left. Source: changelog 2023-10, reasons a participant left."""
    call = step.view.calls.get(participant.call)
    status = "in-progress" if call is None or call.live else call.status.value
    if participant.status != "connected":
        reason = "participant_add_failed"
        status = "canceled" if call is None or call.live else call.status.value
    step.send_callback(
        "participant-leave", participant, ("ParticipantCallStatus", status), ("ReasonParticipantLeft", reason)
    )


def _end_if_empty(step: RoomStep, participant: Participant | None, reason: str) -> None:
    if not step.room.participants and step.room.status is not RoomStatus.COMPLETED:
        _end(step, reason, participant, "")


def _end(step: RoomStep, reason: str, trigger: Participant | None, others_reason: str) -> None:
    """End the conference for all its participants."""
    for other in step.room.participants:
        _stop_scripts(step, other)
        step.emit(RoomLeft(call=other.call, room=step.room.sid, reason=others_reason))
        _send_leave_callback(step, other, others_reason)
    ending = None if trigger is None else trigger.call
    step.room = replace(step.room, participants=(), announcement=None, reason_ended=reason, call_ending=ending)
    step.set_status(RoomStatus.COMPLETED)
    step.emit(*(EndRecording(recording=participant.sid) for participant in step.view.recordings_of(step.room.sid)))
    more = [("ReasonConferenceEnded", reason), ("Reason", reason.replace("-", " "))]
    if trigger is not None:
        more.append(("CallSidEndingConference", trigger.call))
        if trigger.label:
            more.append(("ParticipantLabelEndingConference", trigger.label))
    step.send_callback("conference-end", None, *more)


def _stop_scripts(step: RoomStep, participant: Participant) -> None:
    """Stop the scripts that a participant had because of the room."""
    announced = participant.hears_announcement or participant.announcement is not None or participant.announced
    roles: tuple[tuple[Role, bool], ...] = (
        *(("wait", participant.hears_wait), ("hold", participant.held)),
        *(("announce", announced), ("comfort", participant.hears_comfort)),
    )
    step.emit(*(StopScript(call=participant.call, role=role) for role, runs in roles if runs))


def _settle(step: RoomStep) -> None:
    """Apply the consequences of the new values: the conference begins; wait and comfort music begin or end."""
    room = step.room
    inside = [participant for participant in room.participants if participant.status == "connected"]
    enough = len(inside) >= 2 and any(participant.start_on_enter for participant in inside)
    if room.kind == "conference" and room.status is RoomStatus.INIT and enough:
        step.set_status(RoomStatus.IN_PROGRESS)
        step.send_callback("conference-start")
        if (terms := room.record) is not None:
            recording = RecordingSid(derive("RE", room.sid))
            step.emit(BeginRecording(recording=recording, account=room.account, options=terms, room=room.sid))
    waiting, comfort = _wait_audible(step.room, len(inside)), Comfort(step.room)
    for participant in inside:
        waits = waiting and not participant.held and not participant.hears_announcement
        early = waits and is_early_heard(step.room, participant)
        waits = waits and not early
        if early != participant.hears_early:
            participant = replace(participant, hears_early=early)
            step.put(participant)
        if waits != participant.hears_wait:
            participant = replace(participant, hears_wait=waits)
            wait = StartScript(call=participant.call, role="wait", request=participant.wait)
            step.emit(wait if waits else StopScript(call=participant.call, role="wait"))
            step.put(participant)
        needed = comfort.is_needed(participant)
        if needed != participant.hears_comfort:
            music = StartScript(call=participant.call, role="comfort", request=None)
            step.emit(music if needed else StopScript(call=participant.call, role="comfort"))
            step.put(replace(participant, hears_comfort=needed))


def _wait_audible(room: Room, inside: int) -> bool:
    """Return whether the participants of a room hear the wait document now."""
    if room.kind != "conference":
        return False
    return room.status is RoomStatus.INIT or (twilio_assumptions.LAST_PARTICIPANT_HEARS_WAIT and inside == 1)
