"""The state: a message that raises changes nothing, wherever it raises; old finished nouns are discarded."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from holdfast.testing.world import ACCOUNT, START, World, twiml
from holdfast.voice.control import state as state_module
from holdfast.voice.control.read_only_state import (
    Emitted,
    Message,
    Step,
)
from holdfast.voice.control.serialization import snapshots
from holdfast.voice.control.state import (
    EngineState,
)
from holdfast.voice.model.commands import (
    ChangeParticipant,
    CreateQueue,
    DeleteQueue,
    EndCall,
    EndRoom,
    ForgetCall,
    Instruction,
    RedirectCall,
)
from holdfast.voice.model.errors import AskedWrong, NotFound, RecordNotFinished
from holdfast.voice.model.facts import LegEnded, LegSpeaks, TimerFired
from holdfast.voice.model.ids import CallSid, QueueSid, RoomSid, Token
from holdfast.voice.model.internal_commands import NoteAnnounced, NoteParticipant, NotePhoneHold, StopDialQueue
from holdfast.voice.model.ports import Snapshot

UNKNOWN = CallSid("CA" + "9" * 32)
DOCUMENTS = (
    "<Dial><Conference>one</Conference></Dial>",
    "<Dial><Conference>two</Conference></Dial>",
    "<Enqueue>line</Enqueue>",
    "<Dial><Queue>line</Queue></Dial>",
    "<Dial><Queue url='/whisper'>line</Queue></Dial>",
    "<Dial><Client>a</Client><Client>b</Client></Dial>",
    "<Record/>",
)


class StepFailed(AskedWrong):
    """The step fails in the middle."""


@dataclass(slots=True)
class FailingState(EngineState):
    """A state that fails at the n-th message of a step."""

    left: int = 1_000_000
    failures: int = 0

    def apply(self, message: Message, now: float) -> Step:
        before = state(self)
        try:
            return EngineState.apply(self, message, now)
        except StepFailed:
            assert state(self) == before
            assert self.runner.running == {}
            self.failures += 1
            raise

    def _dispatch(self, message: Message, now: float) -> Iterable[Emitted]:
        self.left -= 1
        if self.left == 0:
            raise StepFailed("in the middle of a step")
        return EngineState._dispatch(self, message, now)


def state(engine: EngineState) -> tuple[object, ...]:
    """Return all nouns of a state, with its indexes."""
    indexes = (engine._rooms_of, engine._queues_of, engine._active, engine._named)
    return tuple(dict(each) for each in (engine.calls, engine.rooms, engine.queues, *indexes))


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 2**32), fails_at=st.integers(1, 12))
def test_a_step_that_fails_in_its_middle_changes_nothing(seed: int, fails_at: int) -> None:
    walked_with_failures(seed, fails_at)


def test_steps_do_fail_in_their_middle() -> None:
    """Or the test above would prove nothing."""
    assert all(walked_with_failures(seed, fails_at=2).failures for seed in range(5))


def walked_with_failures(seed: int, fails_at: int) -> FailingState:
    """Walk at random, where half of the steps fail at their n-th message, and return the state."""
    dice = Random(seed)
    engine = FailingState()
    world = World(state=engine)
    for number in range(12):
        calls = [call.sid for call in engine.calls.values() if call.live]
        inline = Instruction(twiml=twiml(dice.choice(DOCUMENTS)))
        engine.left = fails_at if dice.random() < 0.5 else 1_000_000
        try:
            if not calls or dice.random() < 0.4:
                world.calls_in(f"caller{number}", twiml=twiml(dice.choice(DOCUMENTS)))
            elif dice.random() < 0.7:
                world.post(RedirectCall(call=dice.choice(calls), instruction=inline))
            else:
                world.post(EndCall(call=dice.choice(calls)))
        except AskedWrong:
            world._inbox.clear()
        engine.left = 1_000_000
        for call in [call for call in engine.calls.values() if world.legs.get(call.sid) == "called"]:
            world.answers(call.sid)
    rebuilt = EngineState()
    rebuilt.restore([*engine.calls.values(), *engine.rooms.values(), *engine.queues.values()])
    assert state(rebuilt) == state(engine)
    return engine


def test_a_fact_for_an_unknown_call_changes_nothing() -> None:
    engine = EngineState()
    for fact in (LegEnded(call=UNKNOWN), TimerFired(token=Token(f"{UNKNOWN}/main1/1.1"))):
        step = engine.apply(fact, START)
        assert (step.effects, step.nouns) == ((), ())


def test_a_message_that_changes_nothing_stores_no_noun() -> None:
    world = World()
    call = world.calls_in("a", twiml=twiml("<Dial><Conference>one</Conference></Dial>"))
    waiting = world.calls_in("b", twiml=twiml("<Enqueue>line</Enqueue>"))
    messages: tuple[Message, ...] = (
        TimerFired(token=Token(f"{call}/main9/1.1")),
        LegSpeaks(call=call, speaks=True),
        NotePhoneHold(call=call, held=False),
        NoteAnnounced(call=call),
        NoteParticipant(call=call, status="ringing"),
        StopDialQueue(call=waiting),
    )
    world.passes(1)
    for message in messages:
        assert list(snapshots(world.state.apply(message, world.now))) == []


def test_only_a_finished_call_is_forgotten() -> None:
    world = World()
    call = world.calls_in("a", twiml=twiml("<Pause length='9'/>"))
    with pytest.raises(RecordNotFinished):
        world.post(ForgetCall(call=call))
    world.hangs_up(call)
    world.post(ForgetCall(call=call))
    assert call not in world.state.calls
    assert ("call", call) not in world.stored
    with pytest.raises(NotFound):
        world.post(ForgetCall(call=call))


def test_a_deleted_queue_is_gone() -> None:
    engine, queue = EngineState(), QueueSid("QU" + "1" * 32)
    engine.apply(CreateQueue(queue=queue, account=ACCOUNT, name="q"), START)
    step = engine.apply(DeleteQueue(queue=queue), START)
    assert [*snapshots(step)] == [Snapshot(noun="queue", sid=queue, data="")]


def test_a_bridge_is_no_conference() -> None:
    world = World()
    parent = world.calls_in("a", twiml=twiml("<Dial><Client>b</Client></Dial>"))
    world.answers(world.children(parent)[0])
    bridge = world.state.room_of(parent)
    assert bridge is not None
    for room in (bridge.sid, RoomSid("CF" + "9" * 32)):
        with pytest.raises(NotFound):
            world.post(EndRoom(room=room))
        with pytest.raises(NotFound):
            world.post(ChangeParticipant(room=room, call=parent, hold=True))


def test_old_finished_calls_and_rooms_are_discarded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(state_module, "MAX_FINISHED", 4)
    world = World()
    for number in range(10):
        world.hangs_up(world.calls_in(f"a{number}", twiml=twiml(f"<Dial><Conference>{number}</Conference></Dial>")))
    assert len(world.state.calls) + len(world.state.rooms) == 4


def test_late_messages_for_a_finished_call_do_not_hasten_its_discarding(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(state_module, "MAX_FINISHED", 2)
    world = World()
    calls = [world.calls_in(name, twiml=twiml("<Pause length='60'/>")) for name in ("a", "b", "c")]
    for call in calls:
        world.hangs_up(call)
        for _ in range(3):
            world.post(LegEnded(call=call))
    assert list(world.state.calls) == calls[1:]


def test_late_messages_for_a_finished_conference_do_not_hasten_its_discarding(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(state_module, "MAX_FINISHED", 4)
    world = World()
    for name in ("a", "b", "c"):
        call = world.calls_in(name, twiml=twiml(f"<Dial><Conference>{name}</Conference></Dial>"))
        (room,) = (each for each in world.state.rooms.values() if each.name == name)
        world.hangs_up(call)
        for _ in range(3):
            world.post(EndRoom(room=room.sid))
    assert [room.name for room in world.state.rooms.values()] == ["b", "c"]


def test_discarded_nouns_are_removed_from_the_store_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """Or every start would read all the calls there ever were."""
    world = World()
    calls = [world.calls_in(f"a{number}", twiml=twiml("<Pause length='60'/>")) for number in range(3)]
    for call in calls:
        world.passes(1)
        world.hangs_up(call)
    monkeypatch.setattr(state_module, "MAX_FINISHED", 2)
    rebuilt = EngineState()
    rebuilt.restore([*reversed(world.state.calls.values())])
    step = rebuilt.apply(CreateQueue(queue=QueueSid("QU" + "1" * 32), account=ACCOUNT, name="q"), START)
    assert [(each.noun, each.sid) for each in snapshots(step) if not each.data] == [("call", calls[0])]
    assert set(rebuilt.calls) == set(calls[1:])
