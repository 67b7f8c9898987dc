"""The room machine: who is in a conference or a bridge, and what becomes of them.

Sound follows from the state after each step (`audio`); this module only changes values and tells calls and callbacks.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Literal, NamedTuple, assert_never

from holdfast.voice.control.conference.announcements import (
    announce,
    begin_to_hear,
    end_hearing,
    leave_announcement,
)
from holdfast.voice.control.conference.audio import (
    beeps,
    changed,
    heard_again,
    listened_to,
    listening,
    needs_comfort,
    voices_of,
)
from holdfast.voice.control.conference.participant import change
from holdfast.voice.control.conference.step import RoomStep
from holdfast.voice.control.entities import Participant, Room, RoomStatus
from holdfast.voice.control.read_only_state import ReadOnlyState, Saying
from holdfast.voice.model import twilio_assumptions
from holdfast.voice.model.commands import (
    Admission,
    AnnounceToRoom,
    ChangeParticipant,
    EndCall,
    EndRoom,
    RemoveParticipant,
    ReserveSeat,
    Role,
)
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
    NoteVoices,
    RefuseEntry,
    StartScript,
    StopScript,
)


class RoomTransition(NamedTuple):
    """A room after a step, and what the step said."""

    room: Room
    said: tuple[Saying, ...]


def bridge(command: Bridge, now: float) -> Room:
    """An empty bridge of two legs."""
    return Room(sid=command.room, account=command.account, kind="bridge", name="", created_at=now, updated_at=now)


def conference(sid: RoomSid, account: AccountSid, admission: Admission, now: float) -> Room:
    """An empty conference; what its first participant asks for holds for all. Source: TwiML <Conference>."""
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


RoomMessage = (
    Bridge
    | EnterConference
    | ReserveSeat
    | LeaveRoom
    | RefuseEntry
    | RemoveParticipant
    | ChangeParticipant
    | EndRoom
    | AnnounceToRoom
    | NoteAnnouncing
    | NoteAnnounced
    | NotePhoneHold
    | NoteParticipant
    | LegSpeaks
)


def step(room: Room, message: RoomMessage, now: float, view: ReadOnlyState) -> RoomTransition:
    """What a message does to a room. Raises: the errors that ChangeParticipant and its like name."""
    stage = RoomStep(room=room, now=now, view=view)
    match message:
        case Bridge(call=call):
            held = (joining := view.calls.get(call)) is not None and joining.phone_held
            _add(stage, Participant(call=call, joined_at=now, updated_at=now, phone_held=held))
        case EnterConference(call=call, admission=admission):
            _enter(stage, call, admission)
        case ReserveSeat(call=call, admission=admission):
            _add(stage, _participant(call, admission, now, "queued"))
        case LeaveRoom(call=call, cause=cause):
            reason = "participant_hung_up" if cause in ("hangup", "done") else "participant_updated_via_api"
            _leave(stage, stage.one(call), reason, kicked=False)
        case RefuseEntry(call=call, code=code, message=text):
            stage.say(RoomRefused(call=call, code=code, message=text))
            _leave(stage, stage.one(call), "participant_add_failed", kicked=False)
        case RemoveParticipant(call=call):
            _leave(stage, _must_have(room, call), "participant_updated_via_api", kicked=True)
            gone_on: Saying = RoomLeft(call=call, room=room.sid, reason="kicked")
            stage.say(gone_on if twilio_assumptions.KICKED_GOES_ON else EndCall(call=call))
        case ChangeParticipant(call=call):
            changed_to, said = change(_must_have(room, call), message, room, now)
            stage.put(changed_to)
            if message.announce is not None:
                leave_announcement(stage, call)
            for saying in said:
                if isinstance(saying, str):
                    stage.tell(saying, changed_to)
                else:
                    stage.say(saying)
        case EndRoom():
            if room.status is not RoomStatus.COMPLETED:
                _end(stage, "conference-ended-via-api", None, "conference_ended_via_api")
        case AnnounceToRoom(request=request):
            if room.status is RoomStatus.COMPLETED:
                raise ConferenceNotActive(f"Conference {room.sid} is completed")
            announce(stage, request)
        case NoteAnnouncing(call=call, instruction=instruction):
            begin_to_hear(stage, call, instruction)
        case NoteAnnounced():
            end_hearing(stage, message)
        case NotePhoneHold(call=call, held=held):
            stage.put(replace(stage.one(call), phone_held=held))
        case NoteParticipant(call=call, status=status):
            stage.put(replace(stage.one(call), status=status, updated_at=now))
        case LegSpeaks(call=call, speaks=speaks):
            if call in listened_to(room):
                _turn(stage, stage.one(call), speaks)
        case _:
            assert_never(message)
    _settle(stage)
    for one in stage.room.participants:
        if one.speaks and one.call not in listened_to(stage.room):
            _turn(stage, one, False)
    after = stage.room
    sound: list[Saying] = [*heard_again(room, after), *changed(room, after), *beeps(room, after)]
    sound += listening(room, after)
    if view.recordings_of(room.sid) and (voices := voices_of(after)) != voices_of(room):
        # Before anything is said that ends the recording: until that is carried out it has no more of anybody.
        sound.append(NoteVoices(room=room.sid, voices=voices))
    return RoomTransition(after, (*sound, *stage.said))


def _turn(stage: RoomStep, one: Participant, speaks: bool) -> None:
    """A participant began to speak, or stopped."""
    if one.speaks != speaks:
        stage.put(replace(one, speaks=speaks))
        stage.tell("participant-speech-start" if speaks else "participant-speech-stop", one)


def _must_have(room: Room, call: CallSid) -> Participant:
    one = room.participant(call)
    if one is None or room.status is RoomStatus.COMPLETED:
        raise NotFound(f"Participant {call} was not found in conference {room.sid}")
    return one


def _participant(
    call: CallSid, admission: Admission, now: float, status: Literal["queued", "connected"]
) -> Participant:
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
    )


def _add(stage: RoomStep, one: Participant) -> None:
    stage.room = replace(stage.room, participants=(*stage.room.participants, one), updated_at=stage.now)
    if one.status == "connected":
        stage.say(RoomEntered(call=one.call, room=stage.room.sid))
        stage.tell("participant-join", one)


def _enter(stage: RoomStep, call: CallSid, admission: Admission) -> None:
    """Let a call in, unless the conference is full or what it asks for cannot be."""
    seat = stage.room.participant(call)
    others = [one for one in stage.room.participants if one.call != call]
    stage.remove(call)
    refusal = _refusal(others, stage.room, admission)
    if refusal is not None:
        stage.say(RoomRefused(call=call, code=refusal[0], message=refusal[1]))
        _end_if_empty(stage, None, "last-participant-left")
        return
    joining = stage.view.calls.get(call)
    # What was asked by REST while the phone rang stays.
    one = _participant(call, admission, stage.now, "connected") if seat is None else replace(seat, status="connected")
    _add(stage, replace(one, updated_at=stage.now, phone_held=joining is not None and joining.phone_held))
    if one.held:
        stage.say(StartScript(call=call, role="hold", request=one.hold))


def _refusal(others: list[Participant], room: Room, admission: Admission) -> tuple[int, str] | None:
    """Why a call may not enter. Source: Twilio errors 13240, 16020, 16023, 16025, 16027, 16028."""
    if len(others) >= room.max_participants:
        return 16020, f"Conference {room.sid} is full ({room.max_participants} participants)"
    if admission.label and not is_label(admission.label):
        return 16023, f"Participant label {admission.label[:160]!r} is too long, holds a '/' or looks like a call SID"
    if admission.label and any(one.label == admission.label for one in others):
        return 16025, f"Participant label {admission.label!r} is already used in this conference"
    if admission.coach is not None:
        if not is_sid(admission.coach, "CA"):
            return 13240, f"coach={admission.coach[:60]!r} is no call SID"
        coached = next((one for one in others if one.call == admission.coach), None)
        if coached is None:
            return 16028, f"Participant to be coached {admission.coach} is not in the conference"
        if coached.held:
            return 16027, f"Participant to be coached {admission.coach} is on hold"
    return None


def _leave(stage: RoomStep, one: Participant, reason: str, *, kicked: bool) -> None:
    """A participant is out: its sounds stop, others hear of it, and the room may end with it."""
    stage.remove(one.call)
    _silence(stage, one)
    if stage.room.kind == "bridge":
        for other in stage.room.participants:
            stage.say(RoomLeft(call=other.call, room=stage.room.sid, reason="peer_left"))
            stage.remove(other.call)
            _silence(stage, other)
        stage.move(RoomStatus.COMPLETED)
        return
    _tell_leave(stage, one, reason)
    verb = "kicked" if kicked else "left"
    if one.end_on_exit and one.status == "connected" and reason != "participant_add_failed":
        _end(stage, f"participant-with-end-conference-on-exit-{verb}", one, "moderator_ended_conference")
        return
    leave_announcement(stage, one.call)
    _end_if_empty(stage, one, f"last-participant-{verb}")


def _tell_leave(stage: RoomStep, one: Participant, reason: str) -> None:
    """Source: changelog 2023-10, reasons a participant left."""
    call = stage.view.calls.get(one.call)
    status = "in-progress" if call is None or call.live else call.status.value
    if one.status != "connected":
        reason = "participant_add_failed"
        status = "canceled" if call is None or call.live else call.status.value
    stage.tell("participant-leave", one, ("ParticipantCallStatus", status), ("ReasonParticipantLeft", reason))


def _end_if_empty(stage: RoomStep, one: Participant | None, reason: str) -> None:
    if not stage.room.participants and stage.room.status is not RoomStatus.COMPLETED:
        _end(stage, reason, one, "")


def _end(stage: RoomStep, reason: str, trigger: Participant | None, others_reason: str) -> None:
    """The conference is over for everybody in it."""
    for other in stage.room.participants:
        _silence(stage, other)
        stage.say(RoomLeft(call=other.call, room=stage.room.sid, reason=others_reason))
        _tell_leave(stage, other, others_reason)
    ending = None if trigger is None else trigger.call
    stage.room = replace(stage.room, participants=(), announcement=None, reason_ended=reason, call_ending=ending)
    stage.move(RoomStatus.COMPLETED)
    stage.say(*(EndRecording(recording=one.sid) for one in stage.view.recordings_of(stage.room.sid)))
    more = [("ReasonConferenceEnded", reason), ("Reason", reason.replace("-", " "))]
    if trigger is not None:
        more.append(("CallSidEndingConference", trigger.call))
        if trigger.label:
            more.append(("ParticipantLabelEndingConference", trigger.label))
    stage.tell("conference-end", None, *more)


def _silence(stage: RoomStep, one: Participant) -> None:
    """Stop what was played to a participant because of the room."""
    whole = stage.room.announcement
    announced = one.announcing or one.announcement is not None or (whole is not None and one.call in whole.ears)
    roles: tuple[tuple[Role, bool], ...] = (
        *(("wait", one.waiting), ("hold", one.held)),
        *(("announce", announced), ("comfort", one.comforted)),
    )
    stage.say(*(StopScript(call=one.call, role=role) for role, runs in roles if runs))


def _settle(stage: RoomStep) -> None:
    """Draw the consequences of the new values: the conference begins; waits and comforts begin or end."""
    room = stage.room
    inside = [one for one in room.participants if one.status == "connected"]
    enough = len(inside) >= 2 and any(one.start_on_enter for one in inside)
    if room.kind == "conference" and room.status is RoomStatus.INIT and enough:
        stage.move(RoomStatus.IN_PROGRESS)
        stage.tell("conference-start")
        if (terms := room.record) is not None:
            recording = RecordingSid(derive("RE", room.sid))
            stage.say(BeginRecording(recording=recording, account=room.account, terms=terms, room=room.sid))
    for one in inside:
        waits = _hears_wait(stage.room, len(inside)) and not one.held and not one.announcing
        if waits != one.waiting:
            one = replace(one, waiting=waits)
            wait = StartScript(call=one.call, role="wait", request=one.wait)
            stage.say(wait if waits else StopScript(call=one.call, role="wait"))
            stage.put(one)
        begun = room.kind == "bridge" or stage.room.status is RoomStatus.IN_PROGRESS
        comforted = begun and needs_comfort(stage.room, one)
        if comforted != one.comforted:
            comfort = StartScript(call=one.call, role="comfort", request=None)
            stage.say(comfort if comforted else StopScript(call=one.call, role="comfort"))
            stage.put(replace(one, comforted=comforted))


def _hears_wait(room: Room, inside: int) -> bool:
    """Whether the wait document is what sounds in a room at this moment."""
    if room.kind != "conference":
        return False
    return room.status is RoomStatus.INIT or (twilio_assumptions.LAST_PARTICIPANT_HEARS_WAIT and inside == 1)
