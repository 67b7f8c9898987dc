"""A conference participant is held and resumed. Source: Twilio API, Participant resource."""

from __future__ import annotations

import pytest

from holdfast.testing.world import World, twiml
from holdfast.voice.control.entities import Participant, Room
from holdfast.voice.model.commands import (
    ChangeParticipant,
    WebRequest,
)
from holdfast.voice.model.effects import PlaySound
from holdfast.voice.model.errors import NotFound
from holdfast.voice.model.facts import HolderSounds, PhoneHeld, PhoneResumed
from holdfast.voice.model.ids import CallSid

APP = "https://app.example"
EVENTS = "start end join leave mute hold"
ROOM = twiml(
    f'<Dial action="/after"><Conference statusCallback="/events" statusCallbackEvent="{EVENTS}">'
    "room</Conference></Dial>"
)


def meet(world: World) -> tuple[CallSid, CallSid, Room]:
    """Alice and Bob are in a conference."""
    world.pages[f"{APP}/room"] = ROOM
    world.pages[f"{APP}/after"] = twiml("<Hangup/>")
    alice, bob = world.calls_in("alice", f"{APP}/room"), world.calls_in("bob", f"{APP}/room")
    return alice, bob, room_of(world, alice)


def room_of(world: World, call: CallSid) -> Room:
    room = world.state.room_of(call)
    assert room is not None
    return room


def participant(world: World, call: CallSid) -> Participant:
    one = room_of(world, call).participant(call)
    assert one is not None
    return one


def hold(world: World, call: CallSid, url: str | None = None) -> None:
    request = None if url is None else WebRequest(url=url, method="GET")
    world.post(ChangeParticipant(room=room_of(world, call).sid, call=call, hold=True, hold_request=request))


def resume(world: World, call: CallSid) -> None:
    world.post(ChangeParticipant(room=room_of(world, call).sid, call=call, hold=False))


def test_the_first_hears_wait_music_until_the_second_comes(world: World) -> None:
    world.pages[f"{APP}/room"] = ROOM
    alice = world.calls_in("alice", f"{APP}/room")
    assert world.heard_by(alice) == "builtin:hold"
    assert room_of(world, alice).status == "init"
    bob = world.calls_in("bob", f"{APP}/room")
    assert room_of(world, alice).status == "in-progress"
    assert world.heard_by(alice) == {bob}
    assert world.heard_by(bob) == {alice}
    assert world.events() == ["participant-join", "participant-join", "conference-start"]
    world.check()


def test_hold_takes_the_participant_out_and_plays_to_it_alone(world: World) -> None:
    alice, bob, _ = meet(world)
    hold(world, alice)
    assert world.heard_by(alice) == "builtin:hold"
    assert world.heard_by(bob) == "silence"
    assert world.call(alice).status == "in-progress"
    assert world.events()[-1] == "participant-hold"
    assert world.callbacks[-1]["Hold"] == "true"
    resume(world, alice)
    assert world.heard_by(alice) == {bob}
    assert world.heard_by(bob) == {alice}
    assert world.events()[-1] == "participant-unhold"
    assert alice not in world.playing
    world.check()


def test_a_direct_audio_file_is_played_once_then_silence(world: World) -> None:
    alice, _, _ = meet(world)
    world.pages[f"{APP}/song.mp3"] = "audio"
    hold(world, alice, f"{APP}/song.mp3")
    assert world.heard_by(alice) == f"clip:{APP}/song.mp3"
    assert world.playing[alice][2] == 1
    assert world.document_requests[-1]["Hold"] == "true"
    assert world.document_requests[-1].method == "GET"
    world.sound_ends(alice)
    assert world.heard_by(alice) == "silence"
    world.passes(10)
    assert world.heard_by(alice) == "silence"
    resume(world, alice)
    world.check()


def test_a_hold_document_plays_in_its_order_and_loops_by_redirect(world: World) -> None:
    alice, bob, _ = meet(world)
    world.pages[f"{APP}/hold.xml"] = twiml("<Play>/one.mp3</Play><Pause length='3'/><Redirect/>")
    hold(world, alice, f"{APP}/hold.xml")
    assert world.heard_by(alice) == f"{APP}/one.mp3"
    world.sound_ends(alice)
    assert world.heard_by(alice) == "silence"
    world.passes(3)
    assert world.heard_by(alice) == f"{APP}/one.mp3"
    assert world.urls().count(f"{APP}/hold.xml") == 2
    resume(world, alice)
    assert world.heard_by(alice) == {bob}
    world.passes(60)
    assert world.urls().count(f"{APP}/hold.xml") == 2


def test_a_hold_url_that_fails_becomes_the_built_in_music_after_two_seconds(world: World) -> None:
    alice, _, _ = meet(world)
    hold(world, alice, f"{APP}/gone")
    assert world.heard_by(alice) == "silence"
    assert world.notifications[-1].code == 11200
    world.passes(2.1)
    assert world.heard_by(alice) == "builtin:hold"
    resume(world, alice)
    assert alice not in world.playing
    world.check()


def test_a_hold_url_that_breaks_the_rules_is_13238_and_becomes_music(world: World) -> None:
    alice, _, _ = meet(world)
    world.pages[f"{APP}/dial"] = twiml("<Dial>+15550111</Dial>")
    hold(world, alice, f"{APP}/dial")
    world.passes(2.1)
    assert world.notifications[-1].code == 13238
    assert world.heard_by(alice) == "builtin:hold"
    assert not world.children(alice)


def test_music_plays_until_a_slow_hold_url_begins(world: World) -> None:
    alice, _, _ = meet(world)
    world.pages[f"{APP}/slow"] = twiml("<Play>/song.mp3</Play>")
    world.withheld_urls.add(f"{APP}/slow")
    hold(world, alice, f"{APP}/slow")
    world.passes(2.1)
    assert world.heard_by(alice) == "builtin:hold"
    world.release(f"{APP}/slow")
    assert world.heard_by(alice) == f"{APP}/song.mp3"


def hold_with_sound_on_its_way(world: World) -> CallSid:
    """Alice is held by a document whose sound does not come."""
    alice, _, _ = meet(world)
    world.pages[f"{APP}/hold"] = twiml("<Play loop='0'>/song.mp3</Play>")
    world.withheld_urls.add(f"{APP}/song.mp3")
    hold(world, alice, f"{APP}/hold")
    assert world.heard_by(alice) == "silence"
    return alice


def test_music_plays_until_a_slow_hold_sound_begins(world: World) -> None:
    alice = hold_with_sound_on_its_way(world)
    world.passes(2.1)
    assert world.heard_by(alice) == "builtin:hold"
    world.release(f"{APP}/song.mp3")
    assert world.heard_by(alice) == f"{APP}/song.mp3"
    resume(world, alice)
    assert alice not in world.playing
    world.check()


@pytest.mark.parametrize("when_s", [0.0, 10.0])
def test_a_failed_hold_sound_becomes_the_built_in_music(world: World, when_s: float) -> None:
    alice = hold_with_sound_on_its_way(world)
    world.passes(when_s)
    world.sound_fails(alice)
    world.passes(2.1)
    assert world.notifications[-1].code == 11200
    assert world.heard_by(alice) == "builtin:hold"
    resume(world, alice)
    assert alice not in world.playing
    world.check()


def test_a_hold_sound_in_time_is_not_replaced_by_music(world: World) -> None:
    alice = hold_with_sound_on_its_way(world)
    world.release(f"{APP}/song.mp3")
    world.passes(10.0)
    assert world.heard_by(alice) == f"{APP}/song.mp3"


def test_hold_again_with_another_url_switches_without_an_event(world: World) -> None:
    alice, _, _ = meet(world)
    world.pages |= {f"{APP}/one.mp3": "audio", f"{APP}/two.mp3": "audio"}
    hold(world, alice, f"{APP}/one.mp3")
    hold(world, alice, f"{APP}/two.mp3")
    assert world.heard_by(alice) == f"clip:{APP}/two.mp3"
    assert world.events().count("participant-hold") == 1


def test_resume_of_a_participant_not_on_hold_changes_nothing(world: World) -> None:
    alice, bob, _ = meet(world)
    resume(world, alice)
    assert "participant-unhold" not in world.events()
    assert world.heard_by(alice) == {bob}


def test_a_mute_survives_a_hold_in_every_order(world: World) -> None:
    alice, bob, room = meet(world)
    world.post(ChangeParticipant(room=room.sid, call=alice, muted=True))
    hold(world, alice)
    resume(world, alice)
    assert world.heard_by(bob) == "silence"
    assert world.heard_by(alice) == {bob}
    hold(world, alice)
    world.post(ChangeParticipant(room=room.sid, call=alice, muted=False))
    assert world.heard_by(bob) == "silence"
    resume(world, alice)
    assert world.heard_by(bob) == {alice}


def test_two_held_participants_hear_their_own_music(world: World) -> None:
    alice, bob, _ = meet(world)
    world.pages[f"{APP}/song.mp3"] = "audio"
    hold(world, alice)
    hold(world, bob, f"{APP}/song.mp3")
    assert (world.heard_by(alice), world.heard_by(bob)) == ("builtin:hold", f"clip:{APP}/song.mp3")
    resume(world, alice)
    assert (world.heard_by(alice), world.heard_by(bob)) == ("silence", f"clip:{APP}/song.mp3")


def test_the_held_one_stays_held_when_the_other_leaves(world: World) -> None:
    alice, bob, room = meet(world)
    hold(world, alice)
    world.hangs_up(bob)
    assert world.heard_by(alice) == "builtin:hold"
    assert world.state.rooms[room.sid].status == "in-progress"
    assert world.events()[-1] == "participant-leave"
    world.check()


def test_a_held_participant_hangs_up_and_no_other_is_affected(world: World) -> None:
    alice, bob, room = meet(world)
    hold(world, alice)
    world.hangs_up(alice)
    assert world.call(bob).live
    assert alice not in world.playing
    world.hangs_up(bob)
    assert world.state.rooms[room.sid].status == "completed"
    assert world.state.rooms[room.sid].reason_ended == "last-participant-left"
    assert world.events()[-2:] == ["participant-leave", "conference-end"]
    with pytest.raises(NotFound):
        world.post(ChangeParticipant(room=room.sid, call=alice, hold=False))
    world.check()


def test_end_on_exit_changed_while_held_has_no_effect(world: World) -> None:
    alice, bob, room = meet(world)
    hold(world, bob)
    world.post(ChangeParticipant(room=room.sid, call=bob, end_on_exit=True))
    assert not participant(world, bob).end_on_exit
    world.hangs_up(bob)
    assert world.call(alice).live


def test_a_phone_that_holds_by_itself_gives_its_peer_music(world: World) -> None:
    alice, bob, _ = meet(world)
    world.post(PhoneHeld(call=alice))
    assert world.heard_by(bob) == "builtin:hold"
    world.post(PhoneResumed(call=alice))
    assert world.heard_by(bob) == {alice}
    world.post(PhoneHeld(call=alice))
    hold(world, alice)
    resume(world, alice)
    assert world.heard_by(bob) == "builtin:hold"
    world.post(PhoneResumed(call=alice))
    assert world.heard_by(bob) == {alice}
    world.check()


def test_a_trunk_that_holds_with_its_own_music_is_heard_in_a_conference_unless_it_is_held_or_muted(
    world: World,
) -> None:
    trunk, bob, room = meet(world)
    carol = world.calls_in("carol", f"{APP}/room")
    world.post(PhoneHeld(call=trunk, may_be_heard=True))
    assert (world.heard_by(bob), world.heard_by(carol)) == ({carol}, {bob})
    world.post(HolderSounds(call=trunk, sounds=True))
    assert (world.heard_by(bob), world.heard_by(carol)) == ({trunk, carol}, {trunk, bob})
    hold(world, trunk)
    assert world.heard_by(bob) == {carol}
    resume(world, trunk)
    assert world.heard_by(bob) == {trunk, carol}
    world.post(ChangeParticipant(room=room.sid, call=trunk, muted=True))
    assert world.heard_by(bob) == {carol}
    world.post(ChangeParticipant(room=room.sid, call=trunk, muted=False))
    world.hangs_up(carol)
    assert world.heard_by(bob) == {trunk}
    world.post(HolderSounds(call=trunk, sounds=False))
    assert world.heard_by(bob) == "builtin:hold"
    world.check()


def test_one_held_by_rest_and_one_by_phone_leave_the_third_with_music(world: World) -> None:
    alice, bob, room = meet(world)
    carol = world.calls_in("carol", f"{APP}/room")
    hold(world, alice)
    assert world.heard_by(bob) == {carol}
    world.post(PhoneHeld(call=carol))
    assert world.heard_by(bob) == "builtin:hold"
    world.post(PhoneResumed(call=carol))
    assert world.heard_by(bob) == {carol}
    world.hangs_up(carol)
    assert world.heard_by(bob) == "silence"
    assert world.state.rooms[room.sid].status == "in-progress"
    world.check()


def test_a_muted_participant_or_a_coach_leaves_the_music_of_a_phone_hold_playing(world: World) -> None:
    alice, bob, room = meet(world)
    world.pages[f"{APP}/coach"] = twiml(f'<Dial><Conference coach="{bob}">room</Conference></Dial>')
    coach = world.calls_in("coach", f"{APP}/coach")
    listener = world.calls_in("listener", f"{APP}/room")
    world.post(ChangeParticipant(room=room.sid, call=listener, muted=True))
    world.post(PhoneHeld(call=bob))
    assert (world.heard_by(alice), world.heard_by(coach), world.heard_by(listener)) == (
        "builtin:hold",
        {alice},
        {alice},
    )
    world.post(ChangeParticipant(room=room.sid, call=listener, muted=False))
    assert world.heard_by(alice) == {listener}
    world.post(ChangeParticipant(room=room.sid, call=listener, muted=True))
    assert world.heard_by(alice) == "builtin:hold"
    world.post(PhoneResumed(call=bob))
    assert (world.heard_by(alice), world.heard_by(bob)) == ({bob}, {alice, coach})
    # A coach's own hold is nothing to those who never hear it.
    world.post(ChangeParticipant(room=room.sid, call=bob, muted=True))
    world.post(PhoneHeld(call=coach))
    assert (world.heard_by(alice), world.heard_by(bob)) == ("silence", {alice})
    world.check()


@pytest.mark.parametrize("first", ["phone", "rest"])
@pytest.mark.parametrize("lets_go", ["phone", "rest"])
def test_a_party_held_by_phone_and_by_rest_is_back_after_both_resume(world: World, first: str, lets_go: str) -> None:
    alice, bob, _ = meet(world)

    def take(who: str) -> None:
        if who == "phone":
            world.post(PhoneHeld(call=alice))
        else:
            hold(world, alice)

    def release(who: str) -> None:
        if who == "phone":
            world.post(PhoneResumed(call=alice))
        else:
            resume(world, alice)

    take(first)
    take({"phone": "rest", "rest": "phone"}[first])
    release(lets_go)
    if lets_go == "rest":
        assert world.heard_by(bob) == "builtin:hold"
    else:
        assert (world.heard_by(alice), world.heard_by(bob)) == ("builtin:hold", "silence")
    release({"phone": "rest", "rest": "phone"}[lets_go])
    assert (world.heard_by(alice), world.heard_by(bob)) == ({bob}, {alice})
    world.check()


def test_the_builtin_music_replaces_hold_music_that_fails_after_it_was_late(world: World) -> None:
    """The interim music ends with the sound it waits for, so the built-in music is a sound of its own."""
    alice, _, _ = meet(world)
    world.pages[f"{APP}/hold"] = twiml("<Play>/song.mp3</Play>")
    world.withheld_urls.add(f"{APP}/song.mp3")
    hold(world, alice, f"{APP}/hold")
    world.passes(3)
    assert [sound.token.rpartition("/")[2] for sound in builtin_music(world)] == ["meanwhile"]
    world.sound_fails(alice)
    assert [sound.token.rpartition("/")[2] for sound in builtin_music(world)] == ["meanwhile", "builtin"]
    assert builtin_music(world)[-1].while_loading is None
    assert world.heard_by(alice) == "builtin:hold"
    resume(world, alice)
    assert world.heard_by(alice) != "builtin:hold"


def builtin_music(world: World) -> list[PlaySound]:
    """Return the built-in music that was played beside the verbs of hold documents."""
    played = [each for each in world.effects if isinstance(each, PlaySound) and "/hold" in each.token]
    return [each for each in played if each.source == "builtin:hold"]
