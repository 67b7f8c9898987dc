"""The call machine meets messages that come too late, twice, or for something it does not do any more."""

from __future__ import annotations

import pytest

from holdfast.testing.world import ACCOUNT, World, twiml
from holdfast.voice.control.call.step import digits_token, limit_timer, ring_timer
from holdfast.voice.model.commands import (
    Callback,
    ChangeCall,
    CreateCall,
    Instruction,
    ReceiveCall,
    RedirectCall,
    Target,
    WebRequest,
)
from holdfast.voice.model.effects import StopSound
from holdfast.voice.model.facts import (
    DigitPressed,
    DocumentFetched,
    LegAnswered,
    LegRefused,
    LegRinging,
    PhoneHeld,
    SoundEnded,
    TimerFired,
)
from holdfast.voice.model.ids import CallSid, Token
from holdfast.voice.model.internal_commands import ReleaseChild

URL = "https://app.example/voice"
SID = CallSid("CA" + "5" * 32)


def placed(world: World, *, digits: str = "", text: str = "<Pause length='60'/>") -> CallSid:
    target = Target(to="client:bob")
    instruction = Instruction(twiml=twiml(text))
    world.post(
        CreateCall(
            call=SID, account=ACCOUNT, target=target, from_="+15550199", instruction=instruction, send_digits=digits
        )
    )
    return SID


def test_a_second_answer_and_a_late_refusal_change_nothing() -> None:
    world = World()
    call = placed(world)
    world.rings(call)
    world.answers(call)
    before = world.call(call)
    for fact in (LegAnswered(call=call), LegRinging(call=call), LegRefused(call=call, sip_code=486)):
        world.post(fact)
    world.post(TimerFired(token=ring_timer(call)))
    assert world.call(call) == before


def test_a_phone_that_holds_twice_holds_once() -> None:
    world = World()
    call = placed(world)
    world.answers(call)
    world.post(PhoneHeld(call=call))
    before = world.call(call)
    world.passes(1)
    world.post(PhoneHeld(call=call))
    assert world.call(call) == before


def test_the_time_limit_of_an_unanswered_call_counts_from_its_answer() -> None:
    world = World()
    call = placed(world)
    world.post(ChangeCall(call=call, time_limit_s=20))
    world.passes(30)
    world.answers(call)
    world.passes(19)
    assert world.call(call).live
    world.passes(2)
    assert world.call(call).status == "completed"


def test_a_change_of_callbacks_holds_from_then_on() -> None:
    world = World()
    call = placed(world)
    world.answers(call)
    world.post(ChangeCall(call=call, callback=Callback(url=URL), fallback=WebRequest(url=URL)))
    world.hangs_up(call)
    assert [told.url for told in world.callbacks] == [URL]


def test_touch_tones_are_cut_off_by_a_redirect_and_their_end_means_nothing_then() -> None:
    world = World()
    call = placed(world, digits="123")
    world.answers(call)
    assert world.heard_by(call) == "digits:123"
    instruction = Instruction(twiml=twiml("<Play>http://x/a.mp3</Play>"), fallback=WebRequest(url=URL))
    world.post(RedirectCall(call=call, instruction=instruction))
    assert world.heard_by(call) == "http://x/a.mp3"
    world.post(SoundEnded(token=digits_token(call)))
    assert world.heard_by(call) == "http://x/a.mp3"


def test_touch_tones_end_with_the_call() -> None:
    world = World()
    call = placed(world, digits="123")
    world.answers(call)
    world.hangs_up(call)
    assert StopSound(token=digits_token(call)) in world.effects
    assert world.playing == {}


def test_a_call_without_a_parent_is_not_released() -> None:
    world = World()
    call = placed(world)
    world.answers(call)
    world.post(ReleaseChild(call=call))
    assert world.call(call).live


def test_messages_for_a_call_that_is_over_are_dropped() -> None:
    world = World()
    call = placed(world)
    world.answers(call)
    world.hangs_up(call)
    before = world.call(call)
    for fact in (LegAnswered(call=call), TimerFired(token=limit_timer(call)), DigitPressed(call=call, digit="1")):
        world.post(fact)
    assert world.call(call) == before


def test_a_token_of_an_ended_script_is_ignored() -> None:
    world = World()
    call = placed(world)
    world.answers(call)
    before = world.call(call)
    world.post(TimerFired(token=Token(f"{call}/main99/1.1")))
    assert world.call(call) == before


@pytest.mark.parametrize(
    ("verb", "status", "sip_code"),
    [
        ("<Reject/>", "no-answer", 603),
        ("<Reject reason='busy'/>", "busy", 486),
        ("<Hangup/>", "no-answer", 603),
        ("<Say/><Leave/><Hangup/>", "no-answer", 603),
        ("", "no-answer", 603),
        ("<Play>x</Play><Reject/>", "completed", 200),
    ],
)
def test_how_a_call_in_ends_by_its_document(verb: str, status: str, sip_code: int) -> None:
    world = World()
    call = world.calls_in("a", twiml=twiml(verb))
    if call in world.playing:
        world.sound_ends(call)
    assert (world.call(call).status, world.call(call).sip_code) == (status, sip_code)


def test_the_callers_name_is_sent_when_it_is_known() -> None:
    world = World()
    request = WebRequest(url=URL)
    world.post(
        ReceiveCall(
            call=SID,
            account=ACCOUNT,
            from_="+1",
            to="+2",
            instruction=Instruction(request=request),
            caller_name="Ann",
            extra_params=(("SipCallId", "x"),),
        )
    )
    assert world.document_requests[0]["CallerName"] == "Ann"
    assert world.document_requests[0]["SipCallId"] == "x"


def test_a_document_of_a_type_that_is_none_is_12300() -> None:
    world = World(withheld_urls={URL})
    call = world.calls_in("a", URL)
    (token,) = world.withheld
    world.post(DocumentFetched(token=token, url=URL, content_type="image/png", body="x"))
    assert [notice.code for notice in world.notifications] == [12300]
    assert world.call(call).status == "in-progress"
    world.sound_ends(call)
    assert world.call(call).status == "completed"


@pytest.mark.parametrize("verb", ["<Play>http://x/a.mp3</Play>", "<Say>hello</Say>"])
def test_a_fault_of_a_sound_in_a_document_is_an_error(verb: str) -> None:
    world = World()
    call = world.calls_in("a", twiml=twiml(f"{verb}<Play>http://x/b.mp3</Play>"))
    world.sound_fails(call)
    assert [notice.code for notice in world.notifications] == [11200]
    world.sound_ends(call)
    assert world.call(call).status == "completed"


def test_an_answered_call_ends_at_the_time_limit_that_it_was_placed_with() -> None:
    world = World()
    call = placed(world, text="<Enqueue>line</Enqueue>")
    world.passes(5)
    world.answers(call)
    answered = world.call(call)
    assert answered.started_at == answered.answered_at == world.now
    world.passes(answered.time_limit_s - 1)
    assert world.call(call).live
    world.passes(2)
    assert (world.call(call).status, world.call(call).sip_code) == ("completed", 200)
