"""The room machine: who is in a conference or a bridge, and what becomes of them.

Sound follows from the state after each step (`audio`); this module only changes values and tells calls and callbacks.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Literal, NamedTuple

from holdfast.voice.control.audio import changed, needs_comfort
from holdfast.voice.control.events import event
from holdfast.voice.control.nouns import ROOM_TRANSITIONS, Participant, Room, RoomStatus
from holdfast.voice.control.participant import change
from holdfast.voice.control.view import Message, Saying, View
from holdfast.voice.model.commands import (
    Admission,
    AnnounceToRoom,
    ChangeParticipant,
    EndRoom,
    RemoveParticipant,
    ReserveSeat,
)
from holdfast.voice.model.errors import ConferenceNotActive, NotFound
from holdfast.voice.model.facts import RoomEntered, RoomLeft, RoomRefused
from holdfast.voice.model.ids import AccountSid, CallSid, RoomSid
from holdfast.voice.model.orders import (
    Bridge,
    EnterConference,
    LeaveRoom,
    NoteAnnounced,
    NoteParticipant,
    NotePhoneHold,
    RefuseEntry,
    StartScript,
    StopScript,
)

Kicked = Literal["last-participant-kicked", "participant-with-end-conference-on-exit-kicked"]


class Moved(NamedTuple):
    """A room after a step, and what the step said."""

    room: Room
    said: tuple[Saying, ...]


@dataclass(slots=True, kw_only=True)
class Stage:
    """One room's step in progress."""

    room: Room
    now: float
    view: View
    said: list[Saying] = field(default_factory=list)

    def say(self, *sayings: Saying) -> None:
        """Add to what is to happen."""
        self.said += sayings

    def tell(self, name: str, about: Participant | None = None, *more: tuple[str, str]) -> None:
        """Send the conference's status callback of an event."""
        self.room, callbacks = event(self.room, name, self.now, about, *more)
        self.say(*callbacks)

    def put(self, one: Participant) -> None:
        """A participant's new values, in its old place."""
        members = tuple(one if member.call == one.call else member for member in self.room.participants)
        self.room = replace(self.room, participants=members, updated_at=self.now)

    def move(self, status: RoomStatus) -> None:
        """Take the room to another status. Invariant: only along the table."""
        assert status in ROOM_TRANSITIONS[self.room.status], f"{self.room.status} -> {status}"
        self.room = replace(self.room, status=status, updated_at=self.now)


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
    )


def step(room: Room, message: Message, now: float, view: View) -> Moved:
    """What a message does to a room. Raises: the errors that ChangeParticipant and its like name."""
    stage = Stage(room=room, now=now, view=view)
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
            _leave(stage, call, reason, kicked=False)
        case RefuseEntry(call=call, code=code, message=text):
            _remove(stage, call)
            stage.say(RoomRefused(call=call, code=code, message=text))
            _end_if_empty(stage, call, "last-participant-left")
        case RemoveParticipant(call=call):
            _must_have(room, call)
            _leave(stage, call, "participant_updated_via_api", kicked=True)
            stage.say(RoomLeft(call=call, room=room.sid, reason="kicked"))
        case ChangeParticipant(call=call):
            changed_to, said = change(_must_have(room, call), message, room, now)
            stage.put(changed_to)
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
            for one in room.participants:
                if one.status == "connected" and not one.held:
                    stage.put(replace(one, announcing=True))
                    stage.say(StartScript(call=one.call, role="announce", request=request))
        case NoteAnnounced(call=call, code=code):
            if (one_ := stage.room.participant(call)) is not None:
                stage.put(replace(one_, announcing=False))
                stage.tell("announcement-fail" if code else "announcement-end", one_)
                if one_.held:
                    stage.say(StartScript(call=call, role="hold", request=one_.hold))
        case NotePhoneHold(call=call, held=held):
            if (one_ := stage.room.participant(call)) is not None:
                stage.put(replace(one_, phone_held=held))
        case NoteParticipant(call=call, status=status):
            if (one_ := stage.room.participant(call)) is not None:
                stage.put(replace(one_, status=status, updated_at=now))
        case _:
            pass
    _settle(stage)
    return Moved(stage.room, (*changed(room, stage.room), *stage.said))


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


def _add(stage: Stage, one: Participant) -> None:
    stage.room = replace(stage.room, participants=(*stage.room.participants, one), updated_at=stage.now)
    if one.status == "connected":
        stage.say(RoomEntered(call=one.call, room=stage.room.sid))
        stage.tell("participant-join", one)


def _enter(stage: Stage, call: CallSid, admission: Admission) -> None:
    """Let a call in, unless the conference is full or what it asks for cannot be."""
    seat = stage.room.participant(call)
    others = [one for one in stage.room.participants if one.call != call]
    refusal = _refusal(others, stage.room, admission)
    if refusal is not None:
        _remove(stage, call)
        stage.say(RoomRefused(call=call, code=refusal[0], message=refusal[1]))
        _end_if_empty(stage, call, "last-participant-left")
        return
    joining = stage.view.calls.get(call)
    one = _participant(call, admission, stage.now, "connected")
    one = replace(one, phone_held=joining is not None and joining.phone_held)
    if seat is not None:
        # What was asked by REST while the phone rang stays.
        one = replace(one, muted=seat.muted, held=seat.held, hold=seat.hold, joined_at=seat.joined_at)
        _remove(stage, call)
    _add(stage, one)
    if one.held:
        stage.say(StartScript(call=call, role="hold", request=one.hold))


def _refusal(others: list[Participant], room: Room, admission: Admission) -> tuple[int, str] | None:
    """Why a call may not enter. Source: Twilio errors 16020, 16025, 16027, 16028."""
    if len(others) >= room.max_participants:
        return 16020, f"Conference {room.sid} is full ({room.max_participants} participants)"
    if admission.label and any(one.label == admission.label for one in others):
        return 16025, f"Participant label {admission.label!r} is already used in this conference"
    if admission.coach is not None:
        coached = next((one for one in others if one.call == admission.coach), None)
        if coached is None:
            return 16028, f"Participant to be coached {admission.coach} is not in the conference"
        if coached.held:
            return 16027, f"Participant to be coached {admission.coach} is on hold"
    return None


def _remove(stage: Stage, call: CallSid) -> None:
    members = tuple(one for one in stage.room.participants if one.call != call)
    stage.room = replace(stage.room, participants=members, updated_at=stage.now)


def _leave(stage: Stage, call: CallSid, reason: str, *, kicked: bool) -> None:
    """A participant is out: its sounds stop, others hear of it, and the room may end with it."""
    one = stage.room.participant(call)
    if one is None:
        return
    _remove(stage, call)
    _silence(stage, one)
    if stage.room.kind == "bridge":
        for other in stage.room.participants:
            stage.say(RoomLeft(call=other.call, room=stage.room.sid, reason="peer_left"))
            _remove(stage, other.call)
            _silence(stage, other)
        stage.move(RoomStatus.COMPLETED)
        return
    status = "in-progress" if reason == "participant_updated_via_api" else "completed"
    if one.status != "connected":
        reason, status = "participant_add_failed", "failed"
    stage.tell("participant-leave", one, ("ParticipantCallStatus", status), ("ReasonParticipantLeft", reason))
    verb = "kicked" if kicked else "left"
    if one.end_on_exit and one.status == "connected":
        _end(stage, f"participant-with-end-conference-on-exit-{verb}", one, "moderator_ended_conference")
    else:
        _end_if_empty(stage, call, f"last-participant-{verb}", one)


def _end_if_empty(stage: Stage, call: CallSid, reason: str, one: Participant | None = None) -> None:
    del call
    if not stage.room.participants and stage.room.status is not RoomStatus.COMPLETED:
        _end(stage, reason, one, "")


def _end(stage: Stage, reason: str, trigger: Participant | None, others_reason: str) -> None:
    """The conference is over for everybody in it."""
    for other in stage.room.participants:
        _silence(stage, other)
        stage.say(RoomLeft(call=other.call, room=stage.room.sid, reason=others_reason))
        left = (("ParticipantCallStatus", "in-progress"), ("ReasonParticipantLeft", others_reason))
        stage.tell("participant-leave", other, *left)
    ending = None if trigger is None else trigger.call
    stage.room = replace(stage.room, participants=(), reason_ended=reason, call_ending=ending)
    stage.move(RoomStatus.COMPLETED)
    more = [("ReasonConferenceEnded", reason), ("Reason", reason.replace("-", " "))]
    if trigger is not None:
        more.append(("CallSidEndingConference", trigger.call))
        if trigger.label:
            more.append(("ParticipantLabelEndingConference", trigger.label))
    stage.tell("conference-end", None, *more)


def _silence(stage: Stage, one: Participant) -> None:
    """Stop what was played to a participant because of the room."""
    roles = (("wait", one.waiting), ("hold", one.held), ("announce", one.announcing), ("comfort", one.comforted))
    stage.say(*(StopScript(call=one.call, role=role) for role, runs in roles if runs))  # type: ignore[arg-type]


def _settle(stage: Stage) -> None:
    """Draw the consequences of the new values: the conference begins; waits and comforts begin or end."""
    room = stage.room
    inside = [one for one in room.participants if one.status == "connected"]
    enough = len(inside) >= 2 and any(one.start_on_enter for one in inside)
    if room.kind == "conference" and room.status is RoomStatus.INIT and enough:
        stage.move(RoomStatus.IN_PROGRESS)
        stage.tell("conference-start")
    for one in inside:
        waits = room.kind == "conference" and stage.room.status is RoomStatus.INIT and not one.held
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
