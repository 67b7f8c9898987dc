"""Calls by themselves: their statuses, their fallback, what ends them, what a Dial does before it answers.

Source: TwiML <Dial>; Call resource. What becomes of two legs is told in the files beside this one.
"""

from __future__ import annotations

from typing import Literal

import pytest

from holdfast.testing.world import ACCOUNT, World, twiml
from holdfast.voice.model.commands import (
    Callback,
    CreateCall,
    EndCall,
    Instruction,
    ReceiveCall,
    RedirectCall,
    Target,
    WebRequest,
)
from holdfast.voice.model.effects import HangUpLeg, LogNotification, PlaceLeg
from holdfast.voice.model.errors import CallNotInProgress
from holdfast.voice.model.facts import LegRefused
from holdfast.voice.model.ids import CallSid
from holdfast.voice.model.sip_status_mapping import NO_COMMON_CODEC

APP = "https://app.example"


def redirect(world: World, call: CallSid, path: str) -> None:
    world.post(RedirectCall(call=call, instruction=Instruction(request=WebRequest(url=f"{APP}{path}"))))


def talk(
    world: World, *, action: str = 'action="/after"', following: str = "", after: str = "<Pause/>"
) -> tuple[CallSid, CallSid]:
    """P called in; C is the leg its document dialled; they hear each other."""
    world.pages[f"{APP}/start"] = twiml(f"<Dial {action}><Client>agent</Client></Dial>{following}")
    world.pages[f"{APP}/after"] = twiml(after)
    parent = world.calls_in("customer", f"{APP}/start")
    (child,) = world.children(parent)
    world.rings(child)
    assert world.heard_by(parent) == "builtin:ringback"
    world.answers(child)
    assert world.heard_by(parent) == {child}
    assert world.heard_by(child) == {parent}
    world.check()
    return parent, child


@pytest.mark.parametrize(
    ("sip_code", "code", "reason", "status", "noted"),
    [
        (
            404,
            32009,
            "there is no line bob",
            "failed",
            [(32009, "client:bob was not reached: SIP 404 there is no line bob")],
        ),
        (
            480,
            32009,
            "line bob is not registered",
            "no-answer",
            [(32009, "client:bob was not reached: SIP 480 line bob is not registered")],
        ),
        (503, 0, "", "failed", [(32011, "client:bob was not reached: SIP 503")]),
        (488, 0, "", "failed", [(32011, f"client:bob was not reached: SIP 488: {NO_COMMON_CODEC}")]),
        (486, 0, "Busy Here", "busy", []),
        (487, 0, "", "no-answer", []),
    ],
)
def test_a_call_that_cannot_be_placed_fails_with_a_notification(
    world: World, sip_code: int, code: int, reason: str, status: str, noted: list[tuple[int, str]]
) -> None:
    """One that is busy or not answered has nothing wrong. Source: Twilio docs, POST Calls; error dictionary."""
    call = world.place("bob", twiml="<Response/>")
    world.post(LegRefused(call=call, sip_code=sip_code, code=code, reason=reason))
    assert world.call(call).status == status
    notes = [each for each in world.effects if isinstance(each, LogNotification)]
    assert [(note.code, note.message) for note in notes] == noted
    assert all((note.call, note.log) == (call, 0) for note in notes)


def waiting(world: World, wait_s: float) -> CallSid:
    """A call by REST whose turn comes later."""
    call = CallSid("CA" + "7" * 32)
    world.post(
        CreateCall(
            call=call,
            account=ACCOUNT,
            target=Target(to="client:bob"),
            from_="+15550100",
            instruction=Instruction(twiml="<Response><Pause length='9'/></Response>"),
            callback=Callback(url=f"{APP}/status", events=("initiated", "completed")),
            timeout_s=20,
            wait_s=wait_s,
        )
    )
    return call


def test_a_call_waits_for_its_turn_and_then_has_its_whole_time_to_ring(world: World) -> None:
    call = waiting(world, 30.0)
    assert world.call(call).status == "queued"
    world.passes(29.5)
    assert not [each for each in world.effects if isinstance(each, PlaceLeg)]
    assert world.web == []
    world.passes(0.5)
    assert [each.target.to for each in world.effects if isinstance(each, PlaceLeg)] == ["client:bob"]
    assert [dict(asked.form)["CallStatus"] for asked in world.web] == ["initiated"]
    world.rings(call)
    world.passes(19.5)
    assert world.call(call).status == "ringing"
    world.passes(0.5)
    assert world.call(call).status == "no-answer"
    world.check()


@pytest.mark.parametrize(("status", "final"), [("canceled", "canceled"), ("completed", "canceled")])
def test_a_call_that_waits_for_its_turn_is_given_up(
    world: World, status: Literal["canceled", "completed"], final: str
) -> None:
    call = waiting(world, 30.0)
    world.passes(1)
    with pytest.raises(CallNotInProgress):
        redirect(world, call, "/new")
    world.post(EndCall(call=call, status=status))
    assert world.call(call).status == final
    world.passes(60)
    assert not [each for each in world.effects if isinstance(each, PlaceLeg | HangUpLeg)]
    assert world.call(call).target is None
    world.check()


def test_a_call_that_has_ended_cannot_be_redirected_or_ended(world: World) -> None:
    parent, child = talk(world)
    world.hangs_up(parent)
    for call in (parent, child):
        with pytest.raises(CallNotInProgress):
            redirect(world, call, "/new")
        with pytest.raises(CallNotInProgress):
            world.post(EndCall(call=call))


def test_answer_on_bridge_keeps_the_caller_ringing_until_then(world: World) -> None:
    world.pages[f"{APP}/start"] = twiml('<Dial answerOnBridge="true"><Client>agent</Client></Dial>')
    parent = world.calls_in("customer", f"{APP}/start")
    (child,) = world.children(parent)
    world.rings(child)
    assert world.call(parent).status == "ringing"
    world.answers(child)
    assert world.call(parent).status == "in-progress"
    assert world.heard_by(parent) == {child}


def test_a_document_that_redirects_to_itself_ends_with_a_notification(world: World) -> None:
    world.pages[f"{APP}/loop"] = twiml("<Redirect/>")
    caller = world.calls_in("caller", f"{APP}/loop")
    world.sound_ends(caller)
    assert not world.call(caller).live
    assert [notice.code for notice in world.notifications] == [12400]
    assert len(world.document_requests) <= 110


@pytest.mark.parametrize(
    "document",
    [
        '<Dial action="/loop"><Queue>missing</Queue></Dial>',
        '<Dial action="/loop" answerOnBridge="true" timeout="7"><Queue>missing</Queue></Dial>',
        '<Enqueue waitUrl="/gone" action="/loop">q</Enqueue>',
    ],
)
def test_a_document_whose_action_repeats_it_at_once_ends_with_a_notification(world: World, document: str) -> None:
    world.pages[f"{APP}/loop"] = twiml(document)
    caller = world.calls_in("caller", f"{APP}/loop")
    if world.playing:
        world.sound_ends(caller)
    assert not world.call(caller).live
    assert [notice.code for notice in world.notifications if notice.code != 11200] == [12400]
    assert len([asked for asked in world.document_requests if asked.url == f"{APP}/loop"]) <= 101


def test_a_document_that_dials_an_absent_phone_again_and_again_ends(world: World) -> None:
    world.pages[f"{APP}/loop"] = twiml('<Dial action="/loop"><Client>agent</Client></Dial>')
    caller = world.calls_in("caller", f"{APP}/loop")
    for _ in range(101):
        for child in world.children(caller):
            if world.call(child).live:
                world.refuses(child, 480)
    world.sound_ends(caller)
    assert not world.call(caller).live
    assert 12400 in [notice.code for notice in world.notifications]


@pytest.mark.parametrize("document", ["<Play>/song.mp3</Play>", '<Pause length="1"/>', "<Gather><Pause/></Gather>"])
def test_a_document_that_plays_or_waits_repeats_itself_for_as_long_as_the_call_lasts(
    world: World, document: str
) -> None:
    world.pages[f"{APP}/loop"] = twiml(f"{document}<Redirect>/loop</Redirect>")
    caller = world.calls_in("caller", f"{APP}/loop")
    for _ in range(150):
        if caller in world.playing:
            world.sound_ends(caller)
        else:
            world.passes(7.0)
    assert world.call(caller).live
    assert world.notifications == []


def test_the_fallback_is_requested_with_the_error(world: World) -> None:
    world.pages[f"{APP}/bad"] = "<Response><Play></Response>"
    world.pages[f"{APP}/fallback"] = twiml("<Pause length='5'/>")
    instruction = Instruction(request=WebRequest(url=f"{APP}/bad"), fallback=WebRequest(url=f"{APP}/fallback"))
    call = CallSid("CA" + "1" * 32)
    world.post(ReceiveCall(call=call, account=ACCOUNT, from_="client:x", to="+15550100", instruction=instruction))
    assert world.document_requests[-1]["ErrorCode"] == "12100"
    assert world.document_requests[-1]["ErrorUrl"] == f"{APP}/bad"
    assert world.call(call).live


def test_an_outbound_call_goes_through_its_statuses(world: World) -> None:
    world.pages[f"{APP}/hello"] = twiml("<Play>/hello.mp3</Play>")
    call = world.place("bob", f"{APP}/hello", events=("initiated", "ringing", "answered", "completed"))
    assert world.call(call).status == "queued"
    world.rings(call)
    world.answers(call)
    assert world.heard_by(call) == f"{APP}/hello.mp3"
    world.passes(61)
    world.sound_ends(call)
    told = world.callbacks
    assert [one["CallStatus"] for one in told] == ["initiated", "ringing", "in-progress", "completed"]
    assert [one["SequenceNumber"] for one in told] == ["0", "1", "2", "3"]
    assert told[-1]["CallDuration"] == "61"
    assert told[-1]["Duration"] == "2"
    assert world.legs[call] == "gone"


def test_digits_are_sent_once_the_called_phone_has_answered_and_before_the_bridge(world: World) -> None:
    world.pages[f"{APP}/start"] = twiml('<Dial><Number sendDigits="ww12#">+15550111</Number></Dial>')
    parent = world.calls_in("customer", f"{APP}/start")
    (child,) = world.children(parent)
    world.answers(child)
    assert world.heard_by(child) == "digits:ww12#"
    assert world.heard_by(parent) == "builtin:ringback"
    world.sound_ends(child)
    assert world.heard_by(parent) == {child}
    assert world.heard_by(child) == {parent}
    world.check()


@pytest.mark.parametrize("wait_s", [0.0, 3.0])
def test_the_phone_sees_the_caller_id_in_place_of_the_caller(world: World, wait_s: float) -> None:
    call = CallSid("CA" + "5" * 32)
    command = CreateCall(
        call=call,
        account=ACCOUNT,
        target=Target(to="sip:bob@192.0.2.8"),
        from_="+15550199",
        caller_id="reception",
        display_name="Front desk",
        instruction=Instruction(twiml=twiml("<Pause/>")),
        wait_s=wait_s,
    )
    world.post(command)
    world.passes(wait_s)
    (placed,) = [effect for effect in world.effects if isinstance(effect, PlaceLeg)]
    assert (placed.from_, placed.caller_name) == ("reception", "Front desk")
    assert (world.call(call).from_, world.call(call).caller_name) == ("+15550199", None)
