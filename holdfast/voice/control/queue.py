"""The queue machine: who waits, who is taken, in which order."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Literal, NamedTuple, assert_never

from holdfast.voice.control.entities import (
    Dialler,
    Introduction,
    Member,
    Queue,
)
from holdfast.voice.control.read_only_state import Saying
from holdfast.voice.model import twilio_assumptions
from holdfast.voice.model.commands import (
    ChangeQueue,
    DeleteQueue,
    DequeueMember,
    Instruction,
    RedirectCall,
)
from holdfast.voice.model.effects import LogNotification
from holdfast.voice.model.errors import NotFound, QueueNotEmpty
from holdfast.voice.model.facts import (
    MemberLost,
    MemberPrepared,
    MemberReached,
    QueueEntered,
    QueueLeft,
    QueueRefused,
    QueueReturned,
    QueueTaken,
)
from holdfast.voice.model.ids import AccountSid, CallSid, QueueSid
from holdfast.voice.model.internal_commands import (
    DialQueue,
    JoinQueue,
    LeaveQueue,
    MeetDialler,
    StopDialQueue,
)


class QueueTransition(NamedTuple):
    """A queue after a step, and what the step said."""

    queue: Queue
    said: tuple[Saying, ...]


@dataclass(slots=True, kw_only=True)
class QueueStep:
    """One queue's step in progress."""

    queue: Queue
    now: float
    said: list[Saying] = field(default_factory=list)

    def put(
        self,
        *,
        members: tuple[Member, ...] | None = None,
        diallers: tuple[Dialler, ...] | None = None,
        introductions: tuple[Introduction, ...] | None = None,
    ) -> None:
        """Who waits now."""
        self.queue = replace(
            self.queue,
            members=self.queue.members if members is None else members,
            diallers=self.queue.diallers if diallers is None else diallers,
            introductions=self.queue.introductions if introductions is None else introductions,
            updated_at=self.now,
        )

    def take_introduction(self, call: CallSid) -> Introduction | None:
        """The introduction this call is part of, which is over with this."""
        found = next((one for one in self.queue.introductions if call in (one.member.call, one.dialler.call)), None)
        self.put(introductions=tuple(one for one in self.queue.introductions if one is not found))
        return found


def empty(sid: QueueSid, account: AccountSid, name: str, now: float, max_size: int | None = None) -> Queue:
    """A queue in which nobody waits."""
    size = twilio_assumptions.QUEUE_DEFAULT_SIZE if max_size is None else max_size
    return Queue(sid=sid, account=account, name=name, created_at=now, updated_at=now, max_size=size)


QueueMessage = (
    JoinQueue | LeaveQueue | MeetDialler | DialQueue | StopDialQueue | DequeueMember | ChangeQueue | DeleteQueue
)


def step(queue: Queue, message: QueueMessage, now: float) -> QueueTransition:
    """What a message does to a queue. Raises: NotFound, QueueNotEmpty."""
    line = QueueStep(queue=queue, now=now)
    match message:
        case JoinQueue(call=call):
            _join(line, call)
        case LeaveQueue(call=call, result=result):
            _leave(line, call, result)
        case MeetDialler(call=call):
            heard = line.take_introduction(call)
            assert heard is not None, "the member listens until it is told that its dialler has gone"
            _meet(line, heard)
        case DialQueue(call=call, room=room, screen=screen):
            line.put(diallers=(*queue.diallers, Dialler(call=call, room=room, screen=screen)))
            _pair(line)
        case StopDialQueue(call=call):
            line.put(diallers=tuple(dialler for dialler in queue.diallers if dialler.call != call))
            if (introduced := line.take_introduction(call)) is not None:
                line.put(members=(introduced.member, *line.queue.members))
                line.said.append(QueueReturned(call=introduced.member.call))
                _pair(line)
        case DequeueMember():
            _dequeue(line, message)
        case ChangeQueue(name=name, max_size=max_size):
            line.queue = replace(
                queue,
                name=queue.name if name is None else name,
                max_size=queue.max_size if max_size is None else max_size,
                updated_at=now,
            )
        case DeleteQueue():
            if queue.members or queue.diallers or queue.introductions:
                raise QueueNotEmpty(f"Queue {queue.sid} has members and cannot be deleted")
            line.queue = replace(queue, deleted=True)
        case _:
            assert_never(message)
    return QueueTransition(line.queue, tuple(line.said))


def _join(line: QueueStep, call: CallSid) -> None:
    queue = line.queue
    if len(queue.members) >= queue.max_size:
        message = f"queue {queue.name!r} is full: {queue.max_size} calls wait"
        line.said.append(LogNotification(call=call, code=14207, log=1, message=message))
        line.said.append(QueueRefused(call=call, result="queue-full"))
        return
    line.put(members=(*queue.members, Member(call=call, entered_at=line.now)))
    line.said.append(QueueEntered(call=call, queue=queue.sid))
    _pair(line)


def _leave(line: QueueStep, call: CallSid, result: Literal["leave", "redirected", "error", "hangup"]) -> None:
    """A call is in the queue no longer. A verb that was taken away needs no fact; a wait that ended by itself does."""
    gone = next((member for member in line.queue.members if member.call == call), None)
    line.put(members=tuple(member for member in line.queue.members if member is not gone))
    if gone is not None and result in ("leave", "error"):
        line.said.append(QueueLeft(call=call, result=result, waited_s=line.now - gone.entered_at))
    if (introduced := line.take_introduction(call)) is not None:
        dialler = introduced.dialler
        line.said.append(MemberLost(call=dialler.call, final=not twilio_assumptions.MEMBER_LOST_TRIES_NEXT))
        if twilio_assumptions.MEMBER_LOST_TRIES_NEXT:
            line.put(diallers=(dialler, *line.queue.diallers))
            _pair(line)


def _pair(line: QueueStep) -> None:
    """Give the first dialler the first member, while there are both."""
    while line.queue.members and line.queue.diallers:
        member, dialler = line.queue.members[0], line.queue.diallers[0]
        line.put(members=line.queue.members[1:], diallers=line.queue.diallers[1:])
        screen, waited = dialler.screen, line.now - member.entered_at
        line.said.append(
            QueueTaken(
                call=member.call,
                queue=line.queue.sid,
                by=dialler.call,
                waited_s=waited,
                room=dialler.room,
                url=None if screen is None else screen.url,
                method="POST" if screen is None else screen.method,
            )
        )
        introduced = Introduction(member=member, dialler=dialler, waited_s=waited)
        if screen is None:
            _meet(line, introduced)
        else:
            line.put(introductions=(*line.queue.introductions, introduced))
            line.said.append(MemberPrepared(call=dialler.call, member=member.call))


def _meet(line: QueueStep, introduced: Introduction) -> None:
    """Tell the dialler that its member is ready."""
    member, dialler = introduced.member, introduced.dialler
    line.said.append(
        MemberReached(
            call=dialler.call,
            member=member.call,
            queue=line.queue.sid,
            waited_s=introduced.waited_s,
            room=dialler.room,
        )
    )


def _dequeue(line: QueueStep, command: DequeueMember) -> None:
    """Give a waiting call a document of its own; its wait ends with the result `redirected`."""
    members = line.queue.members
    wanted = members[0].call if command.call is None and members else command.call
    if wanted is None or all(member.call != wanted for member in members):
        raise NotFound(f"{command.call or 'Front'} does not wait in queue {line.queue.sid}")
    line.said.append(RedirectCall(call=wanted, instruction=Instruction(request=command.request)))
