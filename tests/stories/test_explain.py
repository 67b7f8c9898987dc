"""A call is explained in plain sentences: why an ear is silent, and what a call waits for."""

from __future__ import annotations

from dataclasses import replace

import pytest

from holdfast.testing.world import ACCOUNT, World, twiml
from holdfast.voice.diagnostics.explain import ReceivedPackets, explain
from holdfast.voice.diagnostics.explain_end import dialled_legs
from holdfast.voice.model.commands import (
    ChangeCall,
    ChangeParticipant,
    CreateCall,
    EndCall,
    Instruction,
    Target,
    WebRequest,
)
from holdfast.voice.model.facts import HolderSounds, LegEnded, LegRefused, LegRinging, PhoneHeld, PhoneResumed
from holdfast.voice.model.ids import CallSid
from holdfast.voice.model.ports import PendingCallbacks
from tests.stories.conference_events import called_in

APP = "https://app.example"
BOB = CallSid("CA" + "b" * 32)
"""In place of a call that is not there yet."""


def told(
    world: World, call: CallSid, arrivals: ReceivedPackets | None = None, *, unsent: PendingCallbacks | None = None
) -> str:
    """The explanation, with the SIDs of calls in short."""
    entries = [entry for entry in world.entries if entry.call == call]
    children = {child: [entry for entry in world.entries if entry.call == child] for child in dialled_legs(entries)}
    sentences = explain(
        world.call(call),
        world.state,
        entries,
        now=world.now,
        packets=arrivals,
        children=children,
        pending=unsent,
    )
    text = "\n".join(sentences)
    for sid in world.state.calls:
        text = text.replace(f" ({sid})", "")
    return text


def meet(world: World, *names: str) -> list[CallSid]:
    """These callers are in a conference."""
    world.pages[f"{APP}/room"] = twiml("<Dial><Conference>room</Conference></Dial>")
    return [world.calls_in(name, f"{APP}/room") for name in names]


def change(world: World, call: CallSid, *, hold: bool | None = None, muted: bool | None = None, url: str = "") -> None:
    room = world.state.room_of(call)
    assert room is not None
    request = WebRequest(url=url, method="GET") if url else None
    world.post(ChangeParticipant(room=room.sid, call=call, hold=hold, muted=muted, hold_request=request))


def test_two_parties_that_speak(world: World) -> None:
    alice, _ = meet(world, "alice", "bob")
    world.passes(5)
    assert told(world, alice) == (
        "The call is in progress, answered 5 s ago.\n"
        "It is in conference 'room' with client:bob.\n"
        "It hears client:bob.\n"
        "Its document runs <Dial>, begun 5.0 s ago."
    )


def enters(world: World, name: str, attributes: str) -> CallSid:
    """A caller enters the conference with these attributes."""
    return world.calls_in(name, twiml=f"<Response><Dial><Conference {attributes}>room</Conference></Dial></Response>")


CALLBACK = 'statusCallback="https://user:hush@app.example/{}" statusCallbackEvent="join leave"'


@pytest.mark.parametrize("first", ["", CALLBACK.format("first")])
def test_the_status_callback_of_a_second_participant_has_no_effect_and_is_named_first(world: World, first: str) -> None:
    alice = enters(world, "alice", first)
    bob = enters(world, "bob", CALLBACK.format("second"))
    counts = "POST https://app.example/first for join leave" if first else "none"
    expected = (
        "Its statusCallback (POST https://app.example/second for join leave) has no effect: "
        f"conference 'room' takes it from its first participant alone, which named {counts}."
    )
    assert told(world, bob).splitlines()[0] == expected
    assert "has no effect" not in told(world, alice)
    world.hangs_up(bob)
    world.hangs_up(alice)
    assert "Its statusCallback (POST" in told(world, bob)
    assert told(world, bob).startswith("The call is over: completed")


def test_a_second_participant_with_the_same_status_callback_needs_no_word(world: World) -> None:
    enters(world, "alice", CALLBACK.format("same"))
    bob = enters(world, "bob", CALLBACK.format("same"))
    assert "has no effect" not in told(world, bob)
    carol = enters(world, "carol", CALLBACK.format("same").replace("join leave", "mute"))
    assert "for mute) has no effect" in told(world, carol)


def test_other_attributes_that_only_the_first_participant_sets(world: World) -> None:
    enters(world, "alice", 'maxParticipants="5"')
    bob = enters(world, "bob", 'maxParticipants="9" record="record-from-start"')
    text = told(world, bob)
    assert "Its maxParticipants (9) has no effect: conference 'room' takes it from its first participant" in text
    assert "which named 5." in text
    assert "Its record (record-from-start) has no effect" in text
    assert "has no effect" not in told(world, enters(world, "carol", ""))


def test_causes_stand_before_what_they_cause_and_warnings_last(world: World) -> None:
    alice, _ = meet(world, "alice", "bob")
    change(world, alice, hold=True, url=f"{APP}/gone.mp3")
    lines = told(world, alice, ReceivedPackets(received=0, silent=False)).splitlines()
    assert lines[0] == f"It was noted: error 11200: {APP}/gone.mp3 answered 404"
    assert lines[1].startswith("Not one RTP packet has arrived from its phone")
    assert lines[2].startswith("The call is in progress")
    warned = world.calls_in("carol", twiml='<Response><Pause length="9" volume="11"/></Response>')
    lines = told(world, warned).splitlines()
    assert lines[0].startswith("client:carol calls")
    assert lines[-1].startswith("It was noted: warning 12200")


def test_held(world: World) -> None:
    alice, bob = meet(world, "alice", "bob")
    change(world, alice, hold=True)
    assert "It is on hold: it hears no party and no party hears it, until Hold=false." in told(world, alice)
    assert "It hears the built-in hold music, played to it alone" in told(world, alice)
    assert "It hears silence: client:alice is on hold." in told(world, bob)


def test_hold_music_that_ended(world: World) -> None:
    alice, _ = meet(world, "alice", "bob")
    world.pages[f"{APP}/song.mp3"] = "audio"
    change(world, alice, hold=True, url=f"{APP}/song.mp3")
    world.sound_ends(alice)
    assert f"It hears silence: {APP}/song.mp3 came to its end and nothing followed." in told(world, alice)
    assert "Its hold document came to its end." in told(world, alice)


def test_hold_music_that_cannot_be_loaded(world: World) -> None:
    alice, _ = meet(world, "alice", "bob")
    change(world, alice, hold=True, url=f"{APP}/gone.mp3")
    assert "Its hold document could not be run." in told(world, alice)
    assert f"It was noted: error 11200: {APP}/gone.mp3 answered 404" in told(world, alice)
    assert "It hears silence: nothing is played to it." in told(world, alice)
    world.passes(2)
    assert "It hears the built-in hold music" in told(world, alice)


def test_a_password_in_a_url_is_masked_and_not_sent_to_the_fallback(world: World) -> None:
    url, told_url = "https://user:hush@web.example/voice", "https://web.example/voice"
    asked: list[dict[str, str]] = []

    def sorry(form: dict[str, str]) -> str:
        asked.append(form)
        return twiml("<Pause length='9'/>")

    world.withheld_urls.add(url)
    world.pages[f"{APP}/sorry"] = sorry
    alice = world.calls_in("alice", url, fallback=f"{APP}/sorry")
    assert f"POST {told_url} was sent" in told(world, alice)
    world.release(url)
    assert [form["ErrorUrl"] for form in asked] == [told_url]
    assert f"error 11200: {told_url} answered 404" in told(world, alice)
    assert "hush" not in told(world, alice) + "".join(entry.data for entry in world.entries)


def test_a_sound_that_cannot_be_played(world: World) -> None:
    world.pages |= {f"{APP}/voice": twiml("<Play>/bad.mp3</Play>"), f"{APP}/sorry": twiml("<Pause length='9'/>")}
    alice = world.calls_in("alice", f"{APP}/voice", fallback=f"{APP}/sorry")
    world.sound_fails(alice, 13420)
    world.passes(2)
    text = told(world, alice)
    assert f"It hears silence: {APP}/bad.mp3 could not be played (13420: {APP}/bad.mp3 failed)." in text
    assert "Its document runs <Pause>, begun 2.0 s ago, 7 s left." in text


def test_hold_music_that_is_late(world: World) -> None:
    alice, _ = meet(world, "alice", "bob")
    world.withheld_urls.add(f"{APP}/late.mp3")
    world.pages[f"{APP}/hold"] = twiml("<Play>/late.mp3</Play>")
    change(world, alice, hold=True, url=f"{APP}/hold")
    assert f"It hears {APP}/late.mp3, played to it alone (silence until that is fetched)." in told(world, alice)
    world.passes(2)
    waiting = f"It hears {APP}/late.mp3, played to it alone (the built-in hold music until that is fetched)."
    assert waiting in told(world, alice)


def test_muted(world: World) -> None:
    alice, bob = meet(world, "alice", "bob")
    change(world, bob, muted=True)
    assert "It hears silence: client:bob is muted." in told(world, alice)
    assert "It is muted: it hears, but no party hears it, until Muted=false." in told(world, bob)
    assert "It hears client:alice." in told(world, bob)


def test_alone_before_a_conference_begins_and_after_the_other_left(world: World) -> None:
    (alice,) = meet(world, "alice")
    assert "It is alone in conference 'room'." in told(world, alice)
    assert "The conference has not begun: a second participant that may start it is missing." in told(world, alice)
    (bob,) = meet(world, "bob")
    world.hangs_up(bob)
    assert "It hears silence: no other participant is there." in told(world, alice)
    assert told(world, bob).startswith("The call is over: completed after 0 s")


def test_two_participants_wait_for_the_start_of_a_conference(world: World) -> None:
    world.pages[f"{APP}/quiet"] = twiml("<Dial><Conference startConferenceOnEnter='false'>room</Conference></Dial>")
    alice = world.calls_in("alice", f"{APP}/quiet")
    world.calls_in("bob", f"{APP}/quiet")
    assert "no participant may start it (startConferenceOnEnter)." in told(world, alice)


def test_waiting_in_a_queue(world: World) -> None:
    first = world.calls_in("first", twiml="<Response><Enqueue>sales</Enqueue></Response>")
    second = world.calls_in("second", twiml="<Response><Enqueue>sales</Enqueue></Response>")
    world.passes(3)
    assert "It waits in queue 'sales' for 3 s, it is the next; a call must dial the queue." in told(world, first)
    assert "It waits in queue 'sales' for 3 s, 1 before it;" in told(world, second)
    assert "Its queue's wait document runs <Play>" in told(world, first)


def test_dialling_an_empty_queue(world: World) -> None:
    alice = world.calls_in("alice", twiml="<Response><Enqueue>sales</Enqueue></Response>")
    world.hangs_up(alice)
    agent = world.calls_in("agent", twiml="<Response><Dial><Queue>sales</Queue></Dial></Response>")
    assert "It dials queue 'sales', which is empty, and waits for a call to enter." in told(world, agent)


def test_a_call_that_waits_for_its_turn(world: World) -> None:
    world.post(
        CreateCall(
            call=BOB,
            account=ACCOUNT,
            target=Target(to="client:bob"),
            from_="+15550100",
            instruction=Instruction(twiml="<Response/>"),
            wait_s=30.0,
        )
    )
    world.passes(10)
    assert told(world, BOB).startswith("It waits for its turn to be placed, 20 s more: calls_per_s says how many")
    world.passes(20)
    assert told(world, BOB).startswith("client:bob is being called, for 30 s now, and does not ring yet.")


def test_ringing(world: World) -> None:
    agent = world.place("agent", twiml="<Response/>")
    assert told(world, agent).startswith("client:agent is being called, for 0 s now, and does not ring yet.")
    world.rings(agent)
    world.passes(4)
    text = told(world, agent)
    assert "client:agent rings, for 4 s now, and has not answered; the call is given up in 56 s." in text
    assert "It hears nothing from us yet: the call is not answered." in text


def test_a_caller_without_an_answer(world: World) -> None:
    caller = world.calls_in(
        "alice", twiml="<Response><Dial answerOnBridge='true'><Client>bob</Client></Dial></Response>"
    )
    (child,) = world.children(caller)
    assert "It waits for client:bob, which is being called and has not answered." in told(world, caller)
    world.rings(child)
    text = told(world, caller)
    assert "played to it alone" in text
    assert "that is early media, because the call is not answered." in text
    assert "client:alice calls, for 0 s now, and was not answered: no verb that answers has run." in text
    assert "It waits for client:bob, which rings and has not answered." in text
    assert f"It has no document of its own: it belongs to the <Dial> of {caller}." in told(world, child)
    world.answers(child)
    assert "It is in a bridge of two legs with client:bob." in told(world, caller)
    assert "It waits for" not in told(world, caller)


def test_a_webhook_in_flight(world: World) -> None:
    world.withheld_urls.add(f"{APP}/slow")
    alice = world.calls_in("alice", f"{APP}/slow")
    world.passes(1.5)
    awaited = f"Its document is awaited: POST {APP}/slow was sent 1.5 s ago and is not answered; a web server has 15 s."
    assert awaited in told(world, alice)


def test_a_document_that_failed(world: World) -> None:
    alice = world.calls_in("alice", f"{APP}/gone")
    assert (
        "Its document failed, and no fallback URL was left: it hears that there is an error, and is then hung up."
        in told(world, alice)
    )
    world.passes(6)
    world.sound_ends(alice)
    text = told(world, alice)
    assert text.startswith("The call is over: completed after 6 s (SIP 500).")
    assert "Error 11200 ended it: there was no fallback URL, or it failed too." in text
    assert f"It was noted: error 11200: {APP}/gone answered 404" in text


@pytest.mark.parametrize("verb", ["Play", "Redirect"])
def test_a_verb_that_failed_with_others_behind_it(world: World, verb: str) -> None:
    world.pages[f"{APP}/voice"] = twiml(f"<Pause/><{verb}>/gone.mp3</{verb}><Say>sorry</Say><Pause/>")
    alice = world.calls_in("alice", f"{APP}/voice")
    world.passes(1)
    if verb == "Play":
        world.sound_fails(alice, 11200)
    world.sound_ends(alice)
    text = told(world, alice)
    assert f"Error 11200 at <{verb}> ended it, and no verb after it was run: there was no fallback URL" in text
    assert "came to its end" not in text


def test_a_dial_that_reached_no_callee(world: World) -> None:
    caller, (child,) = dials(world, "", "bob")
    world.post(LegRefused(call=child, sip_code=404, reason="there is no line bob", code=32009))
    text = told(world, caller)
    assert "Its document came to its end at <Dial>, with no verb after it to run." in text
    assert "Its <Dial> did not reach client:bob: there is no line bob." in text
    lost = world.calls_in("alice", twiml="<Response><Dial><Queue>nobody</Queue></Dial><Pause length='9'/></Response>")
    assert "There was no queue 'nobody' for its <Dial>." in told(world, lost)


def test_a_party_that_is_called_in_is_heard_before_it_answers(world: World) -> None:
    (alice,) = meet(world, "alice")
    bob = called_in(world, "bob", early_media=True)
    assert "It is only listed there: it is queued." in told(world, bob)
    world.rings(bob)
    assert "It hears client:bob, which rings." in told(world, alice)
    assert "It is only listed there: it is ringing; the others hear it ring." in told(world, bob)
    world.post(LegRinging(call=bob, early_media=True))
    assert "It is only listed there: it is ringing; the others hear what its phone sends." in told(world, bob)
    world.answers(bob)
    assert "It hears client:bob." in told(world, alice)


def test_a_phone_that_holds(world: World) -> None:
    alice, bob = meet(world, "alice", "bob")
    world.post(PhoneHeld(call=bob))
    assert "Its own phone holds: it asked us to send no audio until it resumes." in told(world, bob)
    assert "It hears the built-in" in told(world, alice)
    assert "RTP" not in told(world, bob, ReceivedPackets(received=0, silent=False))
    (carol,) = meet(world, "carol")
    change(world, carol, muted=True)
    assert "It hears the built-in" in told(world, alice)


def test_no_packets_arrive(world: World) -> None:
    alice, _ = meet(world, "alice", "bob")
    assert "Not one RTP packet has arrived from its phone" in told(
        world, alice, ReceivedPackets(received=0, silent=False)
    )
    assert "No RTP packet has arrived from its phone lately (50 before)" in told(
        world, alice, ReceivedPackets(received=50, silent=True)
    )
    assert "RTP" not in told(world, alice, ReceivedPackets(received=50, silent=False))


def test_rejected_packets_are_explained_with_the_setting_that_rejects_them(world: World) -> None:
    alice, _ = meet(world, "alice", "bob")
    arrivals = ReceivedPackets(received=0, silent=False, rejected=40, rejected_from=("203.0.113.9", 4000))
    said = told(world, alice, arrivals)
    assert "40 RTP packets were rejected, the newest from 203.0.113.9:4000, which is not the address that" in said
    assert '(rtp_source = "signalling"). If its phone sends them, set rtp_source = "any" for its line or route' in said
    assert "Not one RTP packet from its phone was accepted" in said
    said = told(world, alice, replace(arrivals, received=9, rtp_source="named"))
    assert '(rtp_source = "named"). If its phone sends them, set rtp_source = "signalling" for its line or' in said
    assert "Not one" not in said


def test_a_trunk_that_holds_and_is_heard_is_explained(world: World) -> None:
    alice, bob = meet(world, "alice", "bob")
    world.post(PhoneHeld(call=bob, may_be_heard=True))
    assert "in place of our music" not in told(world, bob)
    world.post(HolderSounds(call=bob, sounds=True))
    assert "What it sends meanwhile is heard in place of our music (phone_hold_music)." in told(world, bob)
    assert "It hears client:bob." in told(world, alice)


def test_packets_that_are_too_long_to_be_played_are_explained(world: World) -> None:
    alice, _ = meet(world, "alice", "bob")
    said = told(world, alice, ReceivedPackets(received=50, silent=False, too_long=48))
    assert "48 of the 50 RTP packets from its phone hold more than 200 ms of audio, and were not played" in said


def test_a_phone_that_holds_while_it_is_held(world: World) -> None:
    alice, _ = meet(world, "alice", "bob")
    change(world, alice, hold=True)
    world.post(PhoneHeld(call=alice))
    text = told(world, alice)
    assert "It is on hold: it hears no party and no party hears it, until Hold=false." in text
    assert "It hears nothing from us, because its own phone holds." in text
    change(world, alice, hold=False)
    assert "It hears nothing from us, because its own phone holds." in told(world, alice)
    world.post(PhoneResumed(call=alice))
    assert "It hears client:bob." in told(world, alice)


def test_explain_names_the_input_that_a_gather_waits_for(world: World) -> None:
    def gathers(attributes: str) -> str:
        document = f"<Response><Gather {attributes}><Say>press <emphasis>one</emphasis></Say></Gather></Response>"
        return told(world, world.calls_in("alice", twiml=document))

    text = gathers("timeout='10'")
    assert "It hears the spoken text 'press one', played to it alone.\n" in text
    assert ": it waits for digits, or #, and gives up 10 s after the prompt or the last digit." in text
    assert "it waits for a digit, and gives up 5 s" in gathers("numDigits='1' finishOnKey=''")
    assert "it waits for 4 digits, or # or *, and" in gathers("numDigits='4' finishOnKey='#*'")
    assert "it waits 5 s for speech, which this engine does not recognise." in gathers("input='speech'")


def test_a_screened_phone(world: World) -> None:
    world.pages[f"{APP}/screen"] = twiml("<Pause length='9'/>")
    caller = world.calls_in("alice", twiml=f"<Response><Dial><Client url='{APP}/screen'>bob</Client></Dial></Response>")
    (child,) = world.children(caller)
    world.answers(child)
    assert "It waits for client:bob, which has answered and hears its screening document first." in told(world, caller)
    text = told(world, child)
    assert "Its screening document runs <Pause>, begun 0.0 s ago, 9 s left." in text
    assert f"It belongs to the <Dial> of {caller}." in text


def test_a_member_that_hears_its_diallers_document(world: World) -> None:
    world.pages[f"{APP}/whisper"] = twiml("<Play>/hello.mp3</Play>")
    member = world.calls_in("customer", twiml="<Response><Enqueue>sales</Enqueue></Response>")
    queue = f"<Queue url='{APP}/whisper'>sales</Queue>"
    agent = world.calls_in("agent", twiml=f"<Response><Dial>{queue}</Dial></Response>")
    assert "It was taken out of queue 'sales' by client:agent, hears that call's document first" in told(world, member)
    assert "It dials queue 'sales' and has client:customer, who hears its document first" in told(world, agent)
    waiting = world.calls_in("other", twiml=f"<Response><Dial>{queue}</Dial></Response>")
    assert "It dials queue 'sales', which is empty, and waits for a call to enter." in told(world, waiting)


def dials(world: World, attributes: str, *names: str) -> tuple[CallSid, list[CallSid]]:
    """Alice's document calls these clients: her call, and theirs."""
    nouns = "".join(f"<Client>{name}</Client>" for name in names)
    caller = world.calls_in("alice", twiml=f"<Response><Dial {attributes}>{nouns}</Dial></Response>")
    return caller, world.children(caller)


def test_why_the_calls_of_a_dial_are_over(world: World) -> None:
    caller, (busy, winner, loser) = dials(world, "", "bob", "carol", "dave")
    world.refuses(busy, 486)
    assert told(world, busy) == "The call is over: busy (SIP 486).\nIt was not answered: busy."
    world.answers(winner)
    assert told(world, loser).endswith("Another phone of the same <Dial> answered first.")
    world.passes(7)
    world.hangs_up(winner)
    assert told(world, winner) == "The call is over: completed after 7 s.\nIts phone hung up."
    text = told(world, caller)
    assert "Its document came to its end at <Dial>, with no verb after it to run." in text
    assert text.endswith("Its <Dial> did not reach client:bob: busy.")


def test_a_dial_without_an_answer_in_time(world: World) -> None:
    _, (child,) = dials(world, "timeout='9'", "bob")
    world.passes(30)
    assert told(world, child).endswith("There was no answer within the timeout of the <Dial> that had called it.")


def test_a_dial_whose_caller_hangs_up(world: World) -> None:
    caller, (child,) = dials(world, "", "bob")
    world.hangs_up(caller)
    assert told(world, child).endswith("The call whose <Dial> had called it was over.")


def test_a_dial_whose_time_limit_is_over(world: World) -> None:
    _, (child,) = dials(world, "timeLimit='9'", "bob")
    world.answers(child)
    world.passes(10)
    assert told(world, child).endswith("The <Dial> that had called it was over.")


@pytest.mark.parametrize(
    ("message", "words"),
    [
        (EndCall(call=BOB, status="canceled"), "It was ended by REST, or with the engine."),
        (LegRefused(call=BOB, sip_code=404), "It was not answered: no user of that name is known there."),
        (LegRefused(call=BOB, sip_code=499), "It was not answered: SIP 499."),
        (LegRefused(call=BOB, sip_code=480, reason="bob is away"), "It was not answered: bob is away."),
        (
            LegEnded(call=BOB, cause="lost", sip_code=408),
            "Its phone was lost: neither audio nor an answer arrived from",
        ),
        (LegEnded(call=BOB, cause="lost", sip_code=503), "The engine it was in ended without a BYE"),
        (LegEnded(call=BOB, cause="canceled", sip_code=487), "Its phone gave up before it was answered."),
    ],
)
def test_why_a_call_is_over(world: World, message: EndCall | LegRefused | LegEnded, words: str) -> None:
    call = world.place("bob", twiml="<Response><Pause length='9'/></Response>")
    world.rings(call)
    world.post(replace(message, call=call))
    assert words in told(world, call)


def test_a_call_whose_time_is_over(world: World) -> None:
    unanswered = world.place("bob", twiml="<Response/>")
    world.rings(unanswered)
    answered = world.place("carol", twiml="<Response><Pause length='999'/></Response>")
    world.answers(answered)
    world.post(ChangeCall(call=answered, time_limit_s=50))
    world.passes(61)
    assert told(world, unanswered).endswith("It was not answered in time.")
    assert told(world, answered).endswith("Its time limit was over.")


def test_a_call_that_its_document_turned_away(world: World) -> None:
    call = world.calls_in("alice", twiml="<Response><Reject/></Response>")
    assert told(world, call) == "The call is over: no-answer (SIP 603).\nIts document said <Reject>."


def test_coaching(world: World) -> None:
    alice, bob, boss = meet(world, "alice", "bob", "boss")
    room = world.state.room_of(boss)
    assert room is not None
    world.post(ChangeParticipant(room=room.sid, call=boss, coaching=True, coach=bob))
    assert "It coaches client:bob, who alone hears it." in told(world, boss)
    change(world, bob, muted=True)
    assert "client:bob is muted; client:boss coaches another participant" in told(world, alice)


def test_an_announcement(world: World) -> None:
    alice, _ = meet(world, "alice", "bob")
    room = world.state.room_of(alice)
    assert room is not None
    world.pages[f"{APP}/news"] = twiml("<Play>/news.mp3</Play>")
    world.post(ChangeParticipant(room=room.sid, call=alice, announce=WebRequest(url=f"{APP}/news")))
    assert "It hears an announcement, and no other party until it ends." in told(world, alice)
    assert "Its announcement runs <Play>" in told(world, alice)


def test_callbacks_that_are_not_taken_are_named_while_the_call_goes_on_and_after_it(world: World) -> None:
    alice, _ = meet(world, "alice", "bob")
    unsent = PendingCallbacks(count=3, method="POST", url=f"{APP}/status", since=world.now)
    world.passes(40)
    wait = (
        f"3 callbacks of it wait: the oldest, POST {APP}/status, for 40 s; those of one call leave one after the "
        "other, and a web server has 15 s for each."
    )
    assert told(world, alice, unsent=unsent).endswith(wait)
    world.post(EndCall(call=alice))
    text = told(world, alice, unsent=replace(unsent, count=1))
    assert text.startswith("The call is over: completed")
    assert f"A callback of it waits: POST {APP}/status, for 40 s;" in text
