"""Who holds is heard by nobody: whatever happens, in whatever order, and whatever of it the journal has already.

Random walks over every input there is (holds by REST, by a phone and by legs, mutes, coaches, announcements, queues,
screenings, early sound, keys, recordings, redirects), with the media process's own arrays behind the board. Phones hum
without a rest, packets are lost or come late, and each thing that anybody is sent or that is recorded is looked at.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from holdfast.testing.world import World
from holdfast.voice.control.entities import RoomStatus
from holdfast.voice.model.commands import ChangeParticipant, EndCall, RecordCall, RecordingOptions
from holdfast.voice.model.errors import AskedWrong
from holdfast.voice.model.facts import LegRinging, PhoneHeld, PhoneResumed
from holdfast.voice.model.ids import CallSid, RecordingSid, derive
from holdfast.voice.model.payload_types import Codec
from tests.stories.leg_events import APP, redirect
from tests.stories.studio import CODECS, HOLDS, ROWS, Studio
from tests.stories.test_walk import act, live, prepare

WALKS, STEPS = 40, 30


def studio(seed: int = 1) -> Studio:
    made = Studio(dice=Random(seed))
    prepare(made)
    return made


# --- where walks begin ---------------------------------------------------------------------------------------------


def one_who_is_screened(world: World) -> list[CallSid]:
    parent = world.calls_in("p", f"{APP}/late bridge")
    (child,) = world.children(parent)
    world.post(LegRinging(call=child, early_media=True))
    return [parent, child]


def conference(world: World) -> list[CallSid]:
    return [world.calls_in(name, f"{APP}/room") for name in ("a", "b", "c")]


def conference_of_two(world: World) -> list[CallSid]:
    return [world.calls_in(name, f"{APP}/room") for name in ("a", "b")]


def pair(world: World) -> list[CallSid]:
    parent = world.calls_in("p", f"{APP}/dial")
    (child,) = world.children(parent)
    world.answers(child)
    return [parent, child]


def peers_of_a_queue(world: World) -> list[CallSid]:
    return [world.calls_in("c", f"{APP}/wait"), world.calls_in("p", f"{APP}/take")]


def one_who_rings_aloud(world: World) -> list[CallSid]:
    parent = world.calls_in("p", f"{APP}/keyed")
    (child,) = world.children(parent)
    world.post(LegRinging(call=child, early_media=True))
    return [parent, child]


STARTS: tuple[Callable[[World], list[CallSid]], ...] = (
    conference,
    conference_of_two,
    pair,
    peers_of_a_queue,
    one_who_rings_aloud,
    one_who_is_screened,
)


def holding(world: World, sid: CallSid) -> bool:
    """Whether a call is on hold, or its phone holds: told by its own values alone."""
    room = world.state.room_of(sid)
    one = None if room is None else room.participant(sid)
    return world.state.calls[sid].phone_held or world.state.queue_of(sid) is not None or bool(one and one.held)


def look(world: World) -> None:
    """What control says of who hears whom, of what is recorded, and of whose speech is listened for."""
    for ear, heard in world.routes().items():
        for other in heard or ():
            assert not holding(world, other), f"{ear} is to hear {other}"
            assert not (heard and holding(world, ear) and not world.state.calls[ear].phone_held), f"{ear} is held"
    for ear, (_, source, _) in world.playing.items():
        if source.startswith("leg:"):
            rings = world.state.calls[CallSid(source.removeprefix("leg:"))]
            assert rings.answered_at is None, f"{ear} overhears {rings.sid}, which has answered"
            assert not rings.phone_held
    for sid in world.captures:
        recording, voices = world.state.recordings[sid], world.voices(sid)
        if recording.room is not None:
            assert not [call for call, _ in voices if holding(world, call)], f"{sid} has who is on hold"
            assert {side for _, side in voices} <= {"says"}
        else:
            assert {call for call, _ in voices} == {recording.call}, "a call's recording has its own party alone"
    assert not [call for call in world.listening if holding(world, call)], "who is on hold is listened to"
    for room in world.state.rooms.values():
        for one in room.participants:
            assert not (one.speaking and holding(world, one.call)), "who is on hold is said to speak"


@settings(max_examples=WALKS, deadline=None)
@given(seed=st.integers(0, 2**32), start=st.sampled_from(STARTS))
def test_a_holder_is_never_heard_by_any_party(seed: int, start: Callable[[World], list[CallSid]]) -> None:
    world, dice = studio(seed), Random(seed)
    start(world)
    for number in range(STEPS):
        if len(live(world)) > ROWS // 2:
            world.post(EndCall(call=dice.choice(live(world))))
        told = len(world.callbacks)
        with suppress(AskedWrong):
            act(world, dice, number)
        look(world)
        for each in world.callbacks[told:]:
            if each.kind == "conference" and each["StatusCallbackEvent"] == "participant-speech-start":
                assert not holding(world, CallSid(each["CallSid"])), "who is on hold is said to speak"
        if dice.random() < 0.5:
            world.commit()
        world.listen(dice.choice((1, 2, 5, 9)))
    world.end()


# --- the ways in which somebody was heard ---------------------------------------------------------------------------

ROUNDS = range(4)
"""Phones of other codecs, other losses."""


def held(world: World, call: CallSid, *, hold: bool) -> None:
    """Hold, or resume, by REST."""
    room = world.state.room_of(call)
    assert room is not None
    world.post(ChangeParticipant(room=room.sid, call=call, hold=hold))


def muted(world: World, call: CallSid, *, hold: bool) -> None:
    """Mute, which is heard as little as a hold."""
    room = world.state.room_of(call)
    assert room is not None
    world.post(ChangeParticipant(room=room.sid, call=call, muted=hold))


def phone(world: World, call: CallSid, *, hold: bool) -> None:
    """Hold, or resume, by the call's own phone."""
    world.post(PhoneHeld(call=call) if hold else PhoneResumed(call=call))


@pytest.mark.parametrize("codecs", [CODECS, ("G722",)])
@pytest.mark.parametrize("seed", ROUNDS)
@pytest.mark.parametrize("by", [held, phone, muted])
def test_speech_during_a_hold_is_not_heard_after_it(
    by: Callable[..., None], seed: int, codecs: tuple[Codec, ...]
) -> None:
    """Out of no buffer, in no frame that passes untouched, by no ear and in no recording of the conference."""
    world = studio(seed)
    world.codecs = codecs
    one, other = conference_of_two(world)
    world.commit()
    for _ in range(6):
        world.listen(12)
        assert (other, one) in world.heard
        for hold in (True, False):
            by(world, one, hold=hold)
            look(world)
            world.listen(12)
    world.end()


@pytest.mark.parametrize("seed", ROUNDS)
def test_speech_in_a_queue_is_not_heard_by_the_agent_that_dequeues_the_caller(seed: int) -> None:
    world = studio(seed)
    waiting, agent = peers_of_a_queue(world)
    world.commit()
    for _ in range(3):
        world.listen(12)
        assert (agent, waiting) in world.heard
        redirect(world, waiting, "/wait")
        world.listen(12)
        redirect(world, agent, "/take")
    world.end()


@pytest.mark.parametrize("seed", ROUNDS)
@pytest.mark.parametrize("by", [held, phone, muted])
def test_digits_pressed_before_or_during_a_hold_are_not_relayed(seed: int, by: Callable[..., None]) -> None:
    world = studio(seed)
    one, _ = conference_of_two(world)
    world.commit()
    world.listen(8)
    for _ in range(4):
        world.presses(one, "1")
        world.listen(3)
        by(world, one, hold=True)
        world.listen(20)
        world.presses(one, "1")
        world.listen(20)
        by(world, one, hold=False)
        world.listen(8)
    world.end()


@pytest.mark.parametrize("seed", ROUNDS)
def test_digits_are_not_relayed_to_a_peer_whose_phone_holds(seed: int) -> None:
    """Nor are they in a recording of what that phone hears, nor pressed when it comes back."""
    world = studio(seed)
    one, other = conference_of_two(world)
    world.commit()
    world.listen(8)
    for _ in range(4):
        for _ in range(3):
            world.presses(one, "1")
        world.listen(3)
        phone(world, other, hold=True)
        world.listen(10)
        phone(world, other, hold=False)
        assert not world.keys_wait_for(other)
        world.listen(8)
    world.end()


@pytest.mark.parametrize("by", [held, phone])
def test_a_recording_of_the_conference_has_nothing_of_a_hold_the_journal_has_not_yet(by: Callable[..., None]) -> None:
    world = studio()
    one, _ = conference_of_two(world)
    by(world, one, hold=True)
    world.listen(5)
    world.commit()
    world.listen(10)
    by(world, one, hold=False)
    world.commit()
    world.listen(10)
    by(world, one, hold=True)
    world.listen(10)
    world.end()


def test_a_recording_of_an_ended_conference_has_no_audio_of_its_former_participants() -> None:
    world = studio()
    one, other = conference_of_two(world)
    world.commit()
    world.listen(10)
    room = world.state.room_of(one)
    assert room is not None
    redirect(world, one, "/wait")
    redirect(world, other, "/park")
    assert world.state.rooms[room.sid].status is RoomStatus.COMPLETED
    world.listen(10)
    world.end()


@pytest.mark.parametrize("start", [one_who_rings_aloud, one_who_is_screened])
@pytest.mark.parametrize("seed", ROUNDS)
def test_a_callee_that_is_sent_digits_or_screened_is_not_heard_until_it_is_connected(
    seed: int, start: Callable[[World], list[CallSid]]
) -> None:
    """Its early sound was heard; what it says now is not, though it holds or not."""
    world = studio(seed)
    parent, child = start(world)
    world.commit()
    world.listen(10)
    assert (parent, child) in world.heard
    world.answers(child)
    look(world)
    world.listen(10)
    phone(world, child, hold=True)
    world.listen(10)
    world.sound_ends(child)
    look(world)
    world.listen(10)
    world.end()


@pytest.mark.parametrize("seed", ROUNDS)
@pytest.mark.parametrize("by", [held, phone])
def test_a_recording_of_a_call_keeps_its_own_party_through_a_hold(seed: int, by: Callable[..., None]) -> None:
    """As Twilio does; and of whom its phone keeps on hold there is nothing in it."""
    world = studio(seed)
    one, _ = conference_of_two(world)
    tape = RecordingSid(derive("RE", "own"))
    terms = RecordingOptions(source="StartCallRecordingAPI", dual=True)
    world.post(RecordCall(call=one, recording=tape, options=terms))
    world.commit()
    world.listen(20)
    world.holds = HOLDS[:1]
    by(world, one, hold=True)
    world.listen(30)
    world.end()
    says, hears = world.recorded(tape)
    assert {(world.moments[-1].rows[one], True)} == set().union(*says[-20:])
    assert set().union(*says[5:15]) == {(world.moments[-1].rows[one], False)}
    assert set().union(*hears[-28:]) == set()
    assert set().union(*hears[5:20]) != set()


@pytest.mark.parametrize("by", [held, phone])
def test_a_hold_made_while_the_media_process_is_unreachable_takes_effect_when_it_returns(
    by: Callable[..., None],
) -> None:
    world = studio()
    one, other, _ = conference(world)
    world.commit()
    world.listen(10)
    world.media.away = True
    by(world, one, hold=True)
    world.media_comes_back()
    world.listen(20)
    by(world, one, hold=False)
    world.heard.clear()
    world.listen(10)
    assert {(other, one), (one, other)} <= world.heard
    world.end()


def test_early_media_is_heard_again_after_the_media_process_was_unreachable() -> None:
    world = studio()
    parent, child = one_who_rings_aloud(world)
    world.commit()
    world.media_comes_back()
    world.listen(10)
    assert (parent, child) in world.heard
    world.answers(child)
    world.listen(10)
    world.end()


@pytest.mark.parametrize("seed", ROUNDS)
def test_a_coach_is_heard_by_the_coached_participant_alone_and_on_hold_by_no_participant(seed: int) -> None:
    world = studio(seed)
    coach, coached, customer = conference(world)
    room = world.state.room_of(coach)
    assert room is not None
    world.post(ChangeParticipant(room=room.sid, call=coach, coaching=True, coach=coached))
    world.commit()
    world.listen(15)
    assert (coached, coach) in world.heard
    assert (customer, coach) not in world.heard
    for by in (held, phone):
        by(world, coach, hold=True)
        world.listen(10)
        by(world, coach, hold=False)
        world.listen(10)
    assert (customer, coach) not in world.heard
    world.end()
