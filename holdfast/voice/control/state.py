"""The engine's state holds every noun, and the rule by which one message and all it causes are one step.

It is the only mutable thing of `control`; the nouns in it are frozen. A message that raises changes nothing.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, assert_never, cast, get_args

from holdfast.voice.control import queue as queue_machine
from holdfast.voice.control import recording as recording_machine
from holdfast.voice.control.call import machine as calls_machine
from holdfast.voice.control.conference import machine as room_machine
from holdfast.voice.control.entities import Call, Queue, Recording, RecordingStatus, Room, RoomStatus
from holdfast.voice.control.read_only_state import Emitted, Message, Noun, Step, Transition
from holdfast.voice.control.statuses import CallMessage, RecordingMessage, TokenFact
from holdfast.voice.model.commands import (
    AnnounceToRoom,
    ChangeParticipant,
    ChangeQueue,
    ChangeRecording,
    CreateCall,
    CreateQueue,
    DeleteQueue,
    DeleteRecording,
    DequeueMember,
    EndRoom,
    ForgetCall,
    ForgetRecording,
    ReceiveCall,
    RemoveParticipant,
    ReserveParticipant,
)
from holdfast.voice.model.effects import Effect
from holdfast.voice.model.errors import NotFound, QueueNameTaken, RecordNotFinished
from holdfast.voice.model.facts import CaptureBegan, CaptureEnded, CaptureQuiet, LegSpeaks, QueueMissing, RoomRefused
from holdfast.voice.model.ids import AccountSid, CallSid, QueueSid, RecordingSid, RoomSid, call_of, is_sid
from holdfast.voice.model.internal_commands import (
    BeginRecording,
    Bridge,
    CallChild,
    DialQueue,
    EndRecording,
    EnterConference,
    JoinQueue,
    LeaveQueue,
    LeaveRoom,
    MeetDialler,
    NoteAnnounced,
    NoteAnnouncing,
    NoteParticipant,
    NotePhoneHold,
    RefuseEntry,
    StopDialQueue,
)
from holdfast.voice.twiml.runner import Runner

EFFECTS = get_args(Effect)
MAX_FINISHED = 10_000
"""How many finished calls and conferences stay in the state."""
ParticipantNote = LeaveRoom | RefuseEntry | NotePhoneHold | LegSpeaks | NoteParticipant | NoteAnnouncing | NoteAnnounced
"""What names a call and goes to the room in which it is."""


@dataclass(slots=True)
class EngineState:
    """The engine's state holds all calls, rooms, queues and recordings. Invariant: only `apply` changes it."""

    default_country: str = "US"
    """The country in which documents dial numbers without a plus; it is a setting, and is not stored."""
    calls: dict[CallSid, Call] = field(default_factory=dict)
    rooms: dict[RoomSid, Room] = field(default_factory=dict)
    queues: dict[QueueSid, Queue] = field(default_factory=dict)
    recordings: dict[RecordingSid, Recording] = field(default_factory=dict)
    runner: Runner = field(default_factory=Runner)
    _rooms_of: dict[CallSid, RoomSid] = field(default_factory=dict)
    _queues_of: dict[CallSid, QueueSid] = field(default_factory=dict)
    _active: dict[tuple[AccountSid, str], RoomSid] = field(default_factory=dict)
    _named: dict[tuple[AccountSid, str], QueueSid] = field(default_factory=dict)
    _recording: dict[RecordingSid, CallSid | RoomSid] = field(default_factory=dict)
    """The recordings that are being written, each with its call or room."""
    _finished: deque[CallSid | RoomSid] = field(default_factory=deque)
    _undo: dict[str, tuple[type, Noun | None]] = field(default_factory=dict)

    # --- read -----------------------------------------------------------------------------------------

    def room_of(self, call: CallSid) -> Room | None:
        """Return the room in which this call is a participant, or is listed as one."""
        sid = self._rooms_of.get(call)
        return None if sid is None else self.rooms.get(sid)

    def queue_of(self, call: CallSid) -> Queue | None:
        """Return the queue in which this call waits, as a member or as a dialler."""
        sid = self._queues_of.get(call)
        return None if sid is None else self.queues.get(sid)

    def recordings_of(self, owner: CallSid | RoomSid) -> tuple[Recording, ...]:
        """Return the recordings of a call or a conference that are being written."""
        return tuple(self.recordings[sid] for sid, of in self._recording.items() if of == owner)

    def conference(self, account: AccountSid, name: str) -> Room | None:
        """Return the active conference of this name."""
        sid = self._active.get((account, name))
        return None if sid is None else self.rooms.get(sid)

    def queue(self, account: AccountSid, name: str) -> Queue | None:
        """Return the queue of this name."""
        sid = self._named.get((account, name))
        return None if sid is None else self.queues.get(sid)

    # --- change ---------------------------------------------------------------------------------------

    def apply(self, message: Message, now: float) -> Step:
        """Handle a message and all that follows from it. Raises: AskedWrong, with nothing changed."""
        self._undo.clear()
        waiting: deque[Emitted] = deque([message])
        messages: list[Message] = []
        effects: list[Effect] = []
        try:
            while waiting:
                emitted = waiting.popleft()
                if isinstance(emitted, EFFECTS):
                    effects.append(cast(Effect, emitted))
                    continue
                handled = cast(Message, emitted)
                messages.append(handled)
                waiting.extend(self._dispatch(handled, now))
        except BaseException:
            self._roll_back()
            raise
        self._discard_old()
        nouns = tuple(noun for kind, sid in self._changed() if (noun := self._get(kind, sid)) is not None)
        before = {sid: old for sid, (_, old) in self._undo.items()}
        return Step(messages=tuple(messages), effects=tuple(effects), nouns=nouns, before=before)

    def restore(self, nouns: Iterable[Noun]) -> None:
        """Fill an empty state with stored nouns; of those that have ended the oldest will be discarded first."""
        for noun in nouns:
            self._put(noun)
        over = [self.calls.get(CallSid(sid)) or self.rooms[RoomSid(sid)] for sid in self._finished]
        self._finished = deque(noun.sid for noun in sorted(over, key=lambda noun: noun.updated_at))
        self._undo.clear()

    def _dispatch(self, message: Message, now: float) -> Iterable[Emitted]:
        """Give one message to the machine of its noun."""
        match message:
            case CreateCall():
                return self._accept(calls_machine.create(message, now, self, self.runner))
            case ReceiveCall():
                return self._accept(calls_machine.receive(message, now, self, self.runner))
            case CallChild(parent=parent):
                return self._accept(calls_machine.dial(message, self.calls[parent], now, self, self.runner))
            case ForgetCall(call=sid):
                return self._forget_call(sid)
            case Bridge(room=room_sid):
                room = self.rooms.get(room_sid) or room_machine.bridge(message, now)
                return self._accept(room_machine.handle(room, message, now, self))
            case EnterConference() | ReserveParticipant():
                return self._enter(message, now)
            case ChangeParticipant() | RemoveParticipant() | EndRoom() | AnnounceToRoom():
                return self._accept(room_machine.handle(self._room(message.room), message, now, self))
            case LeaveRoom() | RefuseEntry() | NotePhoneHold() | LegSpeaks() | NoteParticipant():
                return self._handle_in_room(message, now)
            case NoteAnnouncing() | NoteAnnounced():
                return self._handle_in_room(message, now)
            case CreateQueue(queue=queue_sid, account=account, name=name, max_size=max_size):
                self._require_free_name(account, name, queue_sid)
                return self._put(queue_machine.empty_queue(queue_sid, account, name, now, max_size))
            case ChangeQueue(queue=queue_sid) | DeleteQueue(queue=queue_sid) | DequeueMember(queue=queue_sid):
                queue = self.queues.get(queue_sid)
                if queue is None:
                    raise NotFound(f"Queue {queue_sid} was not found")
                if isinstance(message, ChangeQueue) and message.name is not None:
                    self._require_free_name(queue.account, message.name, queue_sid)
                return self._accept(queue_machine.handle(queue, message, now))
            case JoinQueue(account=account, name=name, new_queue=new_queue):
                queue = self.queue(account, name) or queue_machine.empty_queue(new_queue, account, name, now)
                return self._accept(queue_machine.handle(queue, message, now))
            case DialQueue(call=sid, account=account, name=name):
                named = self.queue(account, name)
                if named is None:
                    return (QueueMissing(call=sid),)
                return self._accept(queue_machine.handle(named, message, now))
            case BeginRecording():
                return self._accept(recording_machine.begin(message, now))
            case CaptureBegan() | CaptureQuiet() | CaptureEnded() | EndRecording():
                return self._handle_in_recording(message.recording, message, now)
            case ChangeRecording(recording=recording_sid) | DeleteRecording(recording=recording_sid):
                return self._handle_in_recording(self._require_recording(recording_sid).sid, message, now)
            case ForgetRecording(recording=recording_sid):
                return self._forget_recording(recording_sid)
            case LeaveQueue(call=sid) | StopDialQueue(call=sid) | MeetDialler(call=sid):
                where = self.queue_of(sid)
                return () if where is None else self._accept(queue_machine.handle(where, message, now))
            case _:
                return self._handle_in_call(message, now)

    def _handle_in_call(self, message: CallMessage, now: float) -> Iterable[Emitted]:
        sid = CallSid(call_of(message.token)) if isinstance(message, TokenFact) else message.call
        call = self.calls.get(sid)
        return () if call is None else self._accept(calls_machine.handle(call, message, now, self, self.runner))

    def _handle_in_recording(self, sid: RecordingSid, message: RecordingMessage, now: float) -> Iterable[Emitted]:
        recording = self.recordings.get(sid)
        return () if recording is None else self._accept(recording_machine.handle(recording, message, now))

    def _handle_in_room(self, message: ParticipantNote, now: float) -> Iterable[Emitted]:
        room = self.room_of(message.call)
        return () if room is None else self._accept(room_machine.handle(room, message, now, self))

    def _enter(self, message: EnterConference | ReserveParticipant, now: float) -> Iterable[Emitted]:
        """Find the active conference by name or by SID, or open a new one, and let the call in."""
        name = message.admission.name
        room = self.conference(message.account, name)
        if room is None and is_sid(name, "CF"):
            room = self.rooms.get(RoomSid(name))
            if room is None or room.status is RoomStatus.COMPLETED or room.account != message.account:
                return (RoomRefused(call=message.call, code=13236, message=f"conference {name} is not active"),)
        if room is None:
            room = room_machine.conference(message.new_room, message.account, message.admission, now)
        return self._accept(room_machine.handle(room, message, now, self))

    def _forget_call(self, sid: CallSid) -> Iterable[Emitted]:
        call = self.calls.get(sid)
        if call is None:
            raise NotFound(f"Call {sid} was not found")
        if call.live:
            raise RecordNotFinished(f"Call {sid} has not finished and cannot be deleted")
        self._remember(Call, sid, call)
        del self.calls[sid]
        return ()

    def _forget_recording(self, sid: RecordingSid) -> Iterable[Emitted]:
        recording = self._require_recording(sid)
        if recording.status is not RecordingStatus.DELETED:
            raise RecordNotFinished(f"Recording {sid} is {recording.status.value} and cannot be forgotten")
        self._remember(Recording, sid, recording)
        del self.recordings[sid]
        return ()

    def _require_recording(self, sid: RecordingSid) -> Recording:
        if sid not in self.recordings:
            raise NotFound(f"Recording {sid} was not found")
        return self.recordings[sid]

    def _room(self, sid: RoomSid) -> Room:
        room = self.rooms.get(sid)
        if room is None or room.kind != "conference":
            raise NotFound(f"Conference {sid} was not found")
        return room

    def _require_free_name(self, account: AccountSid, name: str, sid: QueueSid) -> None:
        if self._named.get((account, name), sid) != sid:
            raise QueueNameTaken(f"A queue named {name!r} exists already")

    # --- store ----------------------------------------------------------------------------------------

    def _accept(self, moved: Transition[Noun]) -> Iterable[Emitted]:
        """Put a noun as it is after a message. One that the message left as it was is not changed by the step."""
        if self._get(type(moved.noun), moved.noun.sid) is not moved.noun:
            self._put(moved.noun)
        return moved.emitted

    def _put(self, noun: Noun) -> Iterable[Emitted]:
        match noun:
            case Call():
                old = self.calls.get(noun.sid)
                self._remember(Call, noun.sid, old)
                self.calls[noun.sid] = noun
                if not noun.live and (old is None or old.live):
                    self._finished.append(noun.sid)
            case Room():
                self._put_room(noun)
            case Queue():
                self._put_queue(noun)
            case Recording():
                self._remember(Recording, noun.sid, self.recordings.get(noun.sid))
                self.recordings[noun.sid] = noun
                if noun.live:
                    self._recording[noun.sid] = noun.call or noun.room or CallSid("")
                else:
                    self._recording.pop(noun.sid, None)
            case _:
                assert_never(noun)
        return ()

    def _put_room(self, room: Room) -> None:
        old = self.rooms.get(room.sid)
        self._remember(Room, room.sid, old)
        inside = {participant.call for participant in room.participants}
        for call in () if old is None else {participant.call for participant in old.participants} - inside:
            self._rooms_of.pop(call, None)
        self._rooms_of.update(dict.fromkeys(inside, room.sid))
        over = room.status is RoomStatus.COMPLETED
        if room.kind == "bridge" and over:
            self.rooms.pop(room.sid, None)
            return
        self.rooms[room.sid] = room
        if room.kind != "conference":
            return
        if not over:
            self._active[room.account, room.name] = room.sid
        elif self._active.get((room.account, room.name)) == room.sid:
            del self._active[room.account, room.name]
        if over and (old is None or old.status is not RoomStatus.COMPLETED):
            self._finished.append(room.sid)

    def _put_queue(self, queue: Queue) -> None:
        old = self.queues.get(queue.sid)
        self._remember(Queue, queue.sid, old)
        if old is not None:
            self._named.pop((old.account, old.name), None)
            for sid in _waiting(old):
                self._queues_of.pop(sid, None)
        if queue.deleted:
            del self.queues[queue.sid]
            return
        self.queues[queue.sid] = queue
        self._named[queue.account, queue.name] = queue.sid
        for sid in _waiting(queue):
            self._queues_of[sid] = queue.sid

    def _remember(self, kind: type, sid: str, old: Noun | None) -> None:
        self._undo.setdefault(sid, (kind, old))

    def _changed(self) -> Iterable[tuple[type, str]]:
        return [(kind, sid) for sid, (kind, _) in self._undo.items()]

    def _get(self, kind: type, sid: str) -> Noun | None:
        places: dict[type, Mapping[Any, Noun]]
        places = {Call: self.calls, Room: self.rooms, Queue: self.queues, Recording: self.recordings}
        return places[kind].get(sid)

    def _roll_back(self) -> None:
        """Undo a step that raised; its scripts' generators are rebuilt from their state when needed."""
        before = dict(self._undo)
        # All are removed before any is put back: a call may have moved from one room to another.
        for sid, (kind, _) in before.items():
            self._erase(kind, sid)
        for _, old in before.values():
            if old is not None:
                self._put(old)
        self.runner.running.clear()
        self._undo.clear()

    def _erase(self, kind: type, sid: str) -> None:
        if kind is Call:
            self.calls.pop(CallSid(sid), None)
        elif kind is Room:
            room = self.rooms.pop(RoomSid(sid), None)
            for participant in () if room is None else room.participants:
                self._rooms_of.pop(participant.call, None)
            if room is not None and self._active.get((room.account, room.name)) == room.sid:
                del self._active[room.account, room.name]
        elif kind is Recording:
            self.recordings.pop(RecordingSid(sid), None)
            self._recording.pop(RecordingSid(sid), None)
        else:
            queue = self.queues.pop(QueueSid(sid), None)
            if queue is not None:
                self._named.pop((queue.account, queue.name), None)
                for call in _waiting(queue):
                    self._queues_of.pop(call, None)

    def _discard_old(self) -> None:
        """Discard the oldest finished nouns, so that the state, and the store with it, does not grow without end."""
        while len(self._finished) > MAX_FINISHED:
            sid = self._finished.popleft()
            kind = Call if sid in self.calls else Room
            self._remember(kind, sid, self._get(kind, sid))
            self._erase(kind, sid)


def _waiting(queue: Queue) -> list[CallSid]:
    """Return every call that waits at a queue, on either side."""
    meeting = [call for each in queue.introductions for call in (each.member.call, each.dialler.call)]
    return [*(member.call for member in queue.members), *(dialler.call for dialler in queue.diallers), *meeting]
