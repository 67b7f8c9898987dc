"""Each cell of the tables of rooms and participants: a listed message is taken, any other is refused untouched."""

from __future__ import annotations

from dataclasses import replace
from itertools import product
from typing import get_args

import pytest

from holdfast.testing.world import ACCOUNT, START
from holdfast.voice.control.conference import machine
from holdfast.voice.control.entities import Participant, Room, RoomStatus
from holdfast.voice.control.read_only_state import Transition
from holdfast.voice.control.state import EngineState
from holdfast.voice.control.statuses import (
    PARTICIPANT_TRANSITIONS,
    ROOM_STARTS,
    ROOM_TRANSITIONS,
    ParticipantMessage,
    ParticipantStatus,
    RoomMessage,
)
from holdfast.voice.model.commands import (
    Admission,
    AnnounceToRoom,
    ChangeParticipant,
    EndRoom,
    Instruction,
    RemoveParticipant,
    ReserveParticipant,
    WebRequest,
)
from holdfast.voice.model.effects import LogRefusal
from holdfast.voice.model.errors import ConferenceNotActive, NotFound
from holdfast.voice.model.facts import LegSpeaks, RoomRefused
from holdfast.voice.model.ids import CallSid, RoomSid, Token
from holdfast.voice.model.internal_commands import (
    Bridge,
    EnterConference,
    LeaveRoom,
    NoteAnnounced,
    NoteAnnouncing,
    NoteParticipant,
    NotePhoneHold,
    RefuseEntry,
)
from scripts.diagrams import PAGE, draw_events

SID = RoomSid("CF" + "1" * 32)
ALICE, BOB, CAROL = (CallSid("CA" + digit * 32) for digit in "123")
CALLED, RINGING = CallSid("CA" + "4" * 32), CallSid("CA" + "5" * 32)
TOKEN = Token("t")
ANNOUNCEMENT = WebRequest(url="https://app.example/announce")
KINDS: tuple[type[RoomMessage], ...] = get_args(RoomMessage)
STATUSES: tuple[ParticipantStatus, ...] = get_args(ParticipantStatus)


def entering(call: CallSid = CAROL, **attributes: object) -> EnterConference:
    admission = Admission(name="c", **attributes)  # type: ignore[arg-type]  # the attributes are named by each test
    return EnterConference(token=TOKEN, call=call, account=ACCOUNT, admission=admission, new_room=SID)


SAMPLES: tuple[RoomMessage, ...] = (
    Bridge(token=TOKEN, room=SID, call=CAROL, account=ACCOUNT),
    entering(),
    ReserveParticipant(call=CAROL, account=ACCOUNT, admission=Admission(name="c"), new_room=SID),
    LeaveRoom(call=ALICE),
    RefuseEntry(call=ALICE, code=11200, message="404"),
    RemoveParticipant(room=SID, call=ALICE),
    ChangeParticipant(room=SID, call=ALICE, muted=True),
    EndRoom(room=SID),
    AnnounceToRoom(room=SID, request=ANNOUNCEMENT),
    NoteAnnouncing(call=ALICE, instruction=Instruction(twiml="<Response/>")),
    NoteAnnounced(call=ALICE),
    NotePhoneHold(call=ALICE, held=True),
    NoteParticipant(call=CALLED, status="ringing"),
    LegSpeaks(call=ALICE, speaks=True),
)
SAMPLE: dict[type[RoomMessage], RoomMessage] = {type(each): each for each in SAMPLES}
ILLEGAL_LABEL = "a/b"


def participant(call: CallSid, *, starts: bool = True, status: ParticipantStatus = "connected") -> Participant:
    return Participant(call=call, joined_at=START, updated_at=START, start_on_enter=starts, status=status)


def room(status: RoomStatus, *participants: Participant) -> Room:
    empty = machine.conference(SID, ACCOUNT, Admission(name="c"), START)
    return replace(empty, status=status, participants=participants)


def resting(status: RoomStatus) -> Room:
    """Return a conference that no ordinary message begins or ends."""
    starts = status is RoomStatus.IN_PROGRESS
    members = [participant(call, starts=starts) for call in (ALICE, BOB)]
    members.append(participant(CALLED, starts=starts, status="queued"))
    return room(status, *members if status is not RoomStatus.COMPLETED else ())


def step(before: Room, message: RoomMessage) -> Transition[Room]:
    return machine.handle(before, message, START + 10.0, EngineState())


Arrow = tuple[RoomStatus, type[RoomMessage], RoomStatus]
INIT, RUNNING, OVER = RoomStatus.INIT, RoomStatus.IN_PROGRESS, RoomStatus.COMPLETED
ARROWS: dict[Arrow, tuple[Room, RoomMessage]] = {
    (INIT, EnterConference, INIT): (room(INIT), entering()),
    (INIT, EnterConference, RUNNING): (room(INIT, participant(ALICE)), entering()),
    (INIT, EnterConference, OVER): (room(INIT), entering(label=ILLEGAL_LABEL)),
    (RUNNING, EnterConference, RUNNING): (resting(RUNNING), entering()),
    (RUNNING, EnterConference, OVER): (
        room(RUNNING, participant(CAROL, status="queued")),
        entering(label=ILLEGAL_LABEL),
    ),
    **{(status, EndRoom, OVER): (resting(status), SAMPLE[EndRoom]) for status in (INIT, RUNNING)},
    **{
        (status, kind, status): (resting(status), SAMPLE[kind])
        for status in (INIT, RUNNING)
        for kind in (LeaveRoom, RemoveParticipant, RefuseEntry)
    },
    **{
        (status, kind, OVER): (room(status, participant(ALICE)), SAMPLE[kind])
        for status in (INIT, RUNNING)
        for kind in (LeaveRoom, RemoveParticipant, RefuseEntry)
    },
}


def named(cell: tuple[object, ...]) -> str:
    return " ".join(str(getattr(each, "__name__", each)) for each in cell)


def refusals(moved: Transition[Room]) -> list[LogRefusal]:
    return [each for each in moved.emitted if isinstance(each, LogRefusal)]


def test_the_page_shows_the_table_with_its_conditions() -> None:
    drawn = draw_events("A conference", "holdfast/voice/control/statuses.py", ROOM_TRANSITIONS, ROOM_STARTS)
    assert drawn in PAGE.read_text("utf-8"), "run: make diagrams"


def test_there_is_a_sample_of_each_message() -> None:
    assert set(SAMPLE) == set(KINDS)


def test_each_change_and_each_choice_of_the_table_is_walked() -> None:
    listed = {
        (status, kind, follower)
        for (status, kind), followers in ROOM_TRANSITIONS.items()
        for follower in followers
        if len(followers) > 1 or follower is not status
    }
    assert set(ARROWS) == listed


@pytest.mark.parametrize("arrow", ARROWS, ids=named)
def test_a_listed_message_leads_to_its_status(arrow: Arrow) -> None:
    status, kind, follower = arrow
    before, message = ARROWS[arrow]
    assert (before.status, type(message)) == (status, kind)
    moved = step(before, message)
    assert moved.noun.status is follower
    assert refusals(moved) == []


@pytest.mark.parametrize(
    "cell", [cell for cell, followers in ROOM_TRANSITIONS.items() if list(followers) == [cell[0]]], ids=named
)
def test_a_message_after_which_the_status_stays_is_taken(cell: tuple[RoomStatus, type[RoomMessage]]) -> None:
    status, kind = cell
    before = replace(resting(status), kind="bridge") if kind is Bridge else resting(status)
    moved = step(before, SAMPLE[kind])
    assert moved.noun.status is status
    assert refusals(moved) == []


@pytest.mark.parametrize(
    "cell", [cell for cell in product(RoomStatus, KINDS) if cell not in ROOM_TRANSITIONS], ids=named
)
def test_a_message_that_is_not_listed_is_refused_untouched(cell: tuple[RoomStatus, type[RoomMessage]]) -> None:
    status, kind = cell
    before, message = resting(status), SAMPLE[kind]
    match message:
        case ChangeParticipant() | RemoveParticipant():
            with pytest.raises(NotFound, match="was not found in conference"):
                step(before, message)
        case AnnounceToRoom():
            with pytest.raises(ConferenceNotActive, match="is completed"):
                step(before, message)
        case _:
            moved = step(before, message)
            assert moved.noun is before
            assert moved.emitted == (LogRefusal(noun=SID, status=status.value, message=kind.__name__),)


def test_rooms_start_in_init() -> None:
    assert {tuple(followers) for followers in ROOM_STARTS.values()} == {(INIT,)}
    bridge = machine.bridge(Bridge(token=TOKEN, room=SID, call=ALICE, account=ACCOUNT), START)
    assert {bridge.status, room(INIT).status} == {INIT}


# --- participants ------------------------------------------------------------------------------------------

NOTES: tuple[ParticipantMessage, ...] = (
    NoteParticipant(call=CAROL, status="connecting"),
    NoteParticipant(call=CAROL, status="ringing"),
    entering(),
)


@pytest.mark.parametrize(("status", "message"), [*product(STATUSES, NOTES)])
def test_a_participant_follows_its_table(status: ParticipantStatus, message: NoteParticipant | EnterConference) -> None:
    before = room(INIT, participant(CAROL, status=status))
    follower = message.status if isinstance(message, NoteParticipant) else "connected"
    moved = step(before, message)
    if follower in PARTICIPANT_TRANSITIONS.get((status, type(message)), {}):
        found = moved.noun.participant(CAROL)
        assert found is not None
        assert found.status == follower
        assert refusals(moved) == []
    else:
        assert moved.noun is before
        assert moved.emitted == (LogRefusal(noun=SID, status=status, message=type(message).__name__),)


def test_a_refused_entrant_gets_the_code_of_the_reason() -> None:
    moved = step(room(INIT), entering(label=ILLEGAL_LABEL))
    assert [each.code for each in moved.emitted if isinstance(each, RoomRefused)] == [16023]
