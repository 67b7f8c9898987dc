"""Keys that callers press, told as stories. Source: TwiML <Gather>."""

from __future__ import annotations

import pytest

from holdfast.testing.world import World, twiml
from holdfast.voice.model.commands import Instruction, RedirectCall, WebRequest
from holdfast.voice.model.facts import QueueMissing
from holdfast.voice.model.ids import CallSid
from holdfast.voice.twiml.runner import MAX_FACTS
from holdfast.voice.twiml.verbs.gather import MAX_DIGITS

APP = "https://app.example"
PROMPT = "<Play>/prompt.mp3</Play>"


def menu(
    world: World, attributes: str = "", inside: str = PROMPT, following: str = "<Play>/next.mp3</Play>"
) -> CallSid:
    """A caller at a `<Gather>` whose action is /chosen; /next.mp3 follows it."""
    gather = f'<Gather action="/chosen" {attributes}>{inside}</Gather>'
    world.pages[f"{APP}/menu"] = twiml(f"{gather}<Play>/next.mp3</Play>")
    world.pages[f"{APP}/chosen"] = twiml("<Play>/chosen.mp3</Play>")
    return world.calls_in("caller", f"{APP}/menu")


def chosen(world: World) -> tuple[str, str]:
    """The digits and the finishing key that the action was told."""
    (asked,) = [asked for asked in world.document_requests if asked.url == f"{APP}/chosen"]
    return asked["Digits"], asked["FinishedOnKey"]


def test_the_number_of_digits_ends_it_and_the_first_key_stops_the_prompt(world: World) -> None:
    caller = menu(world, 'numDigits="3"')
    assert world.call(caller).status == "in-progress"
    assert world.heard_by(caller) == f"{APP}/prompt.mp3"
    world.presses(caller, "4")
    assert world.heard_by(caller) == "silence"
    world.presses(caller, "21")
    assert chosen(world) == ("421", "")
    assert world.heard_by(caller) == f"{APP}/chosen.mp3"
    world.presses(caller, "9")
    assert world.heard_by(caller) == f"{APP}/chosen.mp3"
    world.check()


def test_the_finishing_key_ends_it_and_is_no_digit(world: World) -> None:
    caller = menu(world)
    world.presses(caller, "17#")
    assert chosen(world) == ("17", "#")


@pytest.mark.parametrize(("keys", "pressed", "told"), [("*9", "12*", ("12", "*")), ("*9", "1#9", ("1#", "9"))])
def test_several_keys_may_finish(world: World, keys: str, pressed: str, told: tuple[str, str]) -> None:
    caller = menu(world, f'finishOnKey="{keys}"')
    world.presses(caller, pressed)
    assert chosen(world) == told


def test_with_no_finishing_key_only_time_or_number_end_it(world: World) -> None:
    caller = menu(world, 'finishOnKey="" timeout="4"')
    world.presses(caller, "1#*")
    world.passes(3.9)
    assert f"{APP}/chosen" not in world.urls()
    world.passes(0.2)
    assert chosen(world) == ("1#*", "")


def test_the_timeout_counts_from_the_end_of_the_prompt_and_from_each_digit(world: World) -> None:
    caller = menu(world, 'timeout="3"')
    world.passes(60)
    assert world.heard_by(caller) == f"{APP}/prompt.mp3"
    world.sound_ends(caller)
    world.passes(2.5)
    world.presses(caller, "5")
    world.passes(2.5)
    world.presses(caller, "6")
    world.passes(3)
    assert chosen(world) == ("56", "")


def test_without_a_digit_the_next_verb_follows(world: World) -> None:
    caller = menu(world)
    world.sound_ends(caller)
    world.passes(5)
    assert world.heard_by(caller) == f"{APP}/next.mp3"
    assert f"{APP}/chosen" not in world.urls()


def test_the_finishing_key_alone_is_no_input(world: World) -> None:
    caller = menu(world)
    world.presses(caller, "#")
    assert world.heard_by(caller) == f"{APP}/next.mp3"


def test_the_action_may_be_asked_without_input(world: World) -> None:
    caller = menu(world, 'actionOnEmptyResult="true"')
    world.sound_ends(caller)
    world.passes(5)
    assert chosen(world) == ("", "")


def test_prompts_play_in_order_and_a_key_skips_those_to_come(world: World) -> None:
    inside = '<Play>/a.mp3</Play><Pause length="2"/><Play loop="2">/b.mp3</Play><Say>or stay</Say>'
    caller = menu(world, 'numDigits="1"', inside)
    assert world.heard_by(caller) == f"{APP}/a.mp3"
    world.sound_ends(caller)
    assert world.heard_by(caller) == "silence"
    world.passes(2)
    assert world.playing[caller][1:] == (f"{APP}/b.mp3", 2)
    world.presses(caller, "7")
    assert chosen(world) == ("7", "")
    world.passes(30)
    assert world.urls().count(f"{APP}/chosen") == 1


def test_a_key_during_a_pause_stops_its_clock(world: World) -> None:
    caller = menu(world, 'timeout="5"', '<Pause length="9"/>')
    world.passes(8)
    world.presses(caller, "1")
    world.passes(4.9)
    assert f"{APP}/chosen" not in world.urls()
    world.passes(0.2)
    assert chosen(world) == ("1", "")


def test_keys_pressed_before_it_are_dropped(world: World) -> None:
    world.pages[f"{APP}/start"] = twiml("<Play>/long.mp3</Play><Redirect>/menu</Redirect>")
    world.pages[f"{APP}/menu"] = twiml('<Gather action="/chosen" numDigits="1"/>')
    world.pages[f"{APP}/chosen"] = twiml("<Pause/>")
    caller = world.calls_in("caller", f"{APP}/start")
    world.presses(caller, "123")
    world.sound_ends(caller)
    world.presses(caller, "4")
    assert chosen(world) == ("4", "")


def test_without_an_action_its_own_document_is_asked_again(world: World) -> None:
    world.pages[f"{APP}/menu"] = twiml('<Gather method="GET" numDigits="1"/>')
    caller = world.calls_in("caller", f"{APP}/menu")
    world.presses(caller, "4")
    assert world.document_requests[-1].url == f"{APP}/menu"
    assert world.document_requests[-1].method == "GET"
    assert world.document_requests[-1]["Digits"] == "4"
    assert world.document_requests[-1]["CallStatus"] == "in-progress"
    assert world.call(caller).live


def test_a_prompt_that_cannot_be_had_is_an_error_with_its_fallback(world: World) -> None:
    caller = menu(world)
    world.sound_fails(caller, 13420)
    assert world.notifications[-1].code == 13420
    world.sound_ends(caller)
    assert world.call(caller).status == "completed"


@pytest.mark.parametrize("event", ["hangs up", "is redirected"])
def test_a_caller_that_hangs_up_makes_no_request(world: World, event: str) -> None:
    caller = menu(world)
    world.presses(caller, "1")
    world.pages[f"{APP}/new"] = twiml("<Play>/new.mp3</Play>")
    if event == "hangs up":
        world.hangs_up(caller)
    else:
        instruction = Instruction(request=WebRequest(url=f"{APP}/new"))
        world.post(RedirectCall(call=caller, instruction=instruction))
        assert world.heard_by(caller) == f"{APP}/new.mp3"
    world.passes(20)
    assert f"{APP}/chosen" not in world.urls()
    world.check()


def test_a_flood_of_keys_ends_it(world: World) -> None:
    caller = menu(world, 'finishOnKey=""')
    world.presses(caller, "8" * (MAX_DIGITS + 500))
    assert chosen(world) == ("8" * MAX_DIGITS, "")


def test_a_flood_of_keys_elsewhere_leaves_no_trace(world: World) -> None:
    world.pages[f"{APP}/start"] = twiml("<Dial><Client>agent</Client></Dial>")
    caller = world.calls_in("caller", f"{APP}/start")
    world.presses(caller, "1*#" * 100)
    (script,) = world.call(caller).scripts
    assert script.facts == ()


def test_a_flood_of_stars_is_bounded(world: World) -> None:
    world.pages[f"{APP}/start"] = twiml('<Dial hangupOnStar="true"><Client>agent</Client></Dial>')
    caller = world.calls_in("caller", f"{APP}/start")
    world.killed = False
    world.presses(caller, "*" * (MAX_FACTS + 200))
    (script,) = world.call(caller).scripts
    assert len(script.facts) == MAX_FACTS


def test_a_queue_waits_document_may_gather_and_its_answer_is_a_wait_document_too(world: World) -> None:
    world.pages |= {
        f"{APP}/start": twiml('<Enqueue waitUrl="/wait" action="/after">q</Enqueue>'),
        f"{APP}/wait": twiml('<Gather action="/key" numDigits="1"><Play>/song.mp3</Play></Gather>'),
        f"{APP}/key": lambda form: twiml("<Leave/>" if form["Digits"] == "0" else "<Play>/other.mp3</Play>"),
        f"{APP}/after": twiml("<Pause length='9'/>"),
    }
    caller = world.calls_in("caller", f"{APP}/start")
    world.presses(caller, "5")
    assert world.document_requests[-1]["QueuePosition"] == "1"
    assert world.heard_by(caller) == f"{APP}/other.mp3"
    world.sound_ends(caller)
    world.passes(1)
    assert world.heard_by(caller) == f"{APP}/song.mp3"
    world.presses(caller, "0")
    assert world.document_requests[-1]["QueueResult"] == "leave"


def test_a_called_party_may_be_asked_to_accept_before_the_bridge(world: World) -> None:
    world.pages |= {
        f"{APP}/start": twiml('<Dial action="/after"><Client url="/screen">agent</Client></Dial>'),
        f"{APP}/screen": twiml('<Gather action="/accept" numDigits="1"><Say>press one</Say></Gather><Hangup/>'),
        f"{APP}/accept": twiml(""),
        f"{APP}/after": twiml("<Pause length='9'/>"),
    }
    caller = world.calls_in("caller", f"{APP}/start")
    (agent,) = world.children(caller)
    world.answers(agent)
    assert world.heard_by(caller) == "builtin:ringback"
    world.presses(agent, "1")
    assert world.document_requests[-1]["ParentCallSid"] == caller
    assert world.heard_by(caller) == {agent}
    world.check()


def test_a_screened_callee_without_a_digit_is_hung_up(world: World) -> None:
    world.pages |= {
        f"{APP}/start": twiml('<Dial action="/after"><Client url="/screen">agent</Client></Dial>'),
        f"{APP}/screen": twiml('<Gather action="/accept" numDigits="1"/><Hangup/>'),
        f"{APP}/after": twiml("<Pause length='9'/>"),
    }
    caller = world.calls_in("caller", f"{APP}/start")
    (agent,) = world.children(caller)
    world.answers(agent)
    world.passes(5)
    assert world.call(agent).status == "completed"
    assert world.document_requests[-1]["DialCallStatus"] == "completed"
    assert world.document_requests[-1]["DialBridged"] == "false"


@pytest.mark.parametrize(
    ("attributes", "inside", "code"),
    [
        ('finishOnKey="x"', "", 13310),
        ('method="PUT"', "", 13312),
        ('timeout="0"', "", 13313),
        ('numDigits="-1"', "", 13314),
        ('speechTimeout="soon"', "", 13327),
        ('input="speech"', "", 12200),
        ('input="smell"', "", 12200),
        ('colour="red"', "", 12200),
        ("", "<Dial>+15550111</Dial>", 13320),
        ("", '<Play digits="1"/>', 13320),
        ("", '<Say loop="x">hello</Say>', 13510),
    ],
)
def test_a_fault_in_a_gather_is_a_warning_and_the_call_continues(
    world: World, attributes: str, inside: str, code: int
) -> None:
    caller = menu(world, attributes, inside + PROMPT)
    assert code in [notice.code for notice in world.notifications]
    assert all(notice.log == 1 for notice in world.notifications)
    assert world.call(caller).live


def test_speech_attributes_are_known_and_change_nothing(world: World) -> None:
    caller = menu(world, 'hints="a,b" speechTimeout="auto" partialResultCallback="/partial" numDigits="1"')
    assert world.notifications == []
    world.presses(caller, "1")
    assert chosen(world) == ("1", "")


def test_digits_do_not_count_where_only_speech_does(world: World) -> None:
    caller = menu(world, 'input="speech"')
    world.presses(caller, "1#")
    assert world.heard_by(caller) == f"{APP}/prompt.mp3"
    world.sound_ends(caller)
    world.passes(5)
    assert world.heard_by(caller) == f"{APP}/next.mp3"


def test_a_prompt_that_is_none_is_passed_over(world: World) -> None:
    caller = menu(world, 'numDigits="1"', "<Play/>" + PROMPT)
    assert world.heard_by(caller) == f"{APP}/prompt.mp3"
    assert [notice.code for notice in world.notifications] == [12200]


def test_facts_about_something_else_change_nothing(world: World) -> None:
    caller = menu(world, 'numDigits="2"', "")
    world.presses(caller, "1")
    world.post(QueueMissing(call=caller))
    world.passes(4.9)
    world.presses(caller, "2")
    assert chosen(world) == ("12", "")
