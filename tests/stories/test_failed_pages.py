"""A page that fails without a fallback is said aloud, and the call ends afterwards.

Source: Twilio docs, fallback URLs: "an error announcement may play"; public reports.
"""

from __future__ import annotations

import pytest

from holdfast.testing.world import ACCOUNT, World, twiml
from holdfast.voice.model import twilio_assumptions
from holdfast.voice.model.commands import EndCall, Instruction, ReceiveCall, WebRequest
from holdfast.voice.model.effects import AnswerLeg, RefuseLeg, StopSound
from holdfast.voice.model.facts import DocumentFetched
from holdfast.voice.model.ids import CallSid
from tests.stories.leg_events import APP, EVENTS, Told, pages, redirect

FIRST = "say:en-US:man:" + twilio_assumptions.FAILED_FIRST_PAGE_SAID
LATER = "say:en-US:man:" + twilio_assumptions.FAILED_LATER_PAGE_SAID
BAD_PAGES = {"a page that is not there": "", "no XML": "Internal Server Error", "another root": "<html/>"}


def bad(world: World, name: str) -> str:
    if BAD_PAGES[name]:
        world.pages[f"{APP}/bad"] = BAD_PAGES[name]
    return f"{APP}/bad"


@pytest.mark.parametrize("page", BAD_PAGES)
def test_the_first_page_of_a_caller_fails(world: World, page: str) -> None:
    alice = world.calls_in("alice", bad(world, page), events=EVENTS)
    told = Told(world, A=alice)
    assert told.stands() == {"A": f"in-progress hears {FIRST}"}
    assert [notice.log for notice in world.notifications] == [0]
    assert [effect.call for effect in world.effects if isinstance(effect, AnswerLeg)] == [alice]
    world.passes(7)
    world.sound_ends(alice)
    assert told.stands() == {"A": "completed hears nothing"}
    assert world.call(alice).sip_code == 500
    assert not any(isinstance(effect, RefuseLeg) for effect in world.effects)
    assert len(world.notifications) == 1
    lines = [line.split()[:4] for line in told.news() if "/status" in line]
    assert lines[-2:] == [["A", "POST", "/status", "in-progress"], ["A", "POST", "/status", "completed"]]
    world.check()


@pytest.mark.parametrize("page", BAD_PAGES)
def test_the_first_page_of_a_called_party_fails(world: World, page: str) -> None:
    call = world.place("bob", bad(world, page))
    told = Told(world, B=call)
    world.answers(call)
    assert told.stands() == {"B": f"in-progress hears {FIRST}"}
    world.sound_ends(call)
    assert told.stands() == {"B": "completed hears nothing"}


@pytest.mark.parametrize("page", BAD_PAGES)
@pytest.mark.parametrize("verbs", ["<Redirect>/bad</Redirect>", "<Gather action='/bad' numDigits='1' timeout='60'/>"])
def test_a_later_page_fails(world: World, page: str, verbs: str) -> None:
    bad(world, page)
    pages(world, start=f"<Play>/hello.mp3</Play>{verbs}<Play>/next.mp3</Play>")
    alice = world.calls_in("alice", f"{APP}/start")
    told = Told(world, A=alice)
    world.sound_ends(alice)
    world.presses(alice, "1")
    assert told.stands() == {"A": f"in-progress hears {LATER}"}
    assert [notice.log for notice in world.notifications] == [0]
    world.sound_ends(alice)
    assert told.stands() == {"A": "completed hears nothing"}


def test_a_later_page_of_a_caller_that_rings_fails(world: World) -> None:
    pages(world, start="<Pause/><Redirect>/gone</Redirect>")
    told = Told(world, A=world.calls_in("alice", f"{APP}/start"))
    world.passes(1)
    assert told.stands() == {"A": f"in-progress hears {LATER}"}


def test_a_page_that_a_live_call_is_redirected_to_fails(world: World) -> None:
    alice = world.calls_in("alice", twiml=twiml("<Play>/a.mp3</Play>"))
    redirect(world, alice, "/gone")
    assert Told(world, A=alice).stands() == {"A": f"in-progress hears {LATER}"}


def test_a_verb_of_the_first_page_fails(world: World) -> None:
    alice = world.calls_in("alice", twiml=twiml("<Play>/a.mp3</Play><Play>/b.mp3</Play>"))
    world.sound_fails(alice)
    assert Told(world, A=alice).stands() == {"A": f"in-progress hears {LATER}"}


def test_a_fallback_that_works_says_nothing_of_the_failure(world: World) -> None:
    pages(world, mended="<Play>/mended.mp3</Play>")
    alice = world.calls_in("alice", f"{APP}/gone", fallback=f"{APP}/mended")
    assert Told(world, A=alice).stands() == {"A": "in-progress hears /mended.mp3"}


def test_a_fallback_that_fails_too_is_said_once(world: World) -> None:
    alice = world.calls_in("alice", f"{APP}/gone", fallback=f"{APP}/gone-too")
    assert Told(world, A=alice).stands() == {"A": f"in-progress hears {FIRST}"}
    assert [notice.code for notice in world.notifications] == [11200, 11200]


def test_a_message_that_cannot_be_said_ends_the_call(world: World) -> None:
    alice = world.calls_in("alice", f"{APP}/gone")
    world.sound_fails(alice, 13520)
    assert Told(world, A=alice).stands() == {"A": "completed hears nothing"}
    assert [notice.code for notice in world.notifications] == [11200, 13520]


def test_a_caller_that_hears_the_message_can_be_given_another_page(world: World) -> None:
    pages(world, mended="<Play>/mended.mp3</Play>")
    alice = world.calls_in("alice", f"{APP}/gone")
    redirect(world, alice, "/mended")
    assert Told(world, A=alice).stands() == {"A": "in-progress hears /mended.mp3"}
    redirect(world, alice, "/gone")
    assert Told(world, A=alice).stands() == {"A": f"in-progress hears {LATER}"}


@pytest.mark.parametrize("end", ["hangs up", "is ended by REST"])
def test_a_caller_that_leaves_during_the_message(world: World, end: str) -> None:
    alice = world.calls_in("alice", f"{APP}/gone")
    if end == "hangs up":
        world.hangs_up(alice)
    else:
        world.post(EndCall(call=alice))
    assert Told(world, A=alice).stands() == {"A": "completed hears nothing"}
    assert any(isinstance(effect, StopSound) for effect in world.effects)
    assert world.call(alice).sip_code == 200
    world.check()


def test_a_party_whose_screening_fails_hears_the_message_and_is_not_bridged(world: World) -> None:
    pages(world, start="<Dial action='/after'><Client url='/gone'>bob</Client></Dial>", after="<Pause length='9'/>")
    alice = world.calls_in("alice", f"{APP}/start")
    (bob,) = world.children(alice)
    world.answers(bob)
    told = Told(world, A=alice, B=bob)
    assert told.hears() == {"A": "builtin:ringback", "B": FIRST}
    world.sound_ends(bob)
    assert told.stands() == {"A": "in-progress hears silence", "B": "completed hears nothing"}
    assert world.document_requests[-1]["DialCallStatus"] == "completed"
    assert world.document_requests[-1]["DialBridged"] == "false"


def test_a_party_that_waits_in_a_queue_hears_the_message_of_its_next_page(world: World) -> None:
    pages(world, start="<Enqueue waitUrl='/gone' action='/gone'>q</Enqueue>")
    alice = world.calls_in("alice", f"{APP}/start")
    assert Told(world, A=alice).stands() == {"A": f"in-progress hears {LATER}"}


def test_a_page_of_a_type_that_is_none_is_said(world: World) -> None:
    world.withheld_urls.add(f"{APP}/voice")
    call = CallSid("CA" + "1" * 32)
    instruction = Instruction(request=WebRequest(url=f"{APP}/voice"))
    world.post(ReceiveCall(call=call, account=ACCOUNT, from_="client:x", to="+15550100", instruction=instruction))
    (token,) = world.withheld
    world.post(DocumentFetched(token=token, url=f"{APP}/voice", content_type="image/png", body="x"))
    assert world.heard_by(call) == FIRST


def test_the_messages_name_an_error_and_say_goodbye() -> None:
    for words in (twilio_assumptions.FAILED_FIRST_PAGE_SAID, twilio_assumptions.FAILED_LATER_PAGE_SAID):
        assert "application" in words
        assert "error" in words
        assert words.endswith("Goodbye.")
