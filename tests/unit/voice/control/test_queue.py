"""The queue machine pairs the first member with the first dialler, and puts back who was not bridged."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

import pytest

from holdfast.testing.world import ACCOUNT, START
from holdfast.voice.control import queue as machine
from holdfast.voice.control.entities import Dialler, Introduction, Member, Queue
from holdfast.voice.model import twilio_assumptions
from holdfast.voice.model.commands import (
    ChangeQueue,
    DeleteQueue,
    DequeueMember,
    Instruction,
    RedirectCall,
    WebRequest,
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
from holdfast.voice.model.ids import CallSid, QueueSid, RoomSid, Token
from holdfast.voice.model.internal_commands import DialQueue, JoinQueue, LeaveQueue, MeetDialler, StopDialQueue

SID, ROOM = QueueSid("QU" + "1" * 32), RoomSid("BR" + "1" * 32)
ALICE, BOB, CAROL, AGENT, OTHER = (CallSid("CA" + digit * 32) for digit in "12345")
TOKEN, LATER = Token("t"), START + 7.0
SCREEN = WebRequest(url="https://app.example/whisper", method="GET")


def member(call: CallSid, waited_s: float = 7.0) -> Member:
    return Member(call=call, entered_at=LATER - waited_s)


def dialler(call: CallSid, screen: WebRequest | None = None) -> Dialler:
    return Dialler(call=call, room=ROOM, screen=screen)


def queue(*members: CallSid, diallers: tuple[CallSid, ...] = (), max_size: int = 10) -> Queue:
    empty = machine.empty_queue(SID, ACCOUNT, "q", START, max_size)
    waiting, diallers_ = tuple(member(call) for call in members), tuple(dialler(call) for call in diallers)
    return replace(empty, members=waiting, diallers=diallers_)


def introduced(*members: CallSid) -> Queue:
    """Return a queue in which alice hears the document of an agent, and others wait."""
    meeting = Introduction(member=member(ALICE), dialler=dialler(AGENT, SCREEN), waited_s=3.0)
    return replace(queue(*members), introductions=(meeting,))


def join(call: CallSid) -> JoinQueue:
    return JoinQueue(token=TOKEN, call=call, account=ACCOUNT, name="q", new_queue=SID)


def dial(call: CallSid, screen: WebRequest | None = None) -> DialQueue:
    return DialQueue(token=TOKEN, call=call, account=ACCOUNT, name="q", room=ROOM, screen=screen)


def taken(call: CallSid, by: CallSid, screen: WebRequest | None = None, waited_s: float = 7.0) -> QueueTaken:
    url, method = (None, "POST") if screen is None else (screen.url, screen.method)
    return QueueTaken(call=call, queue=SID, dialler=by, waited_s=waited_s, room=ROOM, url=url, method=method)


def reached(by: CallSid, call: CallSid, waited_s: float = 7.0) -> MemberReached:
    return MemberReached(call=by, member=call, queue=SID, waited_s=waited_s, room=ROOM)


def calls(found: Queue) -> tuple[list[CallSid], list[CallSid]]:
    """Return the members and the diallers."""
    return [each.call for each in found.members], [each.call for each in found.diallers]


@pytest.mark.parametrize(("max_size", "enters"), [(1, False), (2, True)])
def test_a_call_enters_unless_the_queue_is_full(max_size: int, enters: bool) -> None:
    moved = machine.handle(queue(ALICE, max_size=max_size), join(BOB), LATER)
    if enters:
        assert moved.emitted == (QueueEntered(call=BOB, queue=SID),)
        assert moved.noun.members == (member(ALICE), Member(call=BOB, entered_at=LATER))
        return
    note, refused = moved.emitted
    assert isinstance(note, LogNotification)
    assert (note.call, note.code, note.log) == (BOB, 14207, 1)
    assert refused == QueueRefused(call=BOB, result="queue-full")
    assert calls(moved.noun) == ([ALICE], [])


def test_a_dialler_takes_the_first_member_at_once() -> None:
    moved = machine.handle(queue(ALICE, BOB), dial(AGENT), LATER)
    assert moved.emitted == (taken(ALICE, AGENT), reached(AGENT, ALICE))
    assert calls(moved.noun) == ([BOB], [])


def test_a_member_goes_to_the_first_dialler() -> None:
    moved = machine.handle(queue(diallers=(AGENT, OTHER)), join(ALICE), LATER)
    entered = QueueEntered(call=ALICE, queue=SID)
    assert moved.emitted == (entered, taken(ALICE, AGENT, waited_s=0.0), reached(AGENT, ALICE, waited_s=0.0))
    assert calls(moved.noun) == ([], [OTHER])


def test_a_dialler_with_a_document_is_bridged_after_it() -> None:
    moved = machine.handle(queue(ALICE), dial(AGENT, SCREEN), LATER)
    assert moved.emitted == (taken(ALICE, AGENT, SCREEN), MemberPrepared(call=AGENT, member=ALICE))
    assert calls(moved.noun) == ([], [])
    met = machine.handle(moved.noun, MeetDialler(call=ALICE), LATER + 5)
    assert met.emitted == (reached(AGENT, ALICE),)
    assert met.noun.introductions == ()


@pytest.mark.parametrize("result", ["leave", "error", "redirected", "hangup"])
def test_only_a_wait_that_ends_by_itself_is_reported(
    result: Literal["leave", "error", "redirected", "hangup"],
) -> None:
    moved = machine.handle(queue(ALICE, BOB), LeaveQueue(call=ALICE, result=result), LATER)
    assert calls(moved.noun) == ([BOB], [])
    if result in ("leave", "error"):
        assert moved.emitted == (QueueLeft(call=ALICE, result=result, waited_s=7.0),)
    else:
        assert moved.emitted == ()


def test_a_dialler_that_gives_up_no_longer_waits() -> None:
    moved = machine.handle(queue(diallers=(AGENT, OTHER)), StopDialQueue(call=AGENT), LATER)
    assert (calls(moved.noun), moved.emitted) == (([], [OTHER]), ())


def test_a_member_whose_dialler_leaves_waits_again_in_front_since_it_entered() -> None:
    moved = machine.handle(introduced(BOB), StopDialQueue(call=AGENT), LATER)
    assert moved.emitted == (QueueReturned(call=ALICE),)
    assert moved.noun.members == (member(ALICE), member(BOB))
    assert moved.noun.introductions == ()


def test_a_member_that_returns_goes_to_the_next_dialler() -> None:
    waiting = replace(introduced(), diallers=(dialler(OTHER),))
    moved = machine.handle(waiting, StopDialQueue(call=AGENT), LATER)
    assert moved.emitted == (QueueReturned(call=ALICE), taken(ALICE, OTHER), reached(OTHER, ALICE))


@pytest.mark.parametrize("tries_next", [True, False])
def test_a_dialler_whose_member_leaves_gets_the_next_one(tries_next: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(twilio_assumptions, "MEMBER_LOST_TRIES_NEXT", tries_next)
    moved = machine.handle(introduced(BOB), LeaveQueue(call=ALICE, result="hangup"), LATER)
    lost = MemberLost(call=AGENT, final=not tries_next)
    next_one = (taken(BOB, AGENT, SCREEN), MemberPrepared(call=AGENT, member=BOB)) if tries_next else ()
    assert moved.emitted == (lost, *next_one)
    assert calls(moved.noun) == ([] if tries_next else [BOB], [])


def test_a_dialler_whose_member_leaves_waits_in_front_of_others() -> None:
    waiting = replace(introduced(), diallers=(dialler(OTHER),))
    moved = machine.handle(waiting, LeaveQueue(call=ALICE, result="hangup"), LATER)
    assert calls(moved.noun) == ([], [AGENT, OTHER])


@pytest.mark.parametrize(("named", "chosen"), [(None, ALICE), (BOB, BOB)])
def test_a_dequeued_member_gets_a_document(named: CallSid | None, chosen: CallSid) -> None:
    moved = machine.handle(queue(ALICE, BOB), DequeueMember(queue=SID, call=named, request=SCREEN), LATER)
    assert moved.emitted == (RedirectCall(call=chosen, instruction=Instruction(request=SCREEN)),)


@pytest.mark.parametrize(("members", "named"), [((), None), ((ALICE,), CAROL)])
def test_a_call_that_does_not_wait_cannot_be_dequeued(members: tuple[CallSid, ...], named: CallSid | None) -> None:
    with pytest.raises(NotFound, match="does not wait"):
        machine.handle(queue(*members), DequeueMember(queue=SID, call=named, request=SCREEN), LATER)


@pytest.mark.parametrize("waiting", [queue(ALICE), queue(diallers=(AGENT,)), introduced()])
def test_only_an_empty_queue_is_deleted(waiting: Queue) -> None:
    with pytest.raises(QueueNotEmpty):
        machine.handle(waiting, DeleteQueue(queue=SID), LATER)
    assert machine.handle(queue(), DeleteQueue(queue=SID), LATER).noun.deleted


@pytest.mark.parametrize(("name", "max_size"), [("new", None), (None, 3), (None, 0), (None, None)])
def test_a_change_keeps_the_fields_that_it_does_not_name(name: str | None, max_size: int | None) -> None:
    changed = machine.handle(queue(ALICE), ChangeQueue(queue=SID, name=name, max_size=max_size), LATER).noun
    assert changed.name == (name or "q")
    assert changed.max_size == (10 if max_size is None else max_size)
    assert (changed.updated_at, calls(changed)) == (LATER, ([ALICE], []))


def test_the_average_wait_is_of_whole_seconds_and_zero_when_empty() -> None:
    waiting = replace(queue(), members=(member(ALICE, 3.0), member(BOB, 4.9)))
    assert waiting.average_wait_s(LATER) == 3
    assert queue().average_wait_s(LATER) == 0


def test_a_new_queue_has_the_default_size_unless_it_states_one() -> None:
    assert machine.empty_queue(SID, ACCOUNT, "q", START).max_size == twilio_assumptions.QUEUE_DEFAULT_SIZE
    assert machine.empty_queue(SID, ACCOUNT, "q", START, 0).max_size == 0


def test_a_member_that_hears_its_dialler_is_kept_while_another_joins() -> None:
    before = introduced()
    after = machine.handle(
        before, JoinQueue(token=TOKEN, call=BOB, account=ACCOUNT, name="q", new_queue=SID), LATER
    ).noun
    assert after.introductions == before.introductions
    assert [each.call for each in after.members] == [BOB]
    assert after.updated_at == LATER
