"""An engine without phones for the REST API: commands change the nouns as the reference says, and no more.

So the API is tested alone. Other tests run the same commands on the real machines.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from itertools import count
from typing import assert_never

from holdfast.voice.api.ops.metrics_endpoint import Metrics
from holdfast.voice.control.entities import (
    FINAL,
    Call,
    CallStatus,
    Member,
    Participant,
    Queue,
    Recording,
    RecordingStatus,
    Room,
    RoomStatus,
)
from holdfast.voice.model import twilio_assumptions
from holdfast.voice.model.commands import (
    AnnounceToRoom,
    ChangeCall,
    ChangeParticipant,
    ChangeQueue,
    ChangeRecording,
    CreateCall,
    CreateQueue,
    DeleteQueue,
    DeleteRecording,
    DequeueMember,
    EndCall,
    EndRoom,
    ForgetCall,
    ForgetRecording,
    ReceiveCall,
    RecordCall,
    RedirectCall,
    RemoveParticipant,
    RestCommand,
)
from holdfast.voice.model.effects import LogNotification, PostCallback, WebEffect
from holdfast.voice.model.errors import (
    CallNotInProgress,
    QueueNameTaken,
    QueueNotEmpty,
    RecordingNotActive,
    RecordNotFinished,
)
from holdfast.voice.model.ids import AccountSid, CallSid, QueueSid, RecordingSid, RoomSid
from holdfast.voice.model.ports import JournalEntry
from holdfast.voice.runtime.directory.collection import Collection
from holdfast.voice.runtime.directory.directory import Directory
from holdfast.voice.runtime.directory.records import LineRecord, VoiceSettings
from holdfast.voice.runtime.messages.message_log import CAPACITY, MessageLog
from holdfast.voice.runtime.messages.message_record import MessageRecord
from holdfast.voice.runtime.notification_log import Notifications

ACCOUNT = AccountSid("AC" + "a" * 32)
TOKEN = "0123456789abcdef0123456789abcdef"
NOON = 1_800_000_000.0
OURS = "+15550100001"
ALSO_OURS = "+15550100002"
VOICE_URL = "http://127.0.0.1:9/voice"


class MemoryStore:
    """Key values in memory."""

    def __init__(self) -> None:
        self.kept: dict[tuple[str, str], str] = {}

    async def put(self, kind: str, key: str, value: str) -> None:
        self.kept[kind, key] = value

    async def get_all(self, kind: str) -> Mapping[str, str]:
        return {key: value for (each, key), value in self.kept.items() if each == kind}

    async def remove(self, kind: str, key: str) -> None:
        self.kept.pop((kind, key), None)


@dataclass
class Nouns:
    """The engine state."""

    default_country: str = "US"
    calls: dict[CallSid, Call] = field(default_factory=dict)
    rooms: dict[RoomSid, Room] = field(default_factory=dict)
    queues: dict[QueueSid, Queue] = field(default_factory=dict)
    recordings: dict[RecordingSid, Recording] = field(default_factory=dict)

    def recordings_of(self, owner: CallSid | RoomSid) -> tuple[Recording, ...]:
        return tuple(each for each in self.recordings.values() if each.live and owner in (each.call, each.room))

    def room_of(self, call: CallSid) -> Room | None:
        return next((room for room in self.rooms.values() if room.participant(call)), None)

    def queue_of(self, call: CallSid) -> Queue | None:
        waiting = (queue for queue in self.queues.values() if any(one.call == call for one in queue.members))
        return next(waiting, None)


class Engine:
    """A switch on an engine state, with a clock that is set by hand."""

    def __init__(self) -> None:
        self.state = Nouns()
        self.commands: list[RestCommand] = []
        self.rejected: list[JournalEntry] = []
        self.clock = NOON
        self._serial = count(1)

    def now(self) -> float:
        return self.clock

    def orphan_entries(self, call: str) -> list[JournalEntry]:
        return [line for line in self.rejected if line.call == call]

    # --- the world, set by tests

    def call(self, *, status: CallStatus = CallStatus.IN_PROGRESS, parent: CallSid | None = None) -> Call:
        """Add a call."""
        sid = CallSid(f"CA{next(self._serial):032x}")
        over = status in FINAL
        call = Call(
            sid=sid,
            account=ACCOUNT,
            direction="inbound" if parent is None else "outbound-dial",
            from_="+15550100009",
            to=OURS,
            status=status,
            created_at=self.clock,
            updated_at=self.clock,
            started_at=self.clock,
            answered_at=self.clock if status in (CallStatus.IN_PROGRESS, CallStatus.COMPLETED) else None,
            ended_at=self.clock + 7.9 if over else None,
            parent=parent,
        )
        self.state.calls[sid] = call
        return call

    def room(self, *members: Call, name: str = "room", status: RoomStatus = RoomStatus.IN_PROGRESS) -> Room:
        """Add a conference."""
        sid = RoomSid(f"CF{next(self._serial):032x}")
        present = tuple(Participant(call=each.sid, joined_at=self.clock, updated_at=self.clock) for each in members)
        room = Room(
            sid=sid,
            account=ACCOUNT,
            kind="conference",
            name=name,
            created_at=self.clock,
            updated_at=self.clock,
            status=status,
            participants=present,
        )
        self.state.rooms[sid] = room
        return room

    def queue(self, *members: Call, name: str = "support") -> Queue:
        """Add a queue."""
        sid = QueueSid(f"QU{next(self._serial):032x}")
        waiting = tuple(Member(call=each.sid, entered_at=self.clock - 10) for each in members)
        queue = Queue(
            sid=sid, account=ACCOUNT, name=name, created_at=self.clock, updated_at=self.clock, members=waiting
        )
        self.state.queues[sid] = queue
        return queue

    # --- what the API posts

    async def execute(self, command: RestCommand) -> None:
        """Execute one command."""
        self.commands.append(command)
        state, now = self.state, self.clock
        match command:
            case CreateCall():
                self._create(command)
            case ReceiveCall():
                raise AssertionError("the REST API receives no calls")
            case RedirectCall(call=sid) | ChangeCall(call=sid):
                if not state.calls[sid].live:
                    raise CallNotInProgress("Call is not in-progress. Cannot redirect.")
                state.calls[sid] = replace(state.calls[sid], updated_at=now)
            case EndCall(call=sid, status=status):
                state.calls[sid] = replace(state.calls[sid], status=CallStatus(status), ended_at=now)
            case ForgetCall(call=sid):
                if state.calls[sid].live:
                    raise RecordNotFinished("The call has not finished")
                del state.calls[sid]
            case ChangeParticipant():
                self._change_participant(command)
            case RemoveParticipant(room=room_sid, call=sid):
                room = state.rooms[room_sid]
                stay = tuple(member for member in room.participants if member.call != sid)
                state.rooms[room_sid] = replace(room, participants=stay)
            case EndRoom(room=room_sid):
                state.rooms[room_sid] = replace(
                    state.rooms[room_sid],
                    status=RoomStatus.COMPLETED,
                    reason_ended="conference-ended-via-api",
                    participants=(),
                )
            case AnnounceToRoom():
                pass
            case CreateQueue():
                self._check_name(command.name)
                state.queues[command.queue] = Queue(
                    sid=command.queue,
                    account=command.account,
                    name=command.name,
                    created_at=now,
                    updated_at=now,
                    max_size=twilio_assumptions.QUEUE_DEFAULT_SIZE if command.max_size is None else command.max_size,
                )
            case ChangeQueue(queue=queue_sid, name=name, max_size=max_size):
                queue = state.queues[queue_sid]
                if name is not None and name != queue.name:
                    self._check_name(name)
                state.queues[queue_sid] = replace(
                    queue, name=name or queue.name, max_size=max_size or queue.max_size, updated_at=now
                )
            case DeleteQueue(queue=queue_sid):
                if state.queues[queue_sid].members:
                    raise QueueNotEmpty("The queue has members")
                del state.queues[queue_sid]
            case DequeueMember(queue=queue_sid, call=sid_or_front):
                queue = state.queues[queue_sid]
                rest = tuple(member for member in queue.members if member.call != sid_or_front)
                state.queues[queue_sid] = replace(queue, members=rest)
            case RecordCall():
                self._record(command)
            case ChangeRecording(recording=recording, status=status):
                stored = state.recordings[recording]
                if not stored.live:
                    raise RecordingNotActive("The recording is over")
                state.recordings[recording] = replace(stored, status=RecordingStatus(status), updated_at=now)
            case DeleteRecording(recording=recording):
                deleted = replace(state.recordings[recording], status=RecordingStatus.DELETED, updated_at=now)
                state.recordings[recording] = deleted
            case ForgetRecording(recording=recording):
                del state.recordings[recording]
            case _:
                assert_never(command)

    def _record(self, command: RecordCall) -> None:
        call = self.state.calls[command.call]
        if call.status is not CallStatus.IN_PROGRESS:
            raise CallNotInProgress("Call is not in-progress. Cannot record.")
        self.state.recordings[command.recording] = Recording(
            sid=command.recording,
            account=call.account,
            call=call.sid,
            room=None,
            options=command.options,
            channels=2 if command.options.dual else 1,
            status=RecordingStatus.IN_PROGRESS,
            created_at=self.clock,
            updated_at=self.clock,
        )

    def _create(self, command: CreateCall) -> None:
        now = self.clock
        self.state.calls[command.call] = Call(
            sid=command.call,
            account=command.account,
            direction="outbound-api",
            from_=command.from_,
            to=command.target.to,
            status=CallStatus.QUEUED,
            created_at=now,
            updated_at=now,
            callback=command.callback,
            instruction=command.instruction,
            fallback=command.instruction.fallback,
            queue_time_s=command.wait_s,
        )
        seat = command.reserve
        if seat is None:
            return
        room = next(
            (
                each
                for each in self.state.rooms.values()
                if each.name == seat.admission.name and each.status != "completed"
            ),
            None,
        ) or Room(
            sid=seat.new_room,
            account=seat.account,
            kind="conference",
            name=seat.admission.name,
            created_at=now,
            updated_at=now,
        )
        seated = Participant(
            call=command.call, joined_at=now, updated_at=now, status="queued", label=seat.admission.label
        )
        self.state.rooms[room.sid] = replace(room, participants=(*room.participants, seated))

    def _change_participant(self, command: ChangeParticipant) -> None:
        room = self.state.rooms[command.room]

        def changed(member: Participant) -> Participant:
            if member.call != command.call:
                return member
            coaching = member.coaching if command.coaching is None else command.coaching
            return replace(
                member,
                muted=member.muted if command.muted is None else command.muted,
                held=member.held if command.hold is None else command.hold,
                hold=command.hold_request or member.hold,
                end_on_exit=member.end_on_exit if command.end_on_exit is None else command.end_on_exit,
                coaching=coaching,
                coach=command.coach or member.coach if coaching else None,
                updated_at=self.clock,
            )

        self.state.rooms[command.room] = replace(room, participants=tuple(map(changed, room.participants)))

    def _check_name(self, name: str) -> None:
        if any(queue.name == name for queue in self.state.queues.values()):
            raise QueueNameTaken(f"There is a queue named {name}")


async def open_directory(store: MemoryStore | None = None) -> Directory:
    """Return a directory with two numbers and a line."""
    return await Directory.open(
        store or MemoryStore(),
        account=ACCOUNT,
        now=NOON,
        lines=[LineRecord.with_password(name="alice", password="secret")],
        numbers={OURS: VoiceSettings(voice_url=VOICE_URL), ALSO_OURS: VoiceSettings()},
    )


def new_notifications(engine: Engine) -> Notifications:
    """Return notifications without an entry."""
    return Notifications(clock=engine.now, seed="seed")


class KeptWebEffects:
    """Keeps callbacks, and logs notifications."""

    def __init__(self, notifications: Notifications) -> None:
        self.callbacks: list[PostCallback] = []
        self._notifications = notifications

    def carry_out(self, effect: WebEffect) -> None:
        match effect:
            case LogNotification():
                self._notifications.add(effect)
            case PostCallback():
                self.callbacks.append(effect)
            case _:
                raise AssertionError(f"the REST API starts no {type(effect).__name__}")


async def new_messages(
    web: KeptWebEffects, store: MemoryStore | None = None, *, accepts: bool = True, capacity: int = CAPACITY
) -> MessageLog:
    """Return the messages of a store."""
    records = await Collection.open(store or MemoryStore(), MessageRecord)
    return MessageLog(records, web, accepts=accepts, capacity=capacity)


def new_metrics(engine: Engine) -> Metrics:
    """Return metrics that are all zero."""
    return Metrics(switch=engine)
