"""A plain `<Dial>`: what becomes of the parent P and the child C, row by row, with every request and every ear.

Source: TwiML <Dial>, "Modify a live call", changelog 2020-12 and 2021-05.
"""

from __future__ import annotations

from typing import Literal

import pytest

from holdfast.testing.world import World
from holdfast.voice.model.commands import ChangeCall, EndCall
from holdfast.voice.model.errors import CallNotInProgress
from tests.stories.telling import EVENTS, Told, end, pages, redirect

ALL = f'statusCallback="/leg" statusCallbackEvent="{" ".join(EVENTS)}"'
BRIDGED = "DialCallSid=C DialCallDuration=7 DialBridged=true"
GOODBYE = "CallDuration=7 Duration=1 SipResponseCode=200"


def dialled(world: World, *, dial: str = 'action="/after"', noun: str = "", following: str = "") -> Told:
    """P called in, and its document dials C."""
    pages(
        world,
        start=f"<Dial {dial}><Client {ALL} {noun}>agent</Client></Dial>{following}",
        after='<Play loop="0">/after.mp3</Play>',
        new='<Play loop="0">/new.mp3</Play>',
        screen='<Play loop="0">/screen.mp3</Play>',
    )
    parent = world.calls_in("customer", "https://app.example/start", events=("completed",))
    (child,) = world.children(parent)
    told = Told(world, P=parent, C=child)
    assert told.news() == ["P POST /start ringing", "C POST /leg initiated"]
    assert told.hears() == {"P": "builtin:ringback", "C": "silence"}
    return told


def ringing(world: World, *, dial: str = 'action="/after"', noun: str = "", following: str = "") -> Told:
    """State R: C rings, P hears it ring."""
    told = dialled(world, dial=dial, noun=noun, following=following)
    world.rings(told["C"])
    assert told.news() == ["C POST /leg ringing"]
    return told


def screened(world: World, *, dial: str = 'action="/after"', following: str = "") -> Told:
    """State S: C has answered and hears its noun's `url` document; P still hears it ring."""
    told = ringing(world, dial=dial, noun='url="/screen"', following=following)
    world.answers(told["C"])
    assert told.news() == ["C POST /leg in-progress", "C POST /screen in-progress"]
    assert told.hears() == {"P": "builtin:ringback", "C": "/screen.mp3"}
    world.passes(7)
    return told


def bridged(world: World, *, dial: str = 'action="/after"', following: str = "") -> Told:
    """State B: P and C hear each other, for seven seconds now."""
    told = ringing(world, dial=dial, following=following)
    world.answers(told["C"])
    assert told.news() == ["C POST /leg in-progress"]
    assert told.hears() == {"P": "C", "C": "P"}
    world.passes(7)
    return told


def test_row_1_the_child_hangs_up_and_the_parent_goes_on(world: World) -> None:
    told = bridged(world)
    world.hangs_up(told["C"])
    assert told.news() == [
        f"C POST /leg completed {GOODBYE}",
        f"P POST /after in-progress DialCallStatus=completed {BRIDGED}",
    ]
    assert told.statuses() == {"P": "in-progress", "C": "completed"}
    assert told.hears() == {"P": "/after.mp3", "C": "nothing"}


@pytest.mark.parametrize("dial", ["", 'action="/empty"'])
def test_row_1_a_parent_without_a_continuation_is_hung_up(world: World, dial: str) -> None:
    pages(world, empty="")
    told = bridged(world, dial=dial)
    world.hangs_up(told["C"])
    asked = [f"P POST /empty in-progress DialCallStatus=completed {BRIDGED}"] if dial else []
    assert told.news() == [f"C POST /leg completed {GOODBYE}", *asked, f"P POST /status completed {GOODBYE}"]
    assert told.statuses() == {"P": "completed", "C": "completed"}


def test_row_2_the_child_hangs_up_while_it_is_screened(world: World) -> None:
    told = screened(world)
    world.hangs_up(told["C"])
    assert told.news() == [
        f"C POST /leg completed {GOODBYE}",
        "P POST /after in-progress DialCallStatus=completed DialCallSid=C DialCallDuration=7 DialBridged=false",
    ]
    assert told.hears() == {"P": "/after.mp3", "C": "nothing"}


@pytest.mark.parametrize("verb", ["<Hangup/>", "<Reject/>"])
def test_row_2_a_screening_that_refuses(world: World, verb: str) -> None:
    told = ringing(world, noun='url="/screen"')
    pages(world, screen=verb)
    world.answers(told["C"])
    assert told.news() == [
        "C POST /leg in-progress",
        "C POST /screen in-progress",
        "C POST /leg completed CallDuration=0 Duration=0 SipResponseCode=200",
        "P POST /after in-progress DialCallStatus=completed DialCallSid=C DialCallDuration=0 DialBridged=false",
    ]


@pytest.mark.parametrize(
    ("sip_code", "status"),
    [(486, "busy"), (600, "busy"), (603, "busy"), (480, "no-answer"), (408, "no-answer"), (404, "failed")],
)
def test_row_3_the_child_refuses_or_cannot_be_reached(world: World, sip_code: int, status: str) -> None:
    told = ringing(world)
    world.refuses(told["C"], sip_code)
    assert told.news() == [
        f"C POST /leg {status} CallDuration=0 Duration=0 SipResponseCode={sip_code}",
        f"P POST /after in-progress DialCallStatus={status} DialCallSid=C DialBridged=false",
    ]
    assert told.statuses() == {"P": "in-progress", "C": status}
    assert told.hears() == {"P": "/after.mp3", "C": "nothing"}


def test_row_4_the_parent_hangs_up_while_bridged(world: World) -> None:
    told = bridged(world)
    world.hangs_up(told["P"])
    assert told.news() == [
        f"P POST /after completed DialCallStatus=completed {BRIDGED}",
        f"P POST /status completed {GOODBYE}",
        f"C POST /leg completed {GOODBYE}",
    ]
    assert told.statuses() == {"P": "completed", "C": "completed"}
    assert told.hears() == {"P": "nothing", "C": "nothing"}
    assert world.legs[told["C"]] == "gone"


def test_row_4_the_parent_hangs_up_while_the_child_is_screened(world: World) -> None:
    told = screened(world)
    world.hangs_up(told["P"])
    assert told.news() == [
        "P POST /after completed DialCallStatus=completed DialCallSid=C DialCallDuration=7 DialBridged=false",
        f"P POST /status completed {GOODBYE}",
        f"C POST /leg completed {GOODBYE}",
    ]
    assert told.statuses() == {"P": "completed", "C": "completed"}


def test_row_5_the_parent_hangs_up_while_the_child_rings(world: World) -> None:
    told = ringing(world)
    world.hangs_up(told["P"])
    assert told.news() == [
        "P POST /after completed DialCallStatus=canceled DialCallSid=C DialBridged=false",
        "P POST /status completed CallDuration=0 Duration=0 SipResponseCode=200",
        "C POST /leg canceled CallDuration=0 Duration=0 SipResponseCode=487",
    ]
    assert told.statuses() == {"P": "completed", "C": "canceled"}


def test_row_5_a_parent_that_was_never_answered_is_no_answer(world: World) -> None:
    told = ringing(world, dial='answerOnBridge="true" action="/after"')
    assert told.statuses() == {"P": "ringing", "C": "ringing"}
    world.hangs_up(told["P"])
    assert told.news() == [
        "P POST /after no-answer DialCallStatus=canceled DialCallSid=C DialBridged=false",
        "P POST /status no-answer CallDuration=0 Duration=0 SipResponseCode=487",
        "C POST /leg canceled CallDuration=0 Duration=0 SipResponseCode=487",
    ]


def test_row_6_the_parent_is_ended_by_rest_while_bridged(world: World) -> None:
    told = bridged(world)
    end(world, told["P"])
    assert told.news() == [
        f"P POST /after completed DialCallStatus=completed {BRIDGED}",
        f"P POST /status completed {GOODBYE}",
        f"C POST /leg completed {GOODBYE}",
    ]
    assert world.legs[told["P"]] == "gone"


def test_row_6_the_parent_is_ended_by_rest_while_the_child_rings(world: World) -> None:
    told = ringing(world)
    end(world, told["P"])
    assert told.news() == [
        "P POST /after completed DialCallStatus=canceled DialCallSid=C DialBridged=false",
        "P POST /status completed CallDuration=0 Duration=0 SipResponseCode=200",
        "C POST /leg canceled CallDuration=0 Duration=0 SipResponseCode=487",
    ]


def test_row_7_the_child_is_ended_by_rest_while_bridged(world: World) -> None:
    told = bridged(world)
    end(world, told["C"])
    assert told.news() == [
        f"C POST /leg completed {GOODBYE}",
        f"P POST /after in-progress DialCallStatus=completed {BRIDGED}",
    ]
    assert told.hears() == {"P": "/after.mp3", "C": "nothing"}
    assert world.legs[told["C"]] == "gone"


@pytest.mark.parametrize("status", ["completed", "canceled"])
def test_row_8_the_child_is_ended_by_rest_while_it_rings(
    world: World, status: Literal["completed", "canceled"]
) -> None:
    told = ringing(world)
    world.tell(EndCall(call=told["C"], status=status))
    assert told.news() == [
        "C POST /leg canceled CallDuration=0 Duration=0 SipResponseCode=487",
        "P POST /after in-progress DialCallStatus=canceled DialCallSid=C DialBridged=false",
    ]
    assert told.statuses() == {"P": "in-progress", "C": "canceled"}


def test_an_answered_child_cannot_be_canceled(world: World) -> None:
    told = bridged(world)
    world.tell(EndCall(call=told["C"], status="canceled"))
    assert told.news() == []
    assert told.hears() == {"P": "C", "C": "P"}


def test_row_9_the_parent_is_redirected_while_bridged(world: World) -> None:
    told = bridged(world)
    redirect(world, told["P"], "/new")
    assert told.news() == [
        f"P POST /after in-progress DialCallStatus=completed {BRIDGED}",
        "P POST /new in-progress",
        f"C POST /leg completed {GOODBYE}",
    ]
    assert told.statuses() == {"P": "in-progress", "C": "completed"}
    assert told.hears() == {"P": "/new.mp3", "C": "nothing"}


def test_row_9_without_action_a_following_redirect_is_asked_and_ignored(world: World) -> None:
    told = bridged(world, dial="", following="<Redirect>/after</Redirect>")
    redirect(world, told["P"], "/new")
    assert told.news() == [
        "P POST /after in-progress",
        "P POST /new in-progress",
        f"C POST /leg completed {GOODBYE}",
    ]
    assert told.hears() == {"P": "/new.mp3", "C": "nothing"}


def test_row_9_without_action_any_other_following_verb_is_not_run(world: World) -> None:
    told = bridged(world, dial="", following="<Play>/after.mp3</Play>")
    redirect(world, told["P"], "/new")
    assert told.news() == ["P POST /new in-progress", f"C POST /leg completed {GOODBYE}"]
    assert told.hears() == {"P": "/new.mp3", "C": "nothing"}


def test_row_10_the_parent_is_redirected_while_the_child_rings(world: World) -> None:
    told = ringing(world)
    redirect(world, told["P"], "/new")
    assert told.news() == [
        "P POST /after in-progress DialCallStatus=canceled DialCallSid=C DialBridged=false",
        "P POST /new in-progress",
        "C POST /leg canceled CallDuration=0 Duration=0 SipResponseCode=487",
    ]
    assert told.hears() == {"P": "/new.mp3", "C": "nothing"}


def test_row_9_the_parent_is_redirected_while_the_child_is_screened(world: World) -> None:
    told = screened(world)
    redirect(world, told["P"], "/new")
    assert told.news() == [
        "P POST /after in-progress DialCallStatus=completed DialCallSid=C DialCallDuration=7 DialBridged=false",
        "P POST /new in-progress",
        f"C POST /leg completed {GOODBYE}",
    ]
    assert told.hears() == {"P": "/new.mp3", "C": "nothing"}


def test_row_11_the_child_is_redirected_while_bridged(world: World) -> None:
    told = bridged(world)
    redirect(world, told["C"], "/new")
    assert told.news() == [
        "C POST /new in-progress",
        "P POST /after in-progress DialCallStatus=completed DialCallSid=C DialBridged=true",
    ]
    assert told.statuses() == {"P": "in-progress", "C": "in-progress"}
    assert told.hears() == {"P": "/after.mp3", "C": "/new.mp3"}
    assert world.call(told["C"]).parent == told["P"]
    world.hangs_up(told["P"])
    assert told.news() == [f"P POST /status completed {GOODBYE}"]
    assert told.hears() == {"P": "nothing", "C": "/new.mp3"}


def test_row_11_without_a_continuation_the_parent_drops(world: World) -> None:
    told = bridged(world, dial="")
    redirect(world, told["C"], "/new")
    assert told.news() == ["C POST /new in-progress", f"P POST /status completed {GOODBYE}"]
    assert told.statuses() == {"P": "completed", "C": "in-progress"}


@pytest.mark.parametrize("following", ["<Redirect>/after</Redirect>", '<Play loop="0">/after.mp3</Play>'])
def test_row_11_the_following_verbs_keep_the_parent(world: World, following: str) -> None:
    told = bridged(world, dial="", following=following)
    redirect(world, told["C"], "/new")
    assert told.hears() == {"P": "/after.mp3", "C": "/new.mp3"}


def test_row_11_both_are_redirected_the_child_first(world: World) -> None:
    told = bridged(world)
    pages(world, second='<Play loop="0">/second.mp3</Play>')
    redirect(world, told["C"], "/new")
    redirect(world, told["P"], "/second")
    assert told.news() == [
        "C POST /new in-progress",
        "P POST /after in-progress DialCallStatus=completed DialCallSid=C DialBridged=true",
        "P POST /second in-progress",
    ]
    assert told.hears() == {"P": "/second.mp3", "C": "/new.mp3"}


def test_row_11_the_parents_own_redirect_wins_over_the_action_in_flight(world: World) -> None:
    told = bridged(world)
    pages(world, second='<Play loop="0">/second.mp3</Play>')
    world.held_back.add("https://app.example/after")
    redirect(world, told["C"], "/new")
    redirect(world, told["P"], "/second")
    assert told.hears() == {"P": "/second.mp3", "C": "/new.mp3"}
    world.release("https://app.example/after")
    assert told.hears() == {"P": "/second.mp3", "C": "/new.mp3"}


def test_row_12_the_child_is_redirected_while_it_is_screened(world: World) -> None:
    told = screened(world)
    redirect(world, told["C"], "/new")
    assert told.news() == [
        "C POST /new in-progress",
        "P POST /after in-progress DialCallStatus=completed DialCallSid=C DialBridged=false",
    ]
    assert told.hears() == {"P": "/after.mp3", "C": "/new.mp3"}


def test_row_12_the_child_is_redirected_while_touch_tones_are_sent_to_it(world: World) -> None:
    pages(
        world,
        start='<Dial action="/after"><Number sendDigits="1234">+15550111</Number></Dial>',
        after='<Play loop="0">/after.mp3</Play>',
        new="<Pause length='60'/>",
    )
    parent = world.calls_in("customer", "https://app.example/start")
    (child,) = world.children(parent)
    told = Told(world, P=parent, C=child)
    world.answers(child)
    assert told.hears() == {"P": "builtin:ringback", "C": "digits:1234"}
    redirect(world, child, "/new")
    assert told.news() == [
        "P POST /start ringing",
        "C POST /new in-progress",
        "P POST /after in-progress DialCallStatus=completed DialCallSid=C DialBridged=false",
    ]
    assert told.hears() == {"P": "/after.mp3", "C": "silence"}


def test_row_13_a_ringing_child_cannot_be_redirected(world: World) -> None:
    told = ringing(world)
    with pytest.raises(CallNotInProgress) as refused:
        redirect(world, told["C"], "/new")
    assert (refused.value.code, refused.value.http) == (21220, 400)
    assert refused.value.message == "Call is not in-progress. Cannot redirect."
    assert told.news() == []
    assert told.hears() == {"P": "builtin:ringback", "C": "silence"}


def test_row_14_the_dials_time_limit(world: World) -> None:
    told = bridged(world, dial='timeLimit="20" action="/after"')
    world.passes(12.9)
    assert told.news() == []
    world.passes(0.2)
    assert told.news() == [
        "P POST /after in-progress DialCallStatus=completed DialCallSid=C DialCallDuration=20 DialBridged=true",
        "C POST /leg completed CallDuration=20 Duration=1 SipResponseCode=200",
    ]
    assert told.hears() == {"P": "/after.mp3", "C": "nothing"}


def test_row_15_the_parent_presses_star(world: World) -> None:
    told = bridged(world, dial='hangupOnStar="true" action="/after"')
    world.presses(told["C"], "*")
    world.presses(told["P"], "12#")
    assert told.news() == []
    world.presses(told["P"], "*")
    assert told.news() == [
        f"P POST /after in-progress DialCallStatus=completed {BRIDGED}",
        f"C POST /leg completed {GOODBYE}",
    ]
    assert told.hears() == {"P": "/after.mp3", "C": "nothing"}


def test_a_star_means_nothing_unless_it_was_asked_for(world: World) -> None:
    told = bridged(world)
    world.presses(told["P"], "*")
    assert told.news() == []
    assert told.hears() == {"P": "C", "C": "P"}


def test_row_16_the_parents_own_time_limit(world: World) -> None:
    told = bridged(world)
    world.tell(ChangeCall(call=told["P"], time_limit_s=30))
    world.passes(23.1)
    duration = "CallDuration=30 Duration=1 SipResponseCode=200"
    assert told.news() == [
        "P POST /after completed DialCallStatus=completed DialCallSid=C DialCallDuration=30 DialBridged=true",
        f"P POST /status completed {duration}",
        f"C POST /leg completed {duration}",
    ]
    assert told.statuses() == {"P": "completed", "C": "completed"}


def test_row_16_a_time_limit_that_is_over_already_ends_the_call_with_a_warning(world: World) -> None:
    told = bridged(world)
    world.tell(ChangeCall(call=told["P"], time_limit_s=5))
    assert told.statuses() == {"P": "completed", "C": "completed"}
    assert [notice.code for notice in world.notices] == [13216]


def test_row_17_nobody_answers_within_the_dials_timeout(world: World) -> None:
    told = ringing(world, dial='timeout="12" action="/after"')
    world.passes(12.1)
    assert told.news() == [
        "P POST /after in-progress DialCallStatus=no-answer DialCallSid=C DialBridged=false",
        "C POST /leg no-answer CallDuration=0 Duration=0 SipResponseCode=487",
    ]
    assert told.statuses() == {"P": "in-progress", "C": "no-answer"}
    assert world.legs[told["C"]] == "gone"


# --- several nouns -----------------------------------------------------------------------------------------


def test_the_first_to_answer_wins_before_its_screening_runs(world: World) -> None:
    pages(
        world,
        start=f'<Dial action="/after"><Client {ALL}>a</Client><Client url="/screen">b</Client></Dial>',
        screen='<Play loop="0">/screen.mp3</Play>',
        after='<Play loop="0">/after.mp3</Play>',
    )
    parent = world.calls_in("customer", "https://app.example/start")
    first, second = world.children(parent)
    told = Told(world, P=parent, A=first, B=second)
    world.answers(second)
    assert told.news() == [
        "P POST /start ringing",
        "A POST /leg initiated",
        "B POST /screen in-progress",
        "A POST /leg canceled CallDuration=0 Duration=0 SipResponseCode=487",
    ]
    assert told.hears() == {"P": "builtin:ringback", "A": "nothing", "B": "/screen.mp3"}
    world.hangs_up(second)
    assert told.news() == [
        "P POST /after in-progress DialCallStatus=completed DialCallSid=B DialCallDuration=0 DialBridged=false"
    ]


def test_when_nobody_of_several_answers_no_child_is_named(world: World) -> None:
    pages(world, start='<Dial action="/after"><Client>a</Client><Client>b</Client></Dial>', after="<Pause/>")
    parent = world.calls_in("customer", "https://app.example/start")
    first, second = world.children(parent)
    told = Told(world, P=parent, A=first, B=second)
    world.refuses(first, 486)
    world.refuses(second, 404)
    assert told.news() == [
        "P POST /start ringing",
        "P POST /after in-progress DialCallStatus=failed DialBridged=false",
    ]
