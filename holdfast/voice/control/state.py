"""The board: every noun, and the rule by which one message and all it causes are one step.

The board is the one mutable thing of `control`; the nouns on it are frozen. A message that raises changes nothing.

Length: one step drains one message and all commands it causes; its dispatch stays in one place.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import cast, get_args

from holdfast.voice.control import queue as queue_machine
from holdfast.voice.control import recording as recording_machine
from holdfast.voice.control.call import machine as calls_machine
from holdfast.voice.control.conference import machine as room_machine
from holdfast.voice.control.entities import (
    Call,
    Queue,
    Recording,
    RecordingStatus,
    Room,
    RoomStatus,
)
from holdfast.voice.control.read_only_state import Message, Saying
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
    ReserveSeat,
)
from holdfast.voice.model.effects import Effect
from holdfast.voice.model.errors import NotFound, QueueNameTaken, RecordNotFinished
from holdfast.voice.model.facts import CaptureBegan, CaptureEnded, CaptureQuiet, LegSpeaks, QueueMissing, RoomRefused
from holdfast.voice.model.ids import AccountSid, CallSid, QueueSid, RecordingSid, RoomSid, is_sid, owner
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
    NoteVoices,
    RefuseEntry,
    StopDialQueue,
)
from holdfast.voice.twiml.runner import Runner

EFFECTS = get_args(Effect)
KEPT = 10_000
"""How many finished calls, conferences and bridges stay on the board."""
Noun = Call | Room | Queue | Recording


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """What one message did: every message of the drain in order, the effects in order, the nouns that changed."""

    messages: tuple[Message, ...]
    effects: tuple[Effect, ...]
    nouns: tuple[Noun, ...]


@dataclass(slots=True)
class EngineState:
    """All calls, rooms, queues and recordings. Invariant: only `apply` changes it."""

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
    """The recordings that are being made, and of what."""
    _finished: deque[CallSid | RoomSid] = field(default_factory=deque)
    _undo: dict[str, tuple[type, Noun | None]] = field(default_factory=dict)

    # --- read -----------------------------------------------------------------------------------------

    def room_of(self, call: CallSid) -> Room | None:
        """The room this call is in, or has a seat in."""
        sid = self._rooms_of.get(call)
        return None if sid is None else self.rooms.get(sid)

    def queue_of(self, call: CallSid) -> Queue | None:
        """The queue this call waits in, as a member or as a dialler."""
        sid = self._queues_of.get(call)
        return None if sid is None else self.queues.get(sid)

    def recordings_of(self, owner: CallSid | RoomSid) -> tuple[Recording, ...]:
        """The recordings of a call or a conference that are being made."""
        return tuple(self.recordings[sid] for sid, of in self._recording.items() if of == owner)

    def conference(self, account: AccountSid, name: str) -> Room | None:
        """The active conference of that name."""
        sid = self._active.get((account, name))
        return None if sid is None else self.rooms.get(sid)

    def queue(self, account: AccountSid, name: str) -> Queue | None:
        """The queue of that name."""
        sid = self._named.get((account, name))
        return None if sid is None else self.queues.get(sid)

    # --- change ---------------------------------------------------------------------------------------

    def apply(self, message: Message, now: float) -> Step:
        """Do what a message says, and all that follows from it. Raises: AskedWrong, with nothing changed."""
        self._undo.clear()
        waiting: deque[Saying] = deque([message])
        messages: list[Message] = []
        effects: list[Effect] = []
        try:
            while waiting:
                saying = waiting.popleft()
                if isinstance(saying, EFFECTS):
                    effects.append(cast(Effect, saying))
                    continue
                heard = cast(Message, saying)
                messages.append(heard)
                waiting.extend(self._one(heard, now))
        except BaseException:
            self._take_back()
            raise
        nouns = tuple(noun for kind, sid in self._touched() if (noun := self._get(kind, sid)) is not None)
        self._forget_old()
        return Step(messages=tuple(messages), effects=tuple(effects), nouns=nouns)

    def restore(self, nouns: Iterable[Noun]) -> None:
        """Put nouns on an empty board, as they were written down; of those that are over the oldest will go first."""
        for noun in nouns:
            self._put(noun)
        over = [self.calls.get(CallSid(sid)) or self.rooms[RoomSid(sid)] for sid in self._finished]
        self._finished = deque(noun.sid for noun in sorted(over, key=lambda noun: noun.updated_at))
        self._undo.clear()

    def _one(self, message: Message, now: float) -> Iterable[Saying]:
        """Give one message to the noun it is for."""
        match message:
            case CreateCall():
                return self._moved(calls_machine.create(message, now, self, self.runner))
            case ReceiveCall():
                return self._moved(calls_machine.receive(message, now, self, self.runner))
            case CallChild(parent=parent):
                return self._moved(calls_machine.dial(message, self.calls[parent], now, self, self.runner))
            case ForgetCall(call=sid):
                return self._forget_call(sid)
            case Bridge(room=room_sid):
                room = self.rooms.get(room_sid) or room_machine.bridge(message, now)
                return self._moved(room_machine.step(room, message, now, self))
            case EnterConference() | ReserveSeat():
                return self._enter(message, now)
            case ChangeParticipant(room=room_sid) | RemoveParticipant(room=room_sid):
                return self._moved(room_machine.step(self._room(room_sid), message, now, self))
            case EndRoom(room=room_sid) | AnnounceToRoom(room=room_sid):
                return self._moved(room_machine.step(self._room(room_sid), message, now, self))
            case LeaveRoom(call=sid) | RefuseEntry(call=sid) | NotePhoneHold(call=sid) | LegSpeaks(call=sid):
                return self._in_room(sid, message, now)
            case NoteAnnouncing(call=sid) | NoteAnnounced(call=sid) | NoteParticipant(call=sid):
                return self._in_room(sid, message, now)
            case CreateQueue(queue=queue_sid, account=account, name=name, max_size=max_size):
                self._name_must_be_free(account, name, queue_sid)
                return self._put(queue_machine.empty(queue_sid, account, name, now, max_size))
            case ChangeQueue(queue=queue_sid) | DeleteQueue(queue=queue_sid) | DequeueMember(queue=queue_sid):
                queue = self.queues.get(queue_sid)
                if queue is None:
                    raise NotFound(f"Queue {queue_sid} was not found")
                if isinstance(message, ChangeQueue) and message.name is not None:
                    self._name_must_be_free(queue.account, message.name, queue_sid)
                return self._moved(queue_machine.step(queue, message, now))
            case JoinQueue(account=account, name=name, new_queue=new_queue):
                queue = self.queue(account, name) or queue_machine.empty(new_queue, account, name, now)
                return self._moved(queue_machine.step(queue, message, now))
            case DialQueue(call=sid, account=account, name=name):
                named = self.queue(account, name)
                if named is None:
                    return (QueueMissing(call=sid),)
                return self._moved(queue_machine.step(named, message, now))
            case BeginRecording():
                return self._moved(recording_machine.begin(message, now, self))
            case CaptureBegan(recording=tape) | CaptureQuiet(recording=tape) | CaptureEnded(recording=tape):
                return self._to_recording(tape, message, now)
            case EndRecording(recording=tape):
                return self._to_recording(tape, message, now)
            case ChangeRecording(recording=tape) | DeleteRecording(recording=tape):
                if tape not in self.recordings:
                    raise NotFound(f"Recording {tape} was not found")
                return self._to_recording(tape, message, now)
            case ForgetRecording(recording=tape):
                return self._forget_recording(tape)
            case NoteVoices(room=room_sid):
                steps = [self._to_recording(one.sid, message, now) for one in self.recordings_of(room_sid)]
                return [saying for said in steps for saying in said]
            case LeaveQueue(call=sid) | StopDialQueue(call=sid) | MeetDialler(call=sid):
                where = self.queue_of(sid)
                return () if where is None else self._moved(queue_machine.step(where, message, now))
            case _:
                return self._to_call(message, now)

    def _to_call(self, message: Message, now: float) -> Iterable[Saying]:
        # Whatever is left over is about a call, and names it or a token of its.
        sid = message.call if hasattr(message, "call") else owner(message.token)  # type: ignore[union-attr]  # as above
        call = self.calls.get(cast(CallSid, sid))
        if call is None:
            return ()
        return self._moved(calls_machine.step(call, message, now, self, self.runner))

    def _to_recording(self, sid: RecordingSid, message: Message, now: float) -> Iterable[Saying]:
        one = self.recordings.get(sid)
        return () if one is None else self._moved(recording_machine.step(one, message, now))

    def _in_room(self, sid: CallSid, message: room_machine.RoomMessage, now: float) -> Iterable[Saying]:
        room = self.room_of(sid)
        return () if room is None else self._moved(room_machine.step(room, message, now, self))

    def _enter(self, message: EnterConference | ReserveSeat, now: float) -> Iterable[Saying]:
        """Find the active conference by name, or by SID, or open a new one."""
        name = message.admission.name
        room = self.conference(message.account, name)
        if room is None and is_sid(name, "CF"):
            room = self.rooms.get(RoomSid(name))
            if room is None or room.status is RoomStatus.COMPLETED or room.account != message.account:
                return (RoomRefused(call=message.call, code=13236, message=f"conference {name} is not active"),)
        if room is None:
            room = room_machine.conference(message.new_room, message.account, message.admission, now)
        return self._moved(room_machine.step(room, message, now, self))

    def _forget_call(self, sid: CallSid) -> Iterable[Saying]:
        call = self.calls.get(sid)
        if call is None:
            raise NotFound(f"Call {sid} was not found")
        if call.live:
            raise RecordNotFinished(f"Call {sid} has not finished and cannot be deleted")
        self._note(Call, sid, call)
        del self.calls[sid]
        return ()

    def _forget_recording(self, sid: RecordingSid) -> Iterable[Saying]:
        one = self.recordings.get(sid)
        if one is None:
            raise NotFound(f"Recording {sid} was not found")
        if one.status is not RecordingStatus.DELETED:
            raise RecordNotFinished(f"Recording {sid} is {one.status.value} and cannot be forgotten")
        self._note(Recording, sid, one)
        del self.recordings[sid]
        return ()

    def _room(self, sid: RoomSid) -> Room:
        room = self.rooms.get(sid)
        if room is None or room.kind != "conference":
            raise NotFound(f"Conference {sid} was not found")
        return room

    def _name_must_be_free(self, account: AccountSid, name: str, sid: QueueSid) -> None:
        if self._named.get((account, name), sid) != sid:
            raise QueueNameTaken(f"A queue named {name!r} exists already")

    # --- keep -----------------------------------------------------------------------------------------

    def _moved(
        self,
        moved: calls_machine.CallTransition
        | room_machine.RoomTransition
        | queue_machine.QueueTransition
        | recording_machine.RecordingTransition,
    ) -> Iterable[Saying]:
        self._put(moved[0])
        return moved.said

    def _put(self, noun: Noun) -> Iterable[Saying]:
        match noun:
            case Call():
                old = self.calls.get(noun.sid)
                self._note(Call, noun.sid, old)
                self.calls[noun.sid] = noun
                if not noun.live and (old is None or old.live):
                    self._finished.append(noun.sid)
            case Room():
                self._put_room(noun)
            case Queue():
                self._put_queue(noun)
            case _:
                self._note(Recording, noun.sid, self.recordings.get(noun.sid))
                self.recordings[noun.sid] = noun
                if noun.live:
                    self._recording[noun.sid] = noun.call or noun.room or CallSid("")
                else:
                    self._recording.pop(noun.sid, None)
        return ()

    def _put_room(self, room: Room) -> None:
        old = self.rooms.get(room.sid)
        self._note(Room, room.sid, old)
        for one in () if old is None else old.participants:
            self._rooms_of.pop(one.call, None)
        for one in room.participants:
            self._rooms_of[one.call] = room.sid
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
        self._note(Queue, queue.sid, old)
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

    def _note(self, kind: type, sid: str, old: Noun | None) -> None:
        self._undo.setdefault(sid, (kind, old))

    def _touched(self) -> Iterable[tuple[type, str]]:
        return [(kind, sid) for sid, (kind, _) in self._undo.items()]

    def _get(self, kind: type, sid: str) -> Noun | None:
        places: dict[type, Callable[[], Noun | None]] = {
            Call: lambda: self.calls.get(CallSid(sid)),
            Room: lambda: self.rooms.get(RoomSid(sid)),
            Queue: lambda: self.queues.get(QueueSid(sid)),
            Recording: lambda: self.recordings.get(RecordingSid(sid)),
        }
        return places[kind]()

    def gone(self) -> tuple[tuple[str, str], ...]:
        """The nouns the last step removed from the board: (kind, SID)."""
        return tuple((kind.__name__.lower(), sid) for kind, sid in self._touched() if self._get(kind, sid) is None)

    def _take_back(self) -> None:
        """Undo a step that raised; its scripts' generators are rebuilt from their state when needed."""
        before = dict(self._undo)
        # All are taken off before any is put back: a call may have gone from one room to another.
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
            for one in () if room is None else room.participants:
                self._rooms_of.pop(one.call, None)
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

    def _forget_old(self) -> None:
        """Keep the board, and the store that follows it, from growing without end."""
        while len(self._finished) > KEPT:
            sid = self._finished.popleft()
            kind = Call if sid in self.calls else Room
            self._note(kind, sid, self._get(kind, sid))
            self._erase(kind, sid)


def _waiting(queue: Queue) -> list[CallSid]:
    """Every call that waits at a queue, on either side."""
    meeting = [call for one in queue.introductions for call in (one.member.call, one.dialler.call)]
    return [*(member.call for member in queue.members), *(dialler.call for dialler in queue.diallers), *meeting]
