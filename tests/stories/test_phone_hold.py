"""Phones that hold by themselves, wherever they are: dialled, waiting in a queue, redirected while they hold."""

from __future__ import annotations

import pytest

from holdfast.testing.world import World, twiml
from holdfast.voice.model.commands import Instruction, RedirectCall, WebRequest
from holdfast.voice.model.facts import HolderSounds, PhoneHeld, PhoneResumed
from holdfast.voice.model.ids import CallSid

APP = "https://app.example"
MUSIC = "builtin:hold"


def two_legs(world: World) -> tuple[CallSid, CallSid]:
    """A parent and its child, who talk."""
    world.pages[f"{APP}/start"] = twiml('<Dial action="/after"><Client>agent</Client></Dial>')
    world.pages[f"{APP}/after"] = twiml("<Pause length='60'/>")
    parent = world.calls_in("customer", f"{APP}/start")
    (child,) = world.children(parent)
    world.rings(child)
    world.answers(child)
    return parent, child


def queued(world: World) -> CallSid:
    """A caller who waits in a queue; there is a document that takes the first of it."""
    world.pages[f"{APP}/wait"] = twiml('<Enqueue waitUrl="/music">line</Enqueue>')
    world.pages[f"{APP}/music"] = twiml("<Play loop='0'>https://app.example/song.mp3</Play>")
    world.pages[f"{APP}/take"] = twiml("<Dial><Queue>line</Queue></Dial>")
    return world.calls_in("caller", f"{APP}/wait")


@pytest.mark.parametrize("held", [0, 1])
def test_either_leg_of_a_dial_may_hold_and_the_other_hears_music(world: World, held: int) -> None:
    legs = two_legs(world)
    one, other = legs[held], legs[1 - held]
    world.post(PhoneHeld(call=one))
    assert (world.heard_by(one), world.heard_by(other)) == ({other}, MUSIC)
    world.post(PhoneHeld(call=one))
    world.post(PhoneResumed(call=one))
    assert (world.heard_by(one), world.heard_by(other)) == ({other}, {one})
    world.check()


def test_both_hold_and_come_back_one_by_one(world: World) -> None:
    parent, child = two_legs(world)
    world.post(PhoneHeld(call=parent))
    world.post(PhoneHeld(call=child))
    assert (world.heard_by(parent), world.heard_by(child)) == ("silence", "silence")
    world.post(PhoneResumed(call=parent))
    assert world.heard_by(parent) == MUSIC
    world.post(PhoneResumed(call=child))
    assert (world.heard_by(parent), world.heard_by(child)) == ({child}, {parent})
    world.check()


def test_a_phone_that_holds_while_the_other_rings_is_met_with_music_at_the_answer(world: World) -> None:
    world.pages[f"{APP}/start"] = twiml("<Dial><Client>agent</Client></Dial>")
    parent = world.calls_in("customer", f"{APP}/start")
    (child,) = world.children(parent)
    world.post(PhoneHeld(call=parent))
    world.answers(child)
    assert world.heard_by(child) == MUSIC
    world.post(PhoneResumed(call=parent))
    assert world.heard_by(child) == {parent}
    world.check()


def test_a_member_that_holds_by_its_phone_is_taken_all_the_same(world: World) -> None:
    caller = queued(world)
    world.post(PhoneHeld(call=caller))
    agent = world.calls_in("agent", f"{APP}/take")
    assert world.heard_by(agent) == MUSIC
    world.post(PhoneResumed(call=caller))
    assert (world.heard_by(agent), world.heard_by(caller)) == ({caller}, {agent})
    world.post(PhoneHeld(call=agent))
    assert world.heard_by(caller) == MUSIC
    world.hangs_up(agent)
    assert caller not in world.playing
    world.check()


def test_a_hold_by_phone_goes_with_the_call_wherever_it_is_sent(world: World) -> None:
    parent, child = two_legs(world)
    world.post(PhoneHeld(call=child))
    world.pages[f"{APP}/room"] = twiml("<Dial><Conference>room</Conference></Dial>")
    instruction = Instruction(request=WebRequest(url=f"{APP}/room"))
    world.post(RedirectCall(call=child, instruction=instruction))
    other = world.calls_in("other", f"{APP}/room")
    assert world.heard_by(other) == MUSIC
    world.post(PhoneResumed(call=child))
    assert (world.heard_by(other), world.heard_by(child)) == ({child}, {other})
    assert world.call(parent).live
    world.check()


def test_the_music_ends_with_the_phone_that_held(world: World) -> None:
    parent, child = two_legs(world)
    world.post(PhoneHeld(call=child))
    assert world.heard_by(parent) == MUSIC
    world.hangs_up(child)
    assert world.heard_by(parent) == "silence"
    assert parent not in world.playing
    assert world.call(child).phone_held_at is not None
    world.check()


# --- a holder that goes on sending ---------------------------------------------------------------------------------


@pytest.mark.parametrize("held", [0, 1])
def test_a_trunk_that_holds_and_sends_its_own_music_is_heard_and_our_music_plays_while_it_is_silent(
    world: World, held: int
) -> None:
    legs = two_legs(world)
    trunk, other = legs[held], legs[1 - held]
    world.post(PhoneHeld(call=trunk, may_be_heard=True))
    assert world.heard_by(other) == MUSIC
    for _ in range(2):
        world.post(HolderSounds(call=trunk, sounds=True))
        assert world.heard_by(other) == {trunk}
        assert other not in world.playing
        world.post(HolderSounds(call=trunk, sounds=False))
        assert world.heard_by(other) == MUSIC
    world.post(PhoneResumed(call=trunk))
    assert (world.heard_by(trunk), world.heard_by(other)) == ({other}, {trunk})
    world.check()


def test_an_agent_that_holds_with_an_open_microphone_is_heard_by_no_party(world: World) -> None:
    """Whatever the media process reports of it, during the hold and after it."""
    customer, agent = two_legs(world)
    world.post(HolderSounds(call=agent, sounds=True))
    world.post(PhoneHeld(call=agent))
    world.post(HolderSounds(call=agent, sounds=True))
    assert world.heard_by(customer) == MUSIC
    world.post(PhoneResumed(call=agent))
    world.post(HolderSounds(call=agent, sounds=True))
    world.post(PhoneHeld(call=agent))
    assert world.heard_by(customer) == MUSIC
    world.check()


def test_a_trunk_that_stops_sending_or_holds_again_is_heard_only_when_it_sounds_again(world: World) -> None:
    customer, trunk = two_legs(world)
    world.post(PhoneHeld(call=trunk, may_be_heard=True))
    since = world.call(trunk).phone_held_at
    world.post(HolderSounds(call=trunk, sounds=True))
    world.passes(5)
    # The direction becomes inactive, and sendonly again: it is one hold.
    world.post(PhoneHeld(call=trunk))
    assert world.heard_by(customer) == MUSIC
    world.post(PhoneHeld(call=trunk, may_be_heard=True))
    assert world.heard_by(customer) == MUSIC
    assert world.call(trunk).phone_held_at == since
    world.post(HolderSounds(call=trunk, sounds=True))
    assert world.heard_by(customer) == {trunk}
    world.post(PhoneResumed(call=trunk))
    world.post(PhoneHeld(call=trunk, may_be_heard=True))
    assert world.heard_by(customer) == MUSIC
    world.check()


def test_a_trunk_that_plays_music_while_it_is_met_is_heard_at_once(world: World) -> None:
    world.pages[f"{APP}/start"] = twiml("<Dial><Client>agent</Client></Dial>")
    trunk = world.calls_in("customer", f"{APP}/start")
    (child,) = world.children(trunk)
    world.post(PhoneHeld(call=trunk, may_be_heard=True))
    world.post(HolderSounds(call=trunk, sounds=True))
    world.answers(child)
    assert world.heard_by(child) == {trunk}
    world.check()


def test_two_holders_one_heard_hear_nothing_but_what_is_sent(world: World) -> None:
    """Nothing is sent to a phone that holds, so no music is started for it."""
    parent, child = two_legs(world)
    world.post(PhoneHeld(call=parent))
    world.post(PhoneHeld(call=child, may_be_heard=True))
    world.post(HolderSounds(call=child, sounds=True))
    assert (world.heard_by(parent), world.heard_by(child)) == ({child}, "silence")
    world.check()
