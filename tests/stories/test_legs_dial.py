"""A plain `<Dial>`: what becomes of the parent P and the child C, row by row, with every request and every ear.

Source: TwiML <Dial>, "Modify a live call", changelog 2020-12 and 2021-05.
"""

from __future__ import annotations

from typing import Literal

import pytest

from holdfast.testing.world import World
from holdfast.voice.model.commands import ChangeCall, EndCall, RecordCall, RecordingOptions
from holdfast.voice.model.errors import CallNotInProgress
from holdfast.voice.model.ids import RecordingSid
from tests.stories.leg_events import EVENTS, Told, end, pages, redirect

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
    assert told.stands() == {"P": "in-progress hears /after.mp3", "C": "completed hears nothing"}


@pytest.mark.parametrize("dial", ["", 'action="/empty"'])
def test_row_1_a_parent_without_a_continuation_is_hung_up(world: World, dial: str) -> None:
    pages(world, empty="")
    told = bridged(world, dial=dial)
    world.hangs_up(told["C"])
    asked = [f"P POST /empty in-progress DialCallStatus=completed {BRIDGED}"] if dial else []
    assert told.news() == [f"C POST /leg completed {GOODBYE}", *asked, f"P POST /status completed {GOODBYE}"]
    assert told.stands() == {"P": "completed hears nothing", "C": "completed hears nothing"}


def test_row_2_the_child_hangs_up_while_it_is_screened(world: World) -> None:
    told = screened(world)
    world.hangs_up(told["C"])
    assert told.news() == [
        f"C POST /leg completed {GOODBYE}",
        "P POST /after in-progress DialCallStatus=completed DialCallSid=C DialCallDuration=7 DialBridged=false",
    ]
    assert told.stands() == {"P": "in-progress hears /after.mp3", "C": "completed hears nothing"}


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
    assert told.stands() == {"P": "in-progress hears /after.mp3", "C": "completed hears nothing"}


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
    assert told.stands() == {"P": "in-progress hears /after.mp3", "C": f"{status} hears nothing"}


def test_row_4_the_parent_hangs_up_while_bridged(world: World) -> None:
    told = bridged(world)
    world.hangs_up(told["P"])
    assert told.news() == [
        f"P POST /after completed DialCallStatus=completed {BRIDGED}",
        f"P POST /status completed {GOODBYE}",
        f"C POST /leg completed {GOODBYE}",
    ]
    assert told.stands() == {"P": "completed hears nothing", "C": "completed hears nothing"}
    assert world.legs[told["C"]] == "gone"


def test_row_4_the_parent_hangs_up_while_the_child_is_screened(world: World) -> None:
    told = screened(world)
    world.hangs_up(told["P"])
    assert told.news() == [
        "P POST /after completed DialCallStatus=completed DialCallSid=C DialCallDuration=7 DialBridged=false",
        f"P POST /status completed {GOODBYE}",
        f"C POST /leg completed {GOODBYE}",
    ]
    assert told.stands() == {"P": "completed hears nothing", "C": "completed hears nothing"}


def test_row_5_the_parent_hangs_up_while_the_child_rings(world: World) -> None:
    told = ringing(world)
    world.hangs_up(told["P"])
    assert told.news() == [
        "P POST /after completed DialCallStatus=canceled DialCallSid=C DialBridged=false",
        "P POST /status completed CallDuration=0 Duration=0 SipResponseCode=200",
        "C POST /leg canceled CallDuration=0 Duration=0 SipResponseCode=487",
    ]
    assert told.stands() == {"P": "completed hears nothing", "C": "canceled hears nothing"}


def test_row_5_a_parent_that_was_never_answered_is_no_answer(world: World) -> None:
    told = ringing(world, dial='answerOnBridge="true" action="/after"')
    assert told.statuses() == {"P": "ringing", "C": "ringing"}
    world.hangs_up(told["P"])
    assert told.news() == [
        "P POST /after no-answer DialCallStatus=canceled DialCallSid=C DialBridged=false",
        "P POST /status no-answer CallDuration=0 Duration=0 SipResponseCode=487",
        "C POST /leg canceled CallDuration=0 Duration=0 SipResponseCode=487",
    ]
    assert told.stands() == {"P": "no-answer hears nothing", "C": "canceled hears nothing"}


def test_row_6_the_parent_is_ended_by_rest_while_bridged(world: World) -> None:
    told = bridged(world)
    end(world, told["P"])
    assert told.news() == [
        f"P POST /after completed DialCallStatus=completed {BRIDGED}",
        f"P POST /status completed {GOODBYE}",
        f"C POST /leg completed {GOODBYE}",
    ]
    assert told.stands() == {"P": "completed hears nothing", "C": "completed hears nothing"}
    assert world.legs[told["P"]] == "gone"


def test_row_6_the_parent_is_ended_by_rest_while_the_child_rings(world: World) -> None:
    told = ringing(world)
    end(world, told["P"])
    assert told.news() == [
        "P POST /after completed DialCallStatus=canceled DialCallSid=C DialBridged=false",
        "P POST /status completed CallDuration=0 Duration=0 SipResponseCode=200",
        "C POST /leg canceled CallDuration=0 Duration=0 SipResponseCode=487",
    ]
    assert told.stands() == {"P": "completed hears nothing", "C": "canceled hears nothing"}


def test_row_6_the_parent_is_ended_by_rest_while_the_child_is_screened(world: World) -> None:
    told = screened(world)
    end(world, told["P"])
    assert told.news() == [
        "P POST /after completed DialCallStatus=completed DialCallSid=C DialCallDuration=7 DialBridged=false",
        f"P POST /status completed {GOODBYE}",
        f"C POST /leg completed {GOODBYE}",
    ]
    assert told.stands() == {"P": "completed hears nothing", "C": "completed hears nothing"}


def test_row_7_the_child_is_ended_by_rest_while_it_is_screened(world: World) -> None:
    told = screened(world)
    end(world, told["C"])
    assert told.news() == [
        f"C POST /leg completed {GOODBYE}",
        "P POST /after in-progress DialCallStatus=completed DialCallSid=C DialCallDuration=7 DialBridged=false",
    ]
    assert told.stands() == {"P": "in-progress hears /after.mp3", "C": "completed hears nothing"}


def test_row_7_the_child_is_ended_by_rest_while_bridged(world: World) -> None:
    told = bridged(world)
    end(world, told["C"])
    assert told.news() == [
        f"C POST /leg completed {GOODBYE}",
        f"P POST /after in-progress DialCallStatus=completed {BRIDGED}",
    ]
    assert told.stands() == {"P": "in-progress hears /after.mp3", "C": "completed hears nothing"}
    assert world.legs[told["C"]] == "gone"


@pytest.mark.parametrize("status", ["completed", "canceled"])
def test_row_8_the_child_is_ended_by_rest_while_it_rings(
    world: World, status: Literal["completed", "canceled"]
) -> None:
    told = ringing(world)
    world.post(EndCall(call=told["C"], status=status))
    assert told.news() == [
        "C POST /leg canceled CallDuration=0 Duration=0 SipResponseCode=487",
        "P POST /after in-progress DialCallStatus=canceled DialCallSid=C DialBridged=false",
    ]
    assert told.stands() == {"P": "in-progress hears /after.mp3", "C": "canceled hears nothing"}


def test_an_answered_child_cannot_be_canceled(world: World) -> None:
    told = bridged(world)
    world.post(EndCall(call=told["C"], status="canceled"))
    assert told.news() == []
    assert told.stands() == {"P": "in-progress hears C", "C": "in-progress hears P"}


def test_row_9_the_parent_is_redirected_while_bridged(world: World) -> None:
    told = bridged(world)
    redirect(world, told["P"], "/new")
    assert told.news() == [
        f"P POST /after in-progress DialCallStatus=completed {BRIDGED}",
        "P POST /new in-progress",
        f"C POST /leg completed {GOODBYE}",
    ]
    assert told.stands() == {"P": "in-progress hears /new.mp3", "C": "completed hears nothing"}


def test_row_9_without_action_a_following_redirect_is_asked_and_ignored(world: World) -> None:
    told = bridged(world, dial="", following="<Redirect>/after</Redirect>")
    redirect(world, told["P"], "/new")
    assert told.news() == [
        "P POST /after in-progress",
        "P POST /new in-progress",
        f"C POST /leg completed {GOODBYE}",
    ]
    assert told.stands() == {"P": "in-progress hears /new.mp3", "C": "completed hears nothing"}


def test_row_9_without_action_any_other_following_verb_is_not_run(world: World) -> None:
    told = bridged(world, dial="", following="<Play>/after.mp3</Play>")
    redirect(world, told["P"], "/new")
    assert told.news() == ["P POST /new in-progress", f"C POST /leg completed {GOODBYE}"]
    assert told.stands() == {"P": "in-progress hears /new.mp3", "C": "completed hears nothing"}


def test_row_10_the_parent_is_redirected_while_the_child_rings(world: World) -> None:
    told = ringing(world)
    redirect(world, told["P"], "/new")
    assert told.news() == [
        "P POST /after in-progress DialCallStatus=canceled DialCallSid=C DialBridged=false",
        "P POST /new in-progress",
        "C POST /leg canceled CallDuration=0 Duration=0 SipResponseCode=487",
    ]
    assert told.stands() == {"P": "in-progress hears /new.mp3", "C": "canceled hears nothing"}


def test_row_9_the_parent_is_redirected_while_the_child_is_screened(world: World) -> None:
    told = screened(world)
    redirect(world, told["P"], "/new")
    assert told.news() == [
        "P POST /after in-progress DialCallStatus=completed DialCallSid=C DialCallDuration=7 DialBridged=false",
        "P POST /new in-progress",
        f"C POST /leg completed {GOODBYE}",
    ]
    assert told.stands() == {"P": "in-progress hears /new.mp3", "C": "completed hears nothing"}


def test_row_11_the_child_is_redirected_while_bridged(world: World) -> None:
    told = bridged(world)
    redirect(world, told["C"], "/new")
    assert told.news() == [
        "C POST /new in-progress",
        "P POST /after in-progress DialCallStatus=completed DialCallSid=C DialBridged=true",
    ]
    assert told.stands() == {"P": "in-progress hears /after.mp3", "C": "in-progress hears /new.mp3"}
    assert world.call(told["C"]).parent == told["P"]
    world.hangs_up(told["P"])
    assert told.news() == [f"P POST /status completed {GOODBYE}"]
    assert told.stands() == {"P": "completed hears nothing", "C": "in-progress hears /new.mp3"}


def test_row_11_without_a_continuation_the_parent_drops(world: World) -> None:
    told = bridged(world, dial="")
    redirect(world, told["C"], "/new")
    assert told.news() == ["C POST /new in-progress", f"P POST /status completed {GOODBYE}"]
    assert told.stands() == {"P": "completed hears nothing", "C": "in-progress hears /new.mp3"}


@pytest.mark.parametrize("following", ["<Redirect>/after</Redirect>", '<Play loop="0">/after.mp3</Play>'])
def test_row_11_the_following_verbs_keep_the_parent(world: World, following: str) -> None:
    told = bridged(world, dial="", following=following)
    redirect(world, told["C"], "/new")
    asked = ["P POST /after in-progress"] if "Redirect" in following else []
    assert told.news() == ["C POST /new in-progress", *asked]
    assert told.stands() == {"P": "in-progress hears /after.mp3", "C": "in-progress hears /new.mp3"}


def test_row_11_the_dials_recording_ends_and_the_calls_own_goes_on(world: World) -> None:
    told = bridged(world, dial='record="record-from-answer" action="/after"')
    own = RecordingSid("RE" + "7" * 32)
    world.post(RecordCall(call=told["P"], recording=own, options=RecordingOptions(source="StartCallRecordingAPI")))
    redirect(world, told["C"], "/new")
    (dials,) = (one for one in world.state.recordings.values() if one.sid != own)
    assert told.news() == [
        "C POST /new in-progress",
        "P POST /after in-progress DialCallStatus=completed DialCallSid=C DialBridged=true "
        f"RecordingUrl=https://engine.example/{dials.sid} RecordingSid={dials.sid} RecordingDuration=7",
    ]
    assert {one.options.source: one.status for one in world.state.recordings.values()} == {
        "DialVerb": "completed",
        "StartCallRecordingAPI": "in-progress",
    }
    assert told.stands() == {"P": "in-progress hears /after.mp3", "C": "in-progress hears /new.mp3"}


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
    assert told.stands() == {"P": "in-progress hears /second.mp3", "C": "in-progress hears /new.mp3"}


def test_row_11_the_parents_own_redirect_wins_over_the_action_in_flight(world: World) -> None:
    told = bridged(world)
    pages(world, second='<Play loop="0">/second.mp3</Play>')
    world.withheld_urls.add("https://app.example/after")
    redirect(world, told["C"], "/new")
    redirect(world, told["P"], "/second")
    assert told.news() == [
        "C POST /new in-progress",
        "P POST /after in-progress DialCallStatus=completed DialCallSid=C DialBridged=true",
        "P POST /second in-progress",
    ]
    stands = {"P": "in-progress hears /second.mp3", "C": "in-progress hears /new.mp3"}
    assert told.stands() == stands
    world.release("https://app.example/after")
    assert told.news() == []
    assert told.stands() == stands


def test_row_12_the_child_is_redirected_while_it_is_screened(world: World) -> None:
    told = screened(world)
    redirect(world, told["C"], "/new")
    assert told.news() == [
        "C POST /new in-progress",
        "P POST /after in-progress DialCallStatus=completed DialCallSid=C DialBridged=false",
    ]
    assert told.stands() == {"P": "in-progress hears /after.mp3", "C": "in-progress hears /new.mp3"}


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
    assert told.stands() == {"P": "in-progress hears /after.mp3", "C": "in-progress hears silence"}


def test_row_13_a_ringing_child_cannot_be_redirected(world: World) -> None:
    told = ringing(world)
    with pytest.raises(CallNotInProgress) as refused:
        redirect(world, told["C"], "/new")
    assert (refused.value.code, refused.value.http) == (21220, 400)
    assert refused.value.message == "Call is not in-progress. Cannot redirect."
    assert told.news() == []
    assert told.stands() == {"P": "in-progress hears builtin:ringback", "C": "ringing hears silence"}


def test_row_14_the_dials_time_limit(world: World) -> None:
    told = bridged(world, dial='timeLimit="20" action="/after"')
    world.passes(12.9)
    assert told.news() == []
    world.passes(0.2)
    assert told.news() == [
        "P POST /after in-progress DialCallStatus=completed DialCallSid=C DialCallDuration=20 DialBridged=true",
        "C POST /leg completed CallDuration=20 Duration=1 SipResponseCode=200",
    ]
    assert told.stands() == {"P": "in-progress hears /after.mp3", "C": "completed hears nothing"}


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
    assert told.stands() == {"P": "in-progress hears /after.mp3", "C": "completed hears nothing"}


def test_a_star_means_nothing_unless_it_was_asked_for(world: World) -> None:
    told = bridged(world)
    world.presses(told["P"], "*")
    assert told.news() == []
    assert told.stands() == {"P": "in-progress hears C", "C": "in-progress hears P"}


def test_row_16_the_parents_own_time_limit(world: World) -> None:
    told = bridged(world)
    world.post(ChangeCall(call=told["P"], time_limit_s=30))
    world.passes(23.1)
    duration = "CallDuration=30 Duration=1 SipResponseCode=200"
    assert told.news() == [
        "P POST /after completed DialCallStatus=completed DialCallSid=C DialCallDuration=30 DialBridged=true",
        f"P POST /status completed {duration}",
        f"C POST /leg completed {duration}",
    ]
    assert told.stands() == {"P": "completed hears nothing", "C": "completed hears nothing"}


def test_row_16_a_time_limit_that_is_over_already_ends_the_call_with_a_warning(world: World) -> None:
    told = bridged(world)
    world.post(ChangeCall(call=told["P"], time_limit_s=5))
    assert told.news() == [
        f"P POST /after completed DialCallStatus=completed {BRIDGED}",
        f"P POST /status completed {GOODBYE}",
        f"C POST /leg completed {GOODBYE}",
    ]
    assert told.stands() == {"P": "completed hears nothing", "C": "completed hears nothing"}
    assert [notice.code for notice in world.notifications] == [13216]


def test_row_16_the_parents_own_time_limit_while_the_child_rings(world: World) -> None:
    told = ringing(world)
    world.post(ChangeCall(call=told["P"], time_limit_s=20))
    world.passes(20.1)
    assert told.news() == [
        "P POST /after completed DialCallStatus=canceled DialCallSid=C DialBridged=false",
        "P POST /status completed CallDuration=20 Duration=1 SipResponseCode=200",
        "C POST /leg canceled CallDuration=0 Duration=0 SipResponseCode=487",
    ]
    assert told.stands() == {"P": "completed hears nothing", "C": "canceled hears nothing"}


def test_row_17_no_answer_within_the_dials_timeout(world: World) -> None:
    told = ringing(world, dial='timeout="12" action="/after"')
    world.passes(12.1)
    assert told.news() == [
        "P POST /after in-progress DialCallStatus=no-answer DialCallSid=C DialBridged=false",
        "C POST /leg no-answer CallDuration=0 Duration=0 SipResponseCode=487",
    ]
    assert told.stands() == {"P": "in-progress hears /after.mp3", "C": "no-answer hears nothing"}
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
    assert told.stands() == {
        "P": "in-progress hears builtin:ringback",
        "A": "canceled hears nothing",
        "B": "in-progress hears /screen.mp3",
    }
    world.hangs_up(second)
    assert told.news() == [
        "P POST /after in-progress DialCallStatus=completed DialCallSid=B DialCallDuration=0 DialBridged=false"
    ]
    assert told.stands() == {
        "P": "in-progress hears /after.mp3",
        "A": "canceled hears nothing",
        "B": "completed hears nothing",
    }


def test_when_none_of_several_answers_no_child_is_named(world: World) -> None:
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
    assert told.stands() == {
        "P": "in-progress hears silence",
        "A": "busy hears nothing",
        "B": "failed hears nothing",
    }


# --- one after the other -----------------------------------------------------------------------------------


def in_turn(world: World, *nouns: str) -> Told:
    """P dials these one after the other; the first of them, A, rings."""
    pages(
        world,
        start=f'<Dial action="/after" sequential="true" timeout="15">{"".join(nouns)}</Dial>',
        screen='<Play loop="0">/screen.mp3</Play>',
        after='<Play loop="0">/after.mp3</Play>',
        new='<Play loop="0">/new.mp3</Play>',
    )
    parent = world.calls_in("customer", "https://app.example/start")
    told = Told(world, P=parent, A=world.children(parent)[0])
    assert told.news() == ["P POST /start ringing", "A POST /leg initiated"]
    world.rings(told["A"])
    assert told.news() == ["A POST /leg ringing"]
    assert told.stands() == {"P": "in-progress hears builtin:ringback", "A": "ringing hears silence"}
    return told


def following(told: Told, name: str) -> None:
    """The leg dialled last is the next in turn, and nobody was called beside it."""
    *earlier, newest = told.world.children(told["P"])
    assert set(earlier) < set(told.names)
    told.name(**{name: newest})


NOUNS = tuple(f"<Client {ALL}>{name}</Client>" for name in "abcd")


def test_in_turn_the_next_is_called_when_one_is_busy_silent_or_cannot_be_reached(world: World) -> None:
    told = in_turn(world, *NOUNS)
    world.refuses(told["A"], 486)
    following(told, "B")
    assert told.news() == [
        "A POST /leg busy CallDuration=0 Duration=0 SipResponseCode=486",
        "B POST /leg initiated",
    ]
    world.passes(15.1)
    following(told, "C")
    assert told.news() == [
        "B POST /leg no-answer CallDuration=0 Duration=0 SipResponseCode=487",
        "C POST /leg initiated",
    ]
    world.refuses(told["C"], 404)
    following(told, "D")
    assert told.news() == [
        "C POST /leg failed CallDuration=0 Duration=0 SipResponseCode=404",
        "D POST /leg initiated",
    ]
    world.answers(told["D"])
    assert told.news() == ["D POST /leg in-progress"]
    assert told.stands() == {
        "P": "in-progress hears D",
        "A": "busy hears nothing",
        "B": "no-answer hears nothing",
        "C": "failed hears nothing",
        "D": "in-progress hears P",
    }
    world.passes(7)
    world.hangs_up(told["D"])
    assert told.news() == [
        f"D POST /leg completed {GOODBYE}",
        "P POST /after in-progress DialCallStatus=completed DialCallSid=D DialCallDuration=7 DialBridged=true",
    ]
    assert told.stands()["P"] == "in-progress hears /after.mp3"


def test_a_sequential_dial_without_an_answer_names_the_last_leg(world: World) -> None:
    told = in_turn(world, *NOUNS[:2])
    world.refuses(told["A"], 404)
    following(told, "B")
    world.refuses(told["B"], 486)
    assert told.news() == [
        "A POST /leg failed CallDuration=0 Duration=0 SipResponseCode=404",
        "B POST /leg initiated",
        "B POST /leg busy CallDuration=0 Duration=0 SipResponseCode=486",
        "P POST /after in-progress DialCallStatus=busy DialCallSid=B DialBridged=false",
    ]
    assert told.stands() == {
        "P": "in-progress hears /after.mp3",
        "A": "failed hears nothing",
        "B": "busy hears nothing",
    }


@pytest.mark.parametrize("deed", ["hangs up", "is ended", "<Hangup/>", "<Reject/>"])
def test_a_sequential_dial_tries_the_next_leg_after_a_failed_screening(world: World, deed: str) -> None:
    told = in_turn(world, f'<Client {ALL} url="/screen">a</Client>', NOUNS[1])
    if deed.startswith("<"):
        pages(world, screen=deed)
    world.answers(told["A"])
    assert told.news()[:2] == ["A POST /leg in-progress", "A POST /screen in-progress"]
    if deed == "hangs up":
        assert told.stands() == {"P": "in-progress hears builtin:ringback", "A": "in-progress hears /screen.mp3"}
        world.hangs_up(told["A"])
    elif deed == "is ended":
        end(world, told["A"])
    following(told, "B")
    assert told.stands() == {
        "P": "in-progress hears builtin:ringback",
        "A": "completed hears nothing",
        "B": "queued hears silence",
    }
    told.news()
    world.answers(told["B"])
    assert told.stands()["P"] == "in-progress hears B"
    world.passes(7)
    world.hangs_up(told["B"])
    assert told.news() == [
        "B POST /leg in-progress",
        f"B POST /leg completed {GOODBYE}",
        "P POST /after in-progress DialCallStatus=completed DialCallSid=B DialCallDuration=7 DialBridged=true",
    ]


def test_in_turn_one_redirected_out_of_its_screening_ends_the_dial(world: World) -> None:
    told = in_turn(world, f'<Client {ALL} url="/screen">a</Client>', NOUNS[1])
    world.answers(told["A"])
    told.news()
    redirect(world, told["A"], "/new")
    assert told.news() == [
        "A POST /new in-progress",
        "P POST /after in-progress DialCallStatus=completed DialCallSid=A DialBridged=false",
    ]
    assert told.stands() == {"P": "in-progress hears /after.mp3", "A": "in-progress hears /new.mp3"}
    assert world.children(told["P"]) == [told["A"]]


def test_a_parent_that_hangs_up_ends_a_sequential_dial(world: World) -> None:
    told = in_turn(world, *NOUNS)
    world.hangs_up(told["P"])
    assert told.news() == [
        "P POST /after completed DialCallStatus=canceled DialCallSid=A DialBridged=false",
        "A POST /leg canceled CallDuration=0 Duration=0 SipResponseCode=487",
    ]
    assert told.stands() == {"P": "completed hears nothing", "A": "canceled hears nothing"}
    assert world.children(told["P"]) == [told["A"]]
