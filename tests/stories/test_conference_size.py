"""What a hold, a mute and a join cost in a large conference is what they cost in a small one."""

from __future__ import annotations

import pytest

from holdfast.testing.world import World, twiml
from holdfast.voice.control.read_only_state import Message
from holdfast.voice.control.serialization import entries_of, snapshots
from holdfast.voice.media_process.control_link.packing import pack
from holdfast.voice.model.commands import AnnounceToRoom, ChangeParticipant, Instruction, RedirectCall, WebRequest
from holdfast.voice.model.effects import Beep, DetectSpeech, DropUnheard, RouteAudio
from holdfast.voice.model.ids import CallSid

STORE_BYTES = 8000
APP = "https://app.example"


def page(name: str) -> str:
    return twiml(f"<Dial><Conference>{name}</Conference></Dial>")


def filled(world: World, name: str, size: int) -> list[CallSid]:
    """Return the calls of a conference with this many participants."""
    world.pages[f"{APP}/{name}"] = page(name)
    return [world.calls_in(f"{name}-{number}", f"{APP}/{name}") for number in range(size)]


def bytes_of(world: World, message: Message) -> tuple[int, int]:
    """Return how many bytes a message sends to the media process, and how many it stores."""
    step = world.state.apply(message, world.now)
    sent = [each for each in step.effects if isinstance(each, RouteAudio | DropUnheard | DetectSpeech | Beep)]
    rows = [each.data for each in entries_of(step, world.now)] + [each.data for each in snapshots(step)]
    return sum(len(pack(each)) for each in sent), sum(map(len, rows))


@pytest.mark.parametrize(("hold", "muted"), [(True, None), (None, True)])
def test_a_change_in_a_conference_of_250_sends_and_stores_what_it_does_in_one_of_10(
    hold: bool | None, muted: bool | None
) -> None:
    found = []
    for size in (10, 250):
        world = World()
        calls = filled(world, "room", size)
        room = world.state.room_of(calls[4])
        assert room is not None
        found.append(bytes_of(world, ChangeParticipant(room=room.sid, call=calls[4], hold=hold, muted=muted)))
    (wire_of_10, stored_of_10), (wire, stored) = found
    assert wire <= 3 * wire_of_10
    assert stored <= min(3 * stored_of_10, STORE_BYTES)


def test_a_caller_moves_from_a_conference_of_250_into_another_of_249() -> None:
    world = World()
    first, second = filled(world, "first", 250), filled(world, "second", 249)
    since = len(world.effects)
    world.post(RedirectCall(call=first[0], instruction=Instruction(twiml=page("second"))))
    assert world.heard_by(first[0]) == frozenset(second)
    assert world.heard_by(second[0]) == frozenset({first[0], *second[1:]})
    assert world.heard_by(first[1]) == frozenset(first[2:])
    routed = [each for each in world.effects[since:] if isinstance(each, RouteAudio)]
    assert [(len(each.seats), len(each.left)) for each in routed] == [(0, 1), (1, 0)]


def test_a_hold_during_an_announcement_to_250_sends_and_stores_what_it_does_in_one_of_10() -> None:
    found = []
    for size in (10, 250):
        world = World()
        calls = filled(world, "room", size)
        room = world.state.room_of(calls[4])
        assert room is not None
        world.pages[f"{APP}/news"] = twiml("<Play>news.mp3</Play>")
        world.post(AnnounceToRoom(room=room.sid, request=WebRequest(url=f"{APP}/news")))
        assert {world.heard_by(call) for call in calls} == {f"{APP}/news.mp3"}
        world.sound_ends(calls[7])
        found.append(bytes_of(world, ChangeParticipant(room=room.sid, call=calls[4], hold=True)))
    (wire_of_10, stored_of_10), (wire, stored) = found
    assert wire <= 3 * wire_of_10
    assert stored <= min(3 * stored_of_10, STORE_BYTES)
