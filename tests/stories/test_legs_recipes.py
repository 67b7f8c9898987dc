"""Hold without a conference, as applications do it: who is redirected first, who parks, how they meet again.

Source: Twilio's published hold samples; TwiML <Dial>, <Enqueue>, <Queue>.
"""

from __future__ import annotations

import pytest

from holdfast.testing.world import World
from holdfast.voice.model.errors import CallNotInProgress
from tests.stories.leg_events import APP, Told, pages, redirect

PARK = '<Play>/parked.mp3</Play><Pause length="20"/><Redirect>/holding</Redirect>'
MUSIC = "QueuePosition=1 QueueSid=QU QueueTime=0 AvgQueueTime=0 CurrentQueueSize=1 MaxQueueSize=1000"


def talk(world: World, caller: str, called: str, start: str = "/start") -> Told:
    """The caller's document dials the called; they hear each other."""
    parent = world.calls_in("caller", f"{APP}{start}")
    (child,) = world.children(parent)
    world.answers(child)
    told = Told(world, **{caller: parent, called: child})
    assert told.hears() == {caller: called, called: caller}
    told.news()
    return told


def test_recipe_a_the_agent_called_and_holds_the_customer_over_and_over(world: World) -> None:
    """The agent is P, the customer C: C is enqueued first, P parks by its action, and comes back for C."""
    pages(
        world,
        start='<Dial action="/holding"><Number>+15550111</Number></Dial>',
        enqueue='<Enqueue waitUrl="/music">hold-1</Enqueue>',
        music='<Play loop="0">/music.mp3</Play>',
        holding=PARK,
        resume='<Dial action="/holding"><Queue>hold-1</Queue></Dial>',
    )
    told = talk(world, "agent", "customer")
    for number in range(4):
        redirect(world, told["customer"], "/enqueue")
        bridged = "DialCallStatus=completed DialCallSid=customer"
        if number:
            bridged += " DialCallDuration=9 DialBridged=true QueueSid=QU QueueTime=30"
        else:
            bridged += " DialBridged=true"
        assert sorted(told.news()) == sorted(
            [
                "customer POST /enqueue in-progress",
                f"agent POST /holding in-progress {bridged}",
                f"customer POST /music in-progress {MUSIC}",
            ]
        )
        assert told.hears() == {"agent": "/parked.mp3", "customer": "/music.mp3"}
        world.sound_ends(told["agent"])
        world.passes(30)
        assert told.news() == ["agent POST /holding in-progress"]
        redirect(world, told["agent"], "/resume")
        assert told.news() == ["agent POST /resume in-progress"]
        assert told.hears() == {"agent": "customer", "customer": "agent"}
        world.passes(9)
    assert told.statuses() == {"agent": "in-progress", "customer": "in-progress"}


def test_recipe_b_the_customer_called_and_the_agent_is_parked_first(world: World) -> None:
    """The customer is P: the agent C is parked, the customer's action enqueues it, the agent comes for it."""
    pages(
        world,
        start='<Dial action="/customer-hold"><Client>agent</Client></Dial>',
        **{
            "customer-hold": '<Enqueue waitUrl="/music" action="/after">hold-1</Enqueue>',
            "music": '<Play loop="0">/music.mp3</Play>',
            "agent-parked": PARK,
            "holding": PARK,
            "after": "<Hangup/>",
            "resume": '<Dial action="/holding"><Queue>hold-1</Queue></Dial>',
        },
    )
    told = talk(world, "customer", "agent")
    redirect(world, told["agent"], "/agent-parked")
    assert told.news() == [
        "agent POST /agent-parked in-progress",
        "customer POST /customer-hold in-progress DialCallStatus=completed DialCallSid=agent DialBridged=true",
        f"customer POST /music in-progress {MUSIC}",
    ]
    assert told.stands() == {"customer": "in-progress hears /music.mp3", "agent": "in-progress hears /parked.mp3"}
    world.passes(6)
    redirect(world, told["agent"], "/resume")
    assert told.stands() == {"customer": "in-progress hears agent", "agent": "in-progress hears customer"}
    world.hangs_up(told["agent"])
    assert told.news() == [
        "agent POST /resume in-progress",
        "agent POST /holding completed DialCallStatus=completed DialCallSid=customer DialCallDuration=0 "
        "DialBridged=true QueueSid=QU QueueTime=6",
        "customer POST /after in-progress QueueResult=bridged QueueSid=QU QueueTime=6",
    ]
    assert told.stands() == {"customer": "completed hears nothing", "agent": "completed hears nothing"}


def test_recipe_b_the_customer_redirected_first_loses_the_agent(world: World) -> None:
    pages(
        world,
        start='<Dial action="/customer-hold"><Client>agent</Client></Dial>',
        hold='<Play loop="0">/music.mp3</Play>',
        **{"customer-hold": "<Pause length='60'/>"},
    )
    told = talk(world, "customer", "agent")
    redirect(world, told["customer"], "/hold")
    assert told.news() == [
        "customer POST /customer-hold in-progress DialCallStatus=completed DialCallSid=agent DialCallDuration=0 "
        "DialBridged=true",
        "customer POST /hold in-progress",
    ]
    assert told.stands() == {"customer": "in-progress hears /music.mp3", "agent": "completed hears nothing"}


def test_recipe_c_a_pair_in_a_queue_from_the_beginning_is_held_on_either_side(world: World) -> None:
    pages(
        world,
        customer='<Enqueue action="/after" waitUrl="/music">call-123</Enqueue>',
        agent='<Dial action="/holding"><Queue>call-123</Queue></Dial>',
        music='<Play loop="0">/music.mp3</Play>',
        hold='<Enqueue action="/after" waitUrl="/music">call-123</Enqueue>',
        holding=PARK,
        after=PARK,
    )
    told = Told(world, customer=world.calls_in("customer", f"{APP}/customer"))
    world.passes(3)
    told.name(agent=world.calls_in("agent", f"{APP}/agent"))
    assert told.news() == [
        "customer POST /customer ringing",
        f"customer POST /music ringing {MUSIC}",
        "agent POST /agent ringing",
    ]
    assert told.stands() == {"customer": "in-progress hears agent", "agent": "in-progress hears customer"}
    waited = 3
    queued, dialler = "customer", "agent"
    for held, other in (("customer", "agent"), ("agent", "customer"), ("customer", "agent")):
        world.passes(9)
        redirect(world, told[held], "/hold")
        left = f"QueueSid=QU QueueTime={waited}"
        met = f"DialCallStatus=completed DialCallSid={queued} DialCallDuration=9 DialBridged=true {left}"
        if held == queued:
            first = f"{held} POST /after in-progress QueueResult=redirected-from-bridged {left}"
            second = f"{other} POST /holding in-progress {met}"
        else:
            first = f"{held} POST /holding in-progress {met}"
            second = f"{other} POST /after in-progress QueueResult=bridged {left}"
        assert told.news() == [
            first,
            f"{held} POST /hold in-progress",
            second,
            f"{held} POST /music in-progress {MUSIC}",
        ]
        assert told.stands() == {held: "in-progress hears /music.mp3", other: "in-progress hears /parked.mp3"}
        world.passes(5)
        redirect(world, told[other], "/agent")
        assert told.news() == [f"{other} POST /agent in-progress"]
        assert told.stands() == {held: f"in-progress hears {other}", other: f"in-progress hears {held}"}
        queued, dialler, waited = held, other, 5
    assert (queued, dialler) == ("customer", "agent")


# --- what goes wrong ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "start", ["<Dial><Client>c</Client></Dial>", '<Dial action="/empty"><Client>c</Client></Dial>']
)
def test_a_parent_that_has_nothing_to_go_on_with_drops(world: World, start: str) -> None:
    pages(world, start=start, empty="", hold='<Enqueue waitUrl="/music">h</Enqueue>', music="<Pause length='60'/>")
    told = talk(world, "agent", "customer")
    redirect(world, told["customer"], "/hold")
    asked = "agent POST /empty in-progress DialCallStatus=completed DialCallSid=customer DialBridged=true"
    news = told.news()
    assert sorted(news) == sorted(
        [
            "customer POST /hold in-progress",
            *([asked] if "action" in start else []),
            f"customer POST /music in-progress {MUSIC}",
        ]
    )
    assert told.stands() == {"agent": "completed hears nothing", "customer": "in-progress hears silence"}


def test_resume_before_the_other_is_queued_waits_for_it(world: World) -> None:
    pages(
        world,
        early="<Enqueue>hold-1</Enqueue>",
        hold="<Enqueue>hold-1</Enqueue>",
        resume='<Dial><Queue>hold-1</Queue></Dial><Play loop="0">/late.mp3</Play>',
    )
    world.hangs_up(world.calls_in("earlier", f"{APP}/early"))
    told = Told(world, agent=world.calls_in("agent", f"{APP}/resume"))
    world.passes(29)
    told.name(customer=world.calls_in("customer", f"{APP}/hold"))
    assert told.hears() == {"agent": "customer", "customer": "agent"}
    told.name(second=world.calls_in("second", f"{APP}/resume"))
    world.passes(30.1)
    assert told.stands() == {
        "agent": "in-progress hears customer",
        "customer": "in-progress hears agent",
        "second": "in-progress hears /late.mp3",
    }


def test_a_shared_queue_name_gives_the_first_member(world: World) -> None:
    pages(world, hold="<Enqueue>hold</Enqueue>", resume="<Dial><Queue>hold</Queue></Dial>")
    told = Told(world, first=world.calls_in("first", f"{APP}/hold"), second=world.calls_in("second", f"{APP}/hold"))
    told.name(agent=world.calls_in("agent", f"{APP}/resume"))
    assert told.stands() == {
        "first": "in-progress hears agent",
        "second": "in-progress hears builtin:hold",
        "agent": "in-progress hears first",
    }


def test_a_held_leg_hangs_up_and_only_its_action_is_requested(world: World) -> None:
    pages(
        world,
        start='<Dial action="/holding"><Client>c</Client></Dial>',
        hold='<Enqueue action="/left">h</Enqueue>',
        left="",
        holding='<Play loop="0">/parked.mp3</Play>',
    )
    told = talk(world, "agent", "customer")
    redirect(world, told["customer"], "/hold")
    told.news()
    world.passes(3)
    world.hangs_up(told["customer"])
    assert told.news() == ["customer POST /left completed QueueResult=hangup QueueSid=QU QueueTime=3"]
    assert told.stands() == {"agent": "in-progress hears /parked.mp3", "customer": "completed hears nothing"}


def test_the_agent_hangs_up_during_the_hold_and_the_customer_waits_on(world: World) -> None:
    pages(
        world,
        start='<Dial action="/holding"><Client>c</Client></Dial>',
        hold="<Enqueue>h</Enqueue>",
        holding=PARK,
    )
    told = talk(world, "agent", "customer")
    redirect(world, told["customer"], "/hold")
    world.hangs_up(told["agent"])
    told.news()
    world.passes(3600)
    assert told.stands() == {"agent": "completed hears nothing", "customer": "in-progress hears builtin:hold"}
    world.passes(4 * 3600)
    assert told.stands() == {"agent": "completed hears nothing", "customer": "completed hears nothing"}
    assert told.news() == []


def test_a_redirect_that_races_with_a_hang_up_is_refused_and_changes_nothing(world: World) -> None:
    pages(world, start='<Dial action="/holding"><Client>c</Client></Dial>', holding=PARK, hold="<Enqueue>h</Enqueue>")
    told = talk(world, "agent", "customer")
    world.hangs_up(told["customer"])
    told.news()
    with pytest.raises(CallNotInProgress):
        redirect(world, told["customer"], "/hold")
    assert told.news() == []
    assert told.hears() == {"agent": "/parked.mp3", "customer": "nothing"}


def test_of_two_quick_redirects_the_last_wins(world: World) -> None:
    pages(
        world,
        start='<Dial action="/holding"><Client>c</Client></Dial>',
        holding=PARK,
        one='<Play loop="0">/one.mp3</Play>',
        two='<Play loop="0">/two.mp3</Play>',
    )
    told = talk(world, "agent", "customer")
    world.withheld_urls.add(f"{APP}/one")
    redirect(world, told["customer"], "/one")
    redirect(world, told["customer"], "/two")
    world.release(f"{APP}/one")
    assert told.hears() == {"agent": "/parked.mp3", "customer": "/two.mp3"}
    redirect(world, told["customer"], "/one")
    assert told.hears()["customer"] == "/one.mp3"


def test_a_redirect_sends_no_status_callback(world: World) -> None:
    pages(world, start='<Play loop="0">/a.mp3</Play>', new='<Play loop="0">/b.mp3</Play>')
    call = world.calls_in("caller", f"{APP}/start", events=("initiated", "ringing", "answered", "completed"))
    told = Told(world, X=call)
    assert told.news() == ["X POST /start ringing", "X POST /status in-progress"]
    redirect(world, call, "/new")
    assert told.news() == ["X POST /new in-progress"]
    assert told.statuses() == {"X": "in-progress"}
