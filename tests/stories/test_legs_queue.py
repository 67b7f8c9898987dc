"""Peers joined through a queue: Q waits in `<Enqueue>`, D meets it by `<Dial><Queue>`; neither is the other's child.

Source: TwiML <Enqueue>, <Queue>, Queue Member resource.
"""

from __future__ import annotations

import pytest

from holdfast.testing.world import World
from holdfast.voice.model.commands import DequeueMember, WebRequest
from holdfast.voice.model.errors import NotFound
from holdfast.voice.model.ids import CallSid
from tests.stories.leg_events import APP, Told, end, pages, redirect

TAKEN = "QueueSid=QU QueueTime=5"
MET = f"DialCallSid=Q DialCallDuration=7 DialBridged=true {TAKEN}"
WAIT = "QueuePosition=1 QueueSid=QU QueueTime=0 AvgQueueTime=0 CurrentQueueSize=1 MaxQueueSize=1000"


def prepared(world: World, *, action: str = 'action="/left"', dial: str = 'action="/after"', noun: str = "") -> None:
    pages(
        world,
        wait=f'<Enqueue {action} waitUrl="/music">line</Enqueue>',
        music='<Play loop="0">/music.mp3</Play>',
        take=f"<Dial {dial}><Queue {noun}>line</Queue></Dial>",
        left='<Play loop="0">/left.mp3</Play>',
        after='<Play loop="0">/after.mp3</Play>',
        new='<Play loop="0">/new.mp3</Play>',
    )


def waiting(world: World) -> Told:
    """Q has been waiting for five seconds."""
    queued = world.calls_in("caller", f"{APP}/wait")
    told = Told(world, Q=queued)
    assert told.news() == ["Q POST /wait ringing", f"Q POST /music ringing {WAIT}"]
    assert told.hears() == {"Q": "/music.mp3"}
    world.passes(5)
    return told


def bridged(world: World) -> Told:
    """Q and D have been hearing each other for seven seconds."""
    told = waiting(world)
    told.name(D=world.calls_in("agent", f"{APP}/take"))
    assert told.news() == ["D POST /take ringing"]
    assert told.hears() == {"Q": "D", "D": "Q"}
    world.passes(7)
    return told


def test_the_queued_call_hangs_up_while_bridged(world: World) -> None:
    prepared(world)
    told = bridged(world)
    world.hangs_up(told["Q"])
    assert told.news() == [
        f"Q POST /left completed QueueResult=bridged {TAKEN}",
        f"D POST /after in-progress DialCallStatus=completed {MET}",
    ]
    assert told.stands() == {"Q": "completed hears nothing", "D": "in-progress hears /after.mp3"}


def test_the_dialler_hangs_up_while_bridged(world: World) -> None:
    prepared(world)
    told = bridged(world)
    world.hangs_up(told["D"])
    assert told.news() == [
        f"D POST /after completed DialCallStatus=completed {MET}",
        f"Q POST /left in-progress QueueResult=bridged {TAKEN}",
    ]
    assert told.stands() == {"Q": "in-progress hears /left.mp3", "D": "completed hears nothing"}


def test_without_a_continuation_the_queued_call_ends_when_the_dialler_hangs_up(world: World) -> None:
    prepared(world, action="")
    told = bridged(world)
    end(world, told["D"])
    assert told.news() == [f"D POST /after completed DialCallStatus=completed {MET}"]
    assert told.stands() == {"Q": "completed hears nothing", "D": "completed hears nothing"}


def test_with_a_following_verb_the_queued_call_goes_on_when_the_dialler_hangs_up(world: World) -> None:
    prepared(world, action="")
    pages(world, wait='<Enqueue waitUrl="/music">line</Enqueue><Redirect>/left</Redirect>')
    told = bridged(world)
    world.hangs_up(told["D"])
    assert told.news() == [f"D POST /after completed DialCallStatus=completed {MET}", "Q POST /left in-progress"]
    assert told.stands() == {"Q": "in-progress hears /left.mp3", "D": "completed hears nothing"}


def test_the_queued_call_is_redirected_while_it_waits(world: World) -> None:
    prepared(world)
    told = waiting(world)
    redirect(world, told["Q"], "/new")
    assert told.news() == [f"Q POST /left in-progress QueueResult=redirected {TAKEN}", "Q POST /new in-progress"]
    assert told.stands() == {"Q": "in-progress hears /new.mp3"}
    queue = next(iter(world.state.queues.values()))
    assert queue.members == ()


def test_a_dialler_that_waits_goes_on_waiting_when_another_call_is_redirected(world: World) -> None:
    prepared(world)
    told = bridged(world)
    told.name(E=world.calls_in("second", f"{APP}/take"))
    assert told.hears() == {"Q": "D", "D": "Q", "E": "silence"}
    told.name(R=world.calls_in("another", f"{APP}/wait"))
    told.name(F=world.calls_in("third", f"{APP}/take"))
    assert told.hears() == {"Q": "D", "D": "Q", "E": "R", "R": "E", "F": "silence"}
    told.news()
    redirect(world, told["Q"], "/new")
    assert told.news() == [
        f"Q POST /left in-progress QueueResult=redirected-from-bridged {TAKEN}",
        "Q POST /new in-progress",
        f"D POST /after in-progress DialCallStatus=completed {MET}",
    ]
    assert told.stands() == {
        "Q": "in-progress hears /new.mp3",
        "D": "in-progress hears /after.mp3",
        "E": "in-progress hears R",
        "R": "in-progress hears E",
        "F": "in-progress hears silence",
    }


def test_the_queued_call_is_redirected_while_bridged(world: World) -> None:
    prepared(world)
    told = bridged(world)
    redirect(world, told["Q"], "/new")
    assert told.news() == [
        f"Q POST /left in-progress QueueResult=redirected-from-bridged {TAKEN}",
        "Q POST /new in-progress",
        f"D POST /after in-progress DialCallStatus=completed {MET}",
    ]
    assert told.stands() == {"Q": "in-progress hears /new.mp3", "D": "in-progress hears /after.mp3"}


def test_the_dialler_is_redirected_while_bridged(world: World) -> None:
    prepared(world)
    told = bridged(world)
    redirect(world, told["D"], "/new")
    assert told.news() == [
        f"D POST /after in-progress DialCallStatus=completed {MET}",
        "D POST /new in-progress",
        f"Q POST /left in-progress QueueResult=bridged {TAKEN}",
    ]
    assert told.stands() == {"Q": "in-progress hears /left.mp3", "D": "in-progress hears /new.mp3"}


@pytest.mark.parametrize("front", [True, False])
def test_a_member_is_dequeued_by_rest(world: World, *, front: bool) -> None:
    prepared(world)
    told = waiting(world)
    world.passes(60)
    queue = next(iter(world.state.queues.values()))
    member = DequeueMember(
        queue=queue.sid, call=None if front else told["Q"], request=WebRequest(url=f"{APP}/new", method="GET")
    )
    world.post(member)
    assert told.news() == [
        "Q POST /left in-progress QueueResult=redirected QueueSid=QU QueueTime=65",
        "Q GET /new in-progress",
    ]
    assert told.stands() == {"Q": "in-progress hears /new.mp3"}
    with pytest.raises(NotFound):
        world.post(member)
    assert told.news() == []


def test_any_position_is_dequeued_by_its_call_and_the_others_move_up(world: World) -> None:
    prepared(world)
    first, second, third = (world.calls_in(name, f"{APP}/wait") for name in ("a", "b", "c"))
    queue = next(iter(world.state.queues.values()))
    world.post(DequeueMember(queue=queue.sid, call=second, request=WebRequest(url=f"{APP}/new")))
    assert [member.call for member in world.state.queues[queue.sid].members] == [first, third]
    with pytest.raises(NotFound):
        world.post(DequeueMember(queue=queue.sid, call=CallSid("CA" + "9" * 32), request=WebRequest(url=f"{APP}/new")))


def test_a_dialler_waits_for_the_next_arrival_and_no_longer_than_its_timeout(world: World) -> None:
    prepared(world, dial='timeout="20" action="/after"')
    world.hangs_up(world.calls_in("earlier", f"{APP}/wait"))
    told = Told(world, D=world.calls_in("agent", f"{APP}/take"))
    told.news()
    world.passes(19.9)
    assert told.hears() == {"D": "silence"}
    assert told.news() == []
    world.passes(0.2)
    assert told.news() == ["D POST /after in-progress DialCallStatus=no-answer DialBridged=false"]
    assert told.stands() == {"D": "in-progress hears /after.mp3"}


def test_an_unknown_queue_is_a_failed_dial_at_once(world: World) -> None:
    prepared(world)
    told = Told(world, D=world.calls_in("agent", f"{APP}/take"))
    assert told.news() == [
        "D POST /take ringing",
        "D POST /after in-progress DialCallStatus=failed DialBridged=false",
    ]
    assert told.stands() == {"D": "in-progress hears /after.mp3"}


def test_a_dialler_that_gives_up_takes_no_later_member(world: World) -> None:
    prepared(world, dial='timeout="5" action="/after"')
    world.hangs_up(world.calls_in("earlier", f"{APP}/wait"))
    told = Told(world, D=world.calls_in("agent", f"{APP}/take"))
    world.passes(5.1)
    told.news()
    told.name(Q=world.calls_in("caller", f"{APP}/wait"))
    assert told.news() == ["Q POST /wait ringing", f"Q POST /music ringing {WAIT}"]
    assert told.stands() == {"D": "in-progress hears /after.mp3", "Q": "in-progress hears /music.mp3"}


def test_diallers_of_an_empty_queue_are_served_in_the_order_they_came(world: World) -> None:
    prepared(world)
    world.hangs_up(world.calls_in("earlier", f"{APP}/wait"))
    told = Told(world, D=world.calls_in("agent", f"{APP}/take"), E=world.calls_in("second", f"{APP}/take"))
    told.name(Q=world.calls_in("caller", f"{APP}/wait"))
    assert told.hears() == {"D": "Q", "E": "silence", "Q": "D"}
    told.name(R=world.calls_in("another", f"{APP}/wait"))
    assert told.hears() == {"D": "Q", "E": "R", "Q": "D", "R": "E"}


def test_a_dialler_redirected_while_it_waits_takes_no_later_member(world: World) -> None:
    prepared(world)
    world.hangs_up(world.calls_in("earlier", f"{APP}/wait"))
    told = Told(world, D=world.calls_in("agent", f"{APP}/take"))
    told.news()
    redirect(world, told["D"], "/new")
    assert told.news() == [
        "D POST /after in-progress DialCallStatus=canceled DialBridged=false",
        "D POST /new in-progress",
    ]
    told.name(Q=world.calls_in("caller", f"{APP}/wait"))
    assert told.hears() == {"D": "/new.mp3", "Q": "/music.mp3"}


def test_a_dialler_that_hangs_up_while_it_waits(world: World) -> None:
    prepared(world)
    world.hangs_up(world.calls_in("earlier", f"{APP}/wait"))
    told = Told(world, D=world.calls_in("agent", f"{APP}/take"))
    told.news()
    world.hangs_up(told["D"])
    assert told.news() == ["D POST /after completed DialCallStatus=canceled DialBridged=false"]


@pytest.mark.parametrize("deed", ["star", "limit"])
def test_the_dialler_leaves_by_star_or_by_its_time_limit(world: World, deed: str) -> None:
    prepared(world, dial='hangupOnStar="true" timeLimit="10" action="/after"')
    told = bridged(world)
    world.presses(told["D"], "*") if deed == "star" else world.passes(3.1)
    lasted = 7 if deed == "star" else 10
    assert told.news() == [
        f"D POST /after in-progress DialCallStatus=completed DialCallSid=Q DialCallDuration={lasted} "
        f"DialBridged=true {TAKEN}",
        f"Q POST /left in-progress QueueResult=bridged {TAKEN}",
    ]
    assert told.hears() == {"Q": "/left.mp3", "D": "/after.mp3"}


# --- <Queue url>: the member hears the dialler's document first ---------------------------------------------


def introduced(world: World) -> Told:
    """Q hears D's document; D waits."""
    pages(world, whisper="<Play>/whisper.mp3</Play>")
    told = waiting(world)
    told.name(D=world.calls_in("agent", f"{APP}/take"))
    assert told.news() == [
        "D POST /take ringing",
        f"Q GET /whisper in-progress {TAKEN} DequeingCallSid=D",
    ]
    assert told.hears() == {"Q": "/whisper.mp3", "D": "silence"}
    world.passes(2)
    return told


URL = 'url="/whisper" method="GET"'


def test_the_member_hears_the_diallers_document_before_they_meet(world: World) -> None:
    prepared(world, noun=URL)
    told = introduced(world)
    world.sound_ends(told["Q"])
    assert told.hears() == {"Q": "D", "D": "Q"}
    world.passes(7)
    world.hangs_up(told["D"])
    assert told.news() == [
        f"D POST /after completed DialCallStatus=completed {MET}",
        f"Q POST /left in-progress QueueResult=bridged {TAKEN}",
    ]


def test_a_document_that_fails_does_not_keep_them_apart(world: World) -> None:
    prepared(world, noun='url="/gone"')
    told = waiting(world)
    told.name(D=world.calls_in("agent", f"{APP}/take"))
    assert [notice.code for notice in world.notifications] == [11200]
    assert told.hears() == {"Q": "D", "D": "Q"}


def test_the_diallers_time_does_not_run_out_while_the_member_listens(world: World) -> None:
    prepared(world, dial='timeout="5" action="/after"', noun=URL)
    told = introduced(world)
    world.passes(30)
    assert told.news() == []
    world.sound_ends(told["Q"])
    assert told.hears() == {"Q": "D", "D": "Q"}


def test_the_member_hangs_up_while_it_listens_and_the_dialler_takes_the_next(world: World) -> None:
    prepared(world, noun=URL)
    told = introduced(world)
    told.name(R=world.calls_in("another", f"{APP}/wait"))
    told.news()
    world.hangs_up(told["Q"])
    assert told.news() == [
        f"Q POST /left completed QueueResult=bridging-in-process {TAKEN}",
        "R GET /whisper in-progress QueueSid=QU QueueTime=0 DequeingCallSid=D",
    ]
    world.sound_ends(told["R"])
    assert told.hears() == {"Q": "nothing", "D": "R", "R": "D"}


def test_the_member_is_redirected_while_it_listens_and_the_dialler_waits_on(world: World) -> None:
    prepared(world, dial='timeout="9" action="/after"', noun=URL)
    told = introduced(world)
    redirect(world, told["Q"], "/new")
    assert told.news() == [
        f"Q POST /left in-progress QueueResult=bridging-in-process {TAKEN}",
        "Q POST /new in-progress",
    ]
    assert told.hears() == {"Q": "/new.mp3", "D": "silence"}
    world.passes(7.1)
    assert told.news() == ["D POST /after in-progress DialCallStatus=no-answer DialBridged=false"]


def test_the_member_leaves_after_the_diallers_time_is_over(world: World) -> None:
    prepared(world, dial='timeout="5" action="/after"', noun=URL)
    told = introduced(world)
    world.passes(30)
    world.hangs_up(told["Q"])
    assert told.news() == [
        f"Q POST /left completed QueueResult=bridging-in-process {TAKEN}",
        "D POST /after in-progress DialCallStatus=no-answer DialBridged=false",
    ]


@pytest.mark.parametrize("deed", ["hangup", "redirect"])
def test_the_dialler_goes_while_the_member_listens_and_the_member_waits_again_in_front(world: World, deed: str) -> None:
    prepared(world, noun=URL)
    told = introduced(world)
    told.name(R=world.calls_in("another", f"{APP}/wait"))
    told.news()
    world.hangs_up(told["D"]) if deed == "hangup" else redirect(world, told["D"], "/new")
    status = "completed" if deed == "hangup" else "in-progress"
    assert told.news() == [
        f"D POST /after {status} DialCallStatus=canceled DialBridged=false",
        *(["D POST /new in-progress"] if deed == "redirect" else []),
        "Q POST /music in-progress QueuePosition=1 QueueSid=QU QueueTime=7 AvgQueueTime=3 CurrentQueueSize=2 "
        "MaxQueueSize=1000",
    ]
    assert told.hears()["Q"] == "/music.mp3"
    queue = next(iter(world.state.queues.values()))
    assert [member.call for member in queue.members] == [told["Q"], told["R"]]


def test_a_dialler_that_goes_leaves_its_member_to_the_next_dialler(world: World) -> None:
    prepared(world, noun=URL)
    told = introduced(world)
    told.name(E=world.calls_in("second", f"{APP}/take"))
    told.news()
    world.hangs_up(told["D"])
    assert told.news()[-1] == "Q GET /whisper in-progress QueueSid=QU QueueTime=7 DequeingCallSid=E"
    world.sound_ends(told["Q"])
    assert told.hears() == {"Q": "E", "D": "nothing", "E": "Q"}
