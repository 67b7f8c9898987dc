"""Two legs without a conference: who lives, who is asked what, when one of them is redirected.

Source: Twilio docs, TwiML <Dial> and "Modify a live call"; the rows are those of docs/twilio-status.md.
"""

from __future__ import annotations

import pytest

from holdfast.testing.world import ACCOUNT, World, twiml
from holdfast.voice.model.commands import (
    EndCall,
    Instruction,
    ReceiveCall,
    RedirectCall,
    WebRequest,
)
from holdfast.voice.model.errors import CallNotInProgress
from holdfast.voice.model.ids import CallSid

APP = "https://app.example"


def redirect(world: World, call: CallSid, path: str) -> None:
    world.tell(RedirectCall(call=call, instruction=Instruction(request=WebRequest(url=f"{APP}{path}"))))


def talk(
    world: World, *, action: str = 'action="/after"', following: str = "", after: str = "<Pause/>"
) -> tuple[CallSid, CallSid]:
    """P called in; C is the leg its document dialled; they hear each other."""
    world.pages[f"{APP}/start"] = twiml(f"<Dial {action}><Client>agent</Client></Dial>{following}")
    world.pages[f"{APP}/after"] = twiml(after)
    parent = world.calls_in("customer", f"{APP}/start")
    (child,) = world.children(parent)
    world.rings(child)
    assert world.ear(parent) == "builtin:ringback"
    world.answers(child)
    assert world.ear(parent) == {child}
    assert world.ear(child) == {parent}
    world.check()
    return parent, child


def after_request(world: World) -> dict[str, str]:
    """The one request for the Dial's action."""
    (asked,) = [asked for asked in world.asked if asked.url == f"{APP}/after"]
    return asked.form


def test_child_hangs_up_and_the_parent_goes_on_at_its_action(world: World) -> None:
    parent, child = talk(world)
    world.passes(7)
    world.hangs_up(child)
    form = after_request(world)
    assert form["DialCallStatus"] == "completed"
    assert form["DialCallSid"] == child
    assert form["DialCallDuration"] == "7"
    assert form["DialBridged"] == "true"
    assert form["CallStatus"] == "in-progress"
    assert world.call(parent).live
    assert world.call(child).status == "completed"
    world.check()


@pytest.mark.parametrize(("sip_code", "status"), [(486, "busy"), (480, "no-answer"), (404, "failed"), (603, "busy")])
def test_a_child_that_refuses_gives_its_word_to_the_action(world: World, sip_code: int, status: str) -> None:
    world.pages[f"{APP}/start"] = twiml('<Dial action="/after"><Client>agent</Client></Dial>')
    world.pages[f"{APP}/after"] = twiml("<Hangup/>")
    parent = world.calls_in("customer", f"{APP}/start")
    (child,) = world.children(parent)
    world.refuses(child, sip_code)
    assert after_request(world)["DialCallStatus"] == status
    assert after_request(world)["DialBridged"] == "false"
    assert world.call(child).status == status
    assert world.call(parent).status == "completed"


def test_a_child_nobody_answers_is_given_up_after_the_timeout(world: World) -> None:
    world.pages[f"{APP}/start"] = twiml('<Dial timeout="12" action="/after"><Client>agent</Client></Dial>')
    world.pages[f"{APP}/after"] = twiml("<Hangup/>")
    parent = world.calls_in("customer", f"{APP}/start")
    (child,) = world.children(parent)
    world.rings(child)
    world.passes(12)
    assert after_request(world)["DialCallStatus"] == "no-answer"
    assert world.call(child).status == "no-answer"
    assert world.legs[child] == "gone"


def test_parent_hangs_up_and_takes_the_child_with_it(world: World) -> None:
    parent, child = talk(world)
    world.hangs_up(parent)
    assert world.call(parent).status == "completed"
    assert world.call(child).status == "completed"
    assert world.legs[child] == "gone"
    form = after_request(world)
    assert form["CallStatus"] == "completed"
    assert form["DialCallStatus"] == "completed"
    world.check()


def test_parent_hangs_up_while_the_child_rings(world: World) -> None:
    world.pages[f"{APP}/start"] = twiml('<Dial action="/after"><Client>agent</Client></Dial>')
    parent = world.calls_in("customer", f"{APP}/start")
    (child,) = world.children(parent)
    world.rings(child)
    world.hangs_up(parent)
    assert world.call(child).status == "canceled"
    assert after_request(world)["DialCallStatus"] == "canceled"
    assert after_request(world)["CallStatus"] == "completed"


def test_child_ended_by_rest_is_like_a_hang_up(world: World) -> None:
    parent, child = talk(world)
    world.tell(EndCall(call=child))
    assert world.legs[child] == "gone"
    assert after_request(world)["DialCallStatus"] == "completed"
    assert world.call(parent).live


def test_redirecting_the_parent_ends_the_child_and_ignores_the_action(world: World) -> None:
    parent, child = talk(world, after="<Play>/never.mp3</Play>")
    world.pages[f"{APP}/new"] = twiml("<Play>/new.mp3</Play>")
    redirect(world, parent, "/new")
    assert world.call(child).status == "completed"
    assert world.legs[child] == "gone"
    assert world.urls()[-2:] == [f"{APP}/after", f"{APP}/new"]
    assert world.ear(parent) == f"{APP}/new.mp3"
    assert after_request(world)["DialCallStatus"] == "completed"
    world.check()


def test_redirecting_the_parent_without_action_asks_a_following_redirect_only(world: World) -> None:
    parent, _ = talk(world, action="", following="<Redirect>/follow</Redirect>")
    world.pages[f"{APP}/new"] = twiml("<Pause length='60'/>")
    redirect(world, parent, "/new")
    assert world.urls() == [f"{APP}/start", f"{APP}/follow", f"{APP}/new"]
    assert world.call(parent).live


def test_redirecting_the_parent_without_action_or_redirect_asks_nothing_more(world: World) -> None:
    parent, _ = talk(world, action="", following="<Play>/x.mp3</Play>")
    world.pages[f"{APP}/new"] = twiml("<Pause length='60'/>")
    redirect(world, parent, "/new")
    assert world.urls() == [f"{APP}/start", f"{APP}/new"]
    assert parent not in world.playing


def test_redirecting_the_child_frees_it_and_the_parent_goes_on_at_its_action(world: World) -> None:
    parent, child = talk(world, after="<Play>/parked.mp3</Play>")
    world.pages[f"{APP}/new"] = twiml("<Play>/new.mp3</Play>")
    redirect(world, child, "/new")
    assert world.ear(child) == f"{APP}/new.mp3"
    assert world.ear(parent) == f"{APP}/parked.mp3"
    form = after_request(world)
    assert form["DialCallStatus"] == "completed"
    assert form["DialBridged"] == "true"
    assert "DialCallDuration" not in form
    assert world.call(child).parent == parent
    world.hangs_up(parent)
    assert world.call(child).live
    world.check()


def test_redirecting_the_child_without_a_continuation_drops_the_parent(world: World) -> None:
    parent, child = talk(world, action="")
    world.pages[f"{APP}/new"] = twiml("<Pause length='60'/>")
    redirect(world, child, "/new")
    assert world.call(parent).status == "completed"
    assert world.call(child).live


def test_redirecting_the_child_lets_the_parent_go_on_at_a_following_redirect(world: World) -> None:
    parent, child = talk(world, action="", following="<Redirect>/after</Redirect>", after="<Play>/p.mp3</Play>")
    world.pages[f"{APP}/new"] = twiml("<Pause length='60'/>")
    redirect(world, child, "/new")
    assert world.ear(parent) == f"{APP}/p.mp3"
    assert world.call(child).live


def test_a_child_that_rings_cannot_be_redirected(world: World) -> None:
    world.pages[f"{APP}/start"] = twiml("<Dial><Client>agent</Client></Dial>")
    parent = world.calls_in("customer", f"{APP}/start")
    (child,) = world.children(parent)
    world.rings(child)
    with pytest.raises(CallNotInProgress):
        redirect(world, child, "/new")
    assert world.call(parent).live


def test_a_call_that_has_ended_cannot_be_redirected_or_ended(world: World) -> None:
    parent, child = talk(world)
    world.hangs_up(parent)
    for call in (parent, child):
        with pytest.raises(CallNotInProgress):
            redirect(world, call, "/new")
        with pytest.raises(CallNotInProgress):
            world.tell(EndCall(call=call))


def test_the_first_to_answer_wins_and_the_others_are_canceled(world: World) -> None:
    world.pages[f"{APP}/start"] = twiml("<Dial><Client>a</Client><Client>b</Client></Dial>")
    parent = world.calls_in("customer", f"{APP}/start")
    first, second = world.children(parent)
    world.rings(first)
    world.rings(second)
    world.answers(second)
    assert world.call(first).status == "canceled"
    assert world.ear(parent) == {second}
    world.check()


def test_answer_on_bridge_keeps_the_caller_ringing_until_then(world: World) -> None:
    world.pages[f"{APP}/start"] = twiml('<Dial answerOnBridge="true"><Client>agent</Client></Dial>')
    parent = world.calls_in("customer", f"{APP}/start")
    (child,) = world.children(parent)
    world.rings(child)
    assert world.call(parent).status == "ringing"
    world.answers(child)
    assert world.call(parent).status == "in-progress"
    assert world.ear(parent) == {child}


# --- the article's way to hold without a conference ------------------------------------------------------


def hold_pages(world: World) -> None:
    world.pages |= {
        f"{APP}/hold": twiml('<Enqueue waitUrl="/music" action="/after">hold-1</Enqueue>'),
        f"{APP}/music": twiml("<Play>/song.mp3</Play>"),
        f"{APP}/park": twiml('<Pause length="20"/><Redirect>/park</Redirect>'),
        f"{APP}/resume": twiml('<Dial action="/park"><Queue>hold-1</Queue></Dial>'),
        f"{APP}/back": twiml('<Dial action="/park"><Queue>hold-1</Queue></Dial>'),
    }


def test_hold_the_child_and_bring_it_back_over_and_over(world: World) -> None:
    hold_pages(world)
    world.pages[f"{APP}/start"] = twiml('<Dial action="/park"><Client>agent</Client></Dial>')
    world.pages[f"{APP}/after"] = twiml("<Redirect>/park</Redirect>")
    parent = world.calls_in("customer", f"{APP}/start")
    (child,) = world.children(parent)
    world.answers(child)
    for _ in range(5):
        redirect(world, child, "/hold")
        assert world.ear(child) == f"{APP}/song.mp3"
        assert world.ear(parent) == "silence"
        world.passes(30)
        redirect(world, parent, "/resume")
        assert world.ear(parent) == {child}
        assert world.ear(child) == {parent}
        world.check()
    assert world.call(parent).live
    assert world.call(child).live


def test_after_the_first_round_either_side_can_be_held(world: World) -> None:
    hold_pages(world)
    world.pages[f"{APP}/start"] = twiml('<Dial action="/park"><Client>agent</Client></Dial>')
    world.pages[f"{APP}/after"] = twiml("<Redirect>/park</Redirect>")
    parent = world.calls_in("customer", f"{APP}/start")
    (child,) = world.children(parent)
    world.answers(child)
    redirect(world, child, "/hold")
    redirect(world, parent, "/resume")
    redirect(world, parent, "/hold")
    assert world.ear(parent) == f"{APP}/song.mp3"
    assert world.ear(child) == "silence"
    results = [asked["QueueResult"] for asked in world.asked if "QueueResult" in asked.form]
    assert results == ["bridged"]
    redirect(world, child, "/resume")
    assert world.ear(child) == {parent}
    redirect(world, parent, "/hold")
    results = [asked["QueueResult"] for asked in world.asked if "QueueResult" in asked.form]
    assert results == ["bridged", "redirected-from-bridged"]
    world.check()


def test_the_wait_document_of_a_queue_is_asked_again_and_again(world: World) -> None:
    hold_pages(world)
    caller = world.calls_in("caller", f"{APP}/hold")
    assert world.call(caller).status == "in-progress"
    for _ in range(4):
        world.passes(5)
        world.sound_ends(caller)
    asked = [asked for asked in world.asked if asked.url == f"{APP}/music"]
    assert [one["QueuePosition"] for one in asked] == ["1"] * 5
    assert [one["QueueTime"] for one in asked] == ["0", "5", "10", "15", "20"]
    assert asked[0]["CallStatus"] == "ringing"


def test_an_empty_wait_document_does_not_spin(world: World) -> None:
    hold_pages(world)
    world.pages[f"{APP}/music"] = twiml("")
    caller = world.calls_in("caller", f"{APP}/hold")
    world.passes(10.5)
    assert world.urls().count(f"{APP}/music") == 11
    world.hangs_up(caller)
    world.passes(10)
    assert world.urls().count(f"{APP}/music") == 11


def test_a_wait_document_that_fails_is_the_result_error(world: World) -> None:
    hold_pages(world)
    world.pages[f"{APP}/music"] = None
    world.pages[f"{APP}/after"] = twiml("<Pause length='9'/>")
    world.calls_in("caller", f"{APP}/hold")
    assert after_request(world)["QueueResult"] == "error"


def test_leave_ends_the_wait_at_once(world: World) -> None:
    hold_pages(world)
    world.pages[f"{APP}/music"] = twiml("<Leave/>")
    world.pages[f"{APP}/after"] = twiml("<Pause length='9'/>")
    caller = world.calls_in("caller", f"{APP}/hold")
    assert after_request(world)["QueueResult"] == "leave"
    assert after_request(world)["QueueTime"] == "0"
    assert world.call(caller).live


def test_dialling_an_unknown_queue_fails_and_an_empty_one_waits(world: World) -> None:
    hold_pages(world)
    world.pages[f"{APP}/resume"] = twiml('<Dial timeout="8" action="/after"><Queue>hold-1</Queue></Dial>')
    world.pages[f"{APP}/after"] = twiml("<Hangup/>")
    world.calls_in("early", f"{APP}/resume")
    assert after_request(world)["DialCallStatus"] == "failed"
    world.hangs_up(world.calls_in("first", f"{APP}/hold"))
    agent = world.calls_in("agent", f"{APP}/resume")
    assert world.ear(agent) == "silence"
    caller = world.calls_in("second", f"{APP}/hold")
    assert world.ear(agent) == {caller}
    world.hangs_up(caller)
    assert world.call(agent).status == "completed"
    world.check()


def test_a_document_that_redirects_to_itself_ends_with_a_notification(world: World) -> None:
    world.pages[f"{APP}/loop"] = twiml("<Redirect/>")
    caller = world.calls_in("caller", f"{APP}/loop")
    assert not world.call(caller).live
    assert world.notices[-1].code == 12400
    assert len(world.asked) <= 110


def test_the_fallback_is_asked_with_what_went_wrong(world: World) -> None:
    world.pages[f"{APP}/bad"] = "<Response><Play></Response>"
    world.pages[f"{APP}/fallback"] = twiml("<Pause length='5'/>")
    instruction = Instruction(request=WebRequest(url=f"{APP}/bad"), fallback=WebRequest(url=f"{APP}/fallback"))
    call = CallSid("CA" + "1" * 32)
    world.tell(ReceiveCall(call=call, account=ACCOUNT, from_="client:x", to="+15550100", instruction=instruction))
    assert world.asked[-1]["ErrorCode"] == "12100"
    assert world.asked[-1]["ErrorUrl"] == f"{APP}/bad"
    assert world.call(call).live


def test_an_outbound_call_goes_through_its_statuses(world: World) -> None:
    world.pages[f"{APP}/hello"] = twiml("<Play>/hello.mp3</Play>")
    call = world.place("bob", f"{APP}/hello", events=("initiated", "ringing", "answered", "completed"))
    assert world.call(call).status == "queued"
    world.rings(call)
    world.answers(call)
    assert world.ear(call) == f"{APP}/hello.mp3"
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
    assert world.ear(child) == "digits:ww12#"
    assert world.ear(parent) == "builtin:ringback"
    world.sound_ends(child)
    assert world.ear(parent) == {child}
    assert world.ear(child) == {parent}
    world.check()
