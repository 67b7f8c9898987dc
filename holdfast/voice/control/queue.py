"""The queue machine decides which calls wait, which member a dialler takes, and in which order."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Literal, assert_never

from holdfast.voice.control.entities import (
    Dialler,
    Introduction,
    Member,
    Queue,
)
from holdfast.voice.control.read_only_state import Emitted, Transition
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


@dataclass(slots=True, kw_only=True)
class QueueStep:
    """A step in progress on one queue."""

    queue: Queue
    now: float
    emitted: list[Emitted] = field(default_factory=list)

    def put(
        self,
        *,
        members: tuple[Member, ...] | None = None,
        diallers: tuple[Dialler, ...] | None = None,
        introductions: tuple[Introduction, ...] | None = None,
    ) -> None:
        """Replace the members, diallers or introductions. A queue in which all are as they were is not updated."""
        queue = replace(
            self.queue,
            members=self.queue.members if members is None else members,
            diallers=self.queue.diallers if diallers is None else diallers,
            introductions=self.queue.introductions if introductions is None else introductions,
        )
        if queue != self.queue:
            self.queue = replace(queue, updated_at=self.now)

    def remove_introduction(self, call: CallSid) -> Introduction | None:
        """Remove and return the introduction that this call is part of, if there is one."""
        found = next((each for each in self.queue.introductions if call in (each.member.call, each.dialler.call)), None)
        self.put(introductions=tuple(each for each in self.queue.introductions if each is not found))
        return found


def empty_queue(sid: QueueSid, account: AccountSid, name: str, now: float, max_size: int | None = None) -> Queue:
    """Return an empty queue."""
    size = twilio_assumptions.QUEUE_DEFAULT_SIZE if max_size is None else max_size
    return Queue(sid=sid, account=account, name=name, created_at=now, updated_at=now, max_size=size)


QueueMessage = (
    JoinQueue | LeaveQueue | MeetDialler | DialQueue | StopDialQueue | DequeueMember | ChangeQueue | DeleteQueue
)


def handle(queue: Queue, message: QueueMessage, now: float) -> Transition[Queue]:
    """Handle one message for a queue. Raises: NotFound, QueueNotEmpty."""
    step = QueueStep(queue=queue, now=now)
    match message:
        case JoinQueue(call=call):
            _join(step, call)
        case LeaveQueue(call=call, result=result):
            _leave(step, call, result)
        case MeetDialler(call=call):
            introduction = step.remove_introduction(call)
            assert introduction is not None, "the script of a member runs until its dialler has left"
            _meet(step, introduction)
        case DialQueue(call=call, room=room, screen=screen):
            step.put(diallers=(*queue.diallers, Dialler(call=call, room=room, screen=screen)))
            _pair(step)
        case StopDialQueue(call=call):
            step.put(diallers=tuple(dialler for dialler in queue.diallers if dialler.call != call))
            if (introduction := step.remove_introduction(call)) is not None:
                step.put(members=(introduction.member, *step.queue.members))
                step.emitted.append(QueueReturned(call=introduction.member.call))
                _pair(step)
        case DequeueMember():
            _dequeue(step, message)
        case ChangeQueue(name=name, max_size=max_size):
            step.queue = replace(
                queue,
                name=queue.name if name is None else name,
                max_size=queue.max_size if max_size is None else max_size,
                updated_at=now,
            )
        case DeleteQueue():
            if queue.members or queue.diallers or queue.introductions:
                raise QueueNotEmpty(f"Queue {queue.sid} has members and cannot be deleted")
            step.queue = replace(queue, deleted=True)
        case _:
            assert_never(message)
    return Transition(step.queue, tuple(step.emitted))


def _join(step: QueueStep, call: CallSid) -> None:
    queue = step.queue
    if len(queue.members) >= queue.max_size:
        message = f"queue {queue.name!r} is full: {queue.max_size} calls wait"
        step.emitted.append(LogNotification(call=call, code=14207, log=1, message=message))
        step.emitted.append(QueueRefused(call=call, result="queue-full"))
        return
    step.put(members=(*queue.members, Member(call=call, entered_at=step.now)))
    step.emitted.append(QueueEntered(call=call, queue=queue.sid))
    _pair(step)


def _leave(step: QueueStep, call: CallSid, result: Literal["leave", "redirected", "error", "hangup"]) -> None:
    """Remove a call from the queue. Only a wait that ended by itself emits a fact; an interrupted verb needs none."""
    leaving = next((member for member in step.queue.members if member.call == call), None)
    step.put(members=tuple(member for member in step.queue.members if member is not leaving))
    if leaving is not None and result in ("leave", "error"):
        step.emitted.append(QueueLeft(call=call, result=result, waited_s=step.now - leaving.entered_at))
    if (introduction := step.remove_introduction(call)) is not None:
        dialler = introduction.dialler
        step.emitted.append(MemberLost(call=dialler.call, final=not twilio_assumptions.MEMBER_LOST_TRIES_NEXT))
        if twilio_assumptions.MEMBER_LOST_TRIES_NEXT:
            step.put(diallers=(dialler, *step.queue.diallers))
            _pair(step)


def _pair(step: QueueStep) -> None:
    """Give the first dialler the first member, while there is one of each."""
    while step.queue.members and step.queue.diallers:
        member, dialler = step.queue.members[0], step.queue.diallers[0]
        step.put(members=step.queue.members[1:], diallers=step.queue.diallers[1:])
        screen, waited = dialler.screen, step.now - member.entered_at
        step.emitted.append(
            QueueTaken(
                call=member.call,
                queue=step.queue.sid,
                dialler=dialler.call,
                waited_s=waited,
                room=dialler.room,
                url=None if screen is None else screen.url,
                method="POST" if screen is None else screen.method,
            )
        )
        introduction = Introduction(member=member, dialler=dialler, waited_s=waited)
        if screen is None:
            _meet(step, introduction)
        else:
            step.put(introductions=(*step.queue.introductions, introduction))
            step.emitted.append(MemberPrepared(call=dialler.call, member=member.call))


def _meet(step: QueueStep, introduction: Introduction) -> None:
    """Notify the dialler that its member is ready."""
    member, dialler = introduction.member, introduction.dialler
    step.emitted.append(
        MemberReached(
            call=dialler.call,
            member=member.call,
            queue=step.queue.sid,
            waited_s=introduction.waited_s,
            room=dialler.room,
        )
    )


def _dequeue(step: QueueStep, command: DequeueMember) -> None:
    """Give a waiting call a document of its own; its wait ends with the result `redirected`."""
    members = step.queue.members
    wanted = members[0].call if command.call is None and members else command.call
    if wanted is None or all(member.call != wanted for member in members):
        raise NotFound(f"{command.call or 'Front'} does not wait in queue {step.queue.sid}")
    step.emitted.append(RedirectCall(call=wanted, instruction=Instruction(request=command.request)))
