"""The state: a message that raises changes nothing, wherever it raises; old finished nouns are discarded."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from holdfast.testing.world import ACCOUNT, START, World, twiml
from holdfast.voice.control import state as board_module
from holdfast.voice.control.read_only_state import (
    Emitted,
    Message,
    Step,
)
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
from holdfast.voice.model.facts import LegEnded, TimerFired
from holdfast.voice.model.ids import CallSid, QueueSid, RoomSid, Token

NOBODY = CallSid("CA" + "9" * 32)
DOCUMENTS = (
    "<Dial><Conference>one</Conference></Dial>",
    "<Dial><Conference>two</Conference></Dial>",
    "<Enqueue>line</Enqueue>",
    "<Dial><Queue>line</Queue></Dial>",
    "<Dial><Queue url='/whisper'>line</Queue></Dial>",
    "<Dial><Client>a</Client><Client>b</Client></Dial>",
    "<Record/>",
)


class Stumble(AskedWrong):
    """The step fails in the middle."""


@dataclass(slots=True)
class Stumbling(EngineState):
    """A board that fails at the n-th message of a step."""

    left: int = 1_000_000
    stumbled: int = 0

    def apply(self, message: Message, now: float) -> Step:
        before = state(self)
        try:
            return EngineState.apply(self, message, now)
        except Stumble:
            assert state(self) == before
            assert self.runner.running == {}
            self.stumbled += 1
            raise

    def _dispatch(self, message: Message, now: float) -> Iterable[Emitted]:
        self.left -= 1
        if self.left == 0:
            raise Stumble("in the middle of a step")
        return EngineState._dispatch(self, message, now)


def state(board: EngineState) -> tuple[object, ...]:
    """All that is on a board, with its indexes."""
    indexes = (board._rooms_of, board._queues_of, board._active, board._named)
    return tuple(dict(each) for each in (board.calls, board.rooms, board.queues, *indexes))


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 2**32), stumble=st.integers(1, 12))
def test_a_step_that_fails_in_its_middle_changes_nothing(seed: int, stumble: int) -> None:
    walked_with_failures(seed, stumble)


def test_steps_do_fail_in_their_middle() -> None:
    """Or the test above would prove nothing."""
    assert all(walked_with_failures(seed, stumble=2).stumbled for seed in range(5))


def walked_with_failures(seed: int, stumble: int) -> Stumbling:
    """Walk at random, where half of the steps fail at their n-th message, and return the state."""
    dice = Random(seed)
    board = Stumbling()
    world = World(state=board)
    for number in range(12):
        calls = [call.sid for call in board.calls.values() if call.live]
        inline = Instruction(twiml=twiml(dice.choice(DOCUMENTS)))
        board.left = stumble if dice.random() < 0.5 else 1_000_000
        try:
            if not calls or dice.random() < 0.4:
                world.calls_in(f"caller{number}", twiml=twiml(dice.choice(DOCUMENTS)))
            elif dice.random() < 0.7:
                world.post(RedirectCall(call=dice.choice(calls), instruction=inline))
            else:
                world.post(EndCall(call=dice.choice(calls)))
        except AskedWrong:
            world._inbox.clear()
        board.left = 1_000_000
        for call in [call for call in board.calls.values() if world.legs.get(call.sid) == "called"]:
            world.answers(call.sid)
    rebuilt = EngineState()
    rebuilt.restore([*board.calls.values(), *board.rooms.values(), *board.queues.values()])
    assert state(rebuilt) == state(board)
    return board


def test_a_fact_for_an_unknown_call_changes_nothing() -> None:
    board = EngineState()
    for fact in (LegEnded(call=NOBODY), TimerFired(token=Token(f"{NOBODY}/main1/1.1"))):
        step = board.apply(fact, START)
        assert (step.effects, step.nouns) == ((), ())


def test_only_a_finished_call_is_forgotten() -> None:
    world = World()
    call = world.calls_in("a", twiml=twiml("<Pause length='9'/>"))
    with pytest.raises(RecordNotFinished):
        world.post(ForgetCall(call=call))
    world.hangs_up(call)
    world.post(ForgetCall(call=call))
    assert call not in world.state.calls
    assert world.state.removed() == (("call", call),)
    with pytest.raises(NotFound):
        world.post(ForgetCall(call=call))


def test_a_deleted_queue_is_gone() -> None:
    board, queue = EngineState(), QueueSid("QU" + "1" * 32)
    board.apply(CreateQueue(queue=queue, account=ACCOUNT, name="q"), START)
    board.apply(DeleteQueue(queue=queue), START)
    assert board.removed() == (("queue", queue),)


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
    monkeypatch.setattr(board_module, "MAX_FINISHED", 4)
    world = World()
    for number in range(10):
        world.hangs_up(world.calls_in(f"a{number}", twiml=twiml(f"<Dial><Conference>{number}</Conference></Dial>")))
    assert len(world.state.calls) + len(world.state.rooms) == 4


def test_late_messages_for_a_finished_call_do_not_hasten_its_discarding(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(board_module, "MAX_FINISHED", 2)
    world = World()
    calls = [world.calls_in(name, twiml=twiml("<Pause length='60'/>")) for name in ("a", "b", "c")]
    for call in calls:
        world.hangs_up(call)
        for _ in range(3):
            world.post(LegEnded(call=call))
    assert list(world.state.calls) == calls[1:]


def test_late_messages_for_a_finished_conference_do_not_hasten_its_discarding(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(board_module, "MAX_FINISHED", 4)
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
    monkeypatch.setattr(board_module, "MAX_FINISHED", 2)
    rebuilt = EngineState()
    rebuilt.restore([*reversed(world.state.calls.values())])
    rebuilt.apply(CreateQueue(queue=QueueSid("QU" + "1" * 32), account=ACCOUNT, name="q"), START)
    assert rebuilt.removed() == (("call", calls[0]),)
    assert set(rebuilt.calls) == set(calls[1:])
