"""Documents as web servers really write them, and verbs that steer. Source: TwiML, "How TwiML works"."""

from __future__ import annotations

import pytest

from holdfast.testing.world import ACCOUNT, World, twiml
from holdfast.voice.model.commands import Instruction, ReceiveCall, WebRequest
from holdfast.voice.model.effects import AnswerLeg, RefuseLeg
from holdfast.voice.model.ids import CallSid

APP = "https://app.example"
CALL = CallSid("CA" + "1" * 32)
SONG = "<Play>/song.mp3</Play>"


def call_in(world: World, page: str) -> CallSid:
    """A phone calls a number whose document is this text, and which has a fallback that waits."""
    world.pages |= {f"{APP}/start": page, f"{APP}/fallback": twiml("<Pause length='60'/>")}
    instruction = Instruction(request=WebRequest(url=f"{APP}/start"), fallback=WebRequest(url=f"{APP}/fallback"))
    world.legs[CALL] = "calling"
    world.post(ReceiveCall(call=CALL, account=ACCOUNT, from_="client:x", to="+15550100", instruction=instruction))
    return CALL


BOMB = (
    '<?xml version="1.0"?><!DOCTYPE lolz [<!ENTITY a "lol"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">'
    '<!ENTITY c "&b;&b;&b;&b;&b;&b;&b;&b;">]><Response><Say>&c;</Say></Response>'
)
OUTSIDE = '<!DOCTYPE r [<!ENTITY x SYSTEM "file:///etc/passwd">]><Response><Say>&x;</Say></Response>'


@pytest.mark.parametrize(
    ("page", "code"),
    [
        ("<Response><Play></Response>", 12100),
        ("<Response>", 12100),
        ("", 12100),
        ("not XML at all", 12100),
        ('\n <?xml version="1.0"?><Response/>', 12100),
        ("<Response><Play>http://h/?a=1&b=2</Play></Response>", 12100),
        ("<Response>&nbsp;</Response>", 12100),
        ("<Response/><Response/>", 12100),
        (BOMB, 12100),
        (OUTSIDE, 12100),
        ("<Response>" + "<a>" * 50 + "</a>" * 50 + "</Response>", 12100),
        ("<Response><Say>\x00</Say></Response>", 12100),
        ('<?xml version="2.0"?><Response/>', 12101),
        ("<html><body>404</body></html>", 12102),
        ("<response/>", 12102),
        ("<Response><Say>" + "a" * 66_000 + "</Say></Response>", 11750),
    ],
)
def test_a_document_that_is_no_twiml_requests_the_fallback(world: World, page: str, code: int) -> None:
    call = call_in(world, page)
    assert world.urls() == [f"{APP}/start", f"{APP}/fallback"]
    assert world.document_requests[-1]["ErrorCode"] == str(code)
    assert world.document_requests[-1]["ErrorUrl"] == f"{APP}/start"
    (notice,) = world.notifications
    assert (notice.code, notice.log, notice.url) == (code, 0, f"{APP}/start")
    assert world.call(call).live


@pytest.mark.parametrize(
    "page",
    [
        f"<Response>{SONG}</Response>",
        f'<?xml version="1.0" encoding="UTF-8"?>\n<Response>\n  {SONG}\n</Response>\n',
        f"<?xml version='1.0'?><!-- hello --><Response><!-- there -->{SONG}<?php echo ?></Response>",
        f"<Response>words between verbs {SONG} are nobody's</Response>",
        "<Response><Play>\n   /song.mp3\n  </Play></Response>",
        "<Response><Play><![CDATA[/song.mp3]]></Play></Response>",
        "<Response><Play>&#47;song.mp3</Play></Response>",
    ],
)
def test_every_spelling_of_twiml_is_read(world: World, page: str) -> None:
    call = call_in(world, page)
    assert world.heard_by(call) == f"{APP}/song.mp3"
    assert world.notifications == []


@pytest.mark.parametrize(
    ("verbs", "code"),
    [
        ("<play>/x.mp3</play>", 12200),
        ("<Dance/>", 12200),
        ("<Play Loop='2'>/x.mp3</Play>", 12200),
        ("<Play loop='x'>/x.mp3</Play>", 13410),
        ("<Play/>", 12200),
        ("<Play digits='12q'/>", 12200),
        ("<Play>/x.mp3<Say>hello</Say></Play>", 12200),
        ("<Pause length='x'/>", 13910),
        ("<Pause length='0'/>", 13910),
        ("<Pause><Play>/x.mp3</Play></Pause>", 12200),
        ("<Leave><Pause/></Leave>", 12200),
        ("<Say loop='-1'>hello</Say>", 13510),
        ("<Sms>hello</Sms>", 12200),
        ("<Number>+15550111</Number>", 12200),
    ],
)
def test_a_fault_in_one_verb_is_a_warning_and_the_call_continues(world: World, verbs: str, code: int) -> None:
    call = call_in(world, twiml(f"{verbs}<Pause length='60'/>"))
    assert code in [notice.code for notice in world.notifications]
    assert all(notice.log == 1 for notice in world.notifications)
    assert world.call(call).live
    assert world.urls() == [f"{APP}/start"]


# --- <Reject>, <Hangup>, <Pause>, <Redirect>, <Play digits> -----------------------------------------------


@pytest.mark.parametrize(
    ("verb", "sip_code", "status"),
    [
        ("<Reject/>", 603, "no-answer"),
        ('<Reject reason="rejected"/>', 603, "no-answer"),
        ('<Reject reason="busy"/>', 486, "busy"),
        ('<Reject reason="bored"/>', 603, "no-answer"),
        ("<Hangup/>", 603, "no-answer"),
        ("", 603, "no-answer"),
    ],
)
def test_a_call_is_turned_away_unanswered(world: World, verb: str, sip_code: int, status: str) -> None:
    call = call_in(world, twiml(verb))
    assert [effect for effect in world.effects if isinstance(effect, AnswerLeg | RefuseLeg)] == [
        RefuseLeg(call=call, sip_code=sip_code)
    ]
    assert world.call(call).status == status
    assert [notice.code for notice in world.notifications] == ([12200] if "bored" in verb else [])


@pytest.mark.parametrize("verb", ["<Reject reason='busy'/>", "<Hangup/>", ""])
def test_a_call_that_was_answered_is_hung_up_by_the_same_verbs(world: World, verb: str) -> None:
    call = call_in(world, twiml(SONG + verb))
    world.sound_ends(call)
    assert world.call(call).status == "completed"
    assert world.legs[call] == "gone"


def test_a_verb_after_a_hang_up_is_never_reached(world: World) -> None:
    call_in(world, twiml(f"<Hangup/>{SONG}<Redirect>/more</Redirect>"))
    assert world.urls() == [f"{APP}/start"]
    assert world.playing == {}


def test_a_pause_first_lets_it_ring_and_later_is_silence(world: World) -> None:
    call = call_in(world, twiml(f"<Pause length='5'/>{SONG}<Pause/><Hangup/>"))
    assert world.call(call).status == "ringing"
    world.passes(5)
    assert world.call(call).status == "in-progress"
    world.sound_ends(call)
    assert world.heard_by(call) == "silence"
    world.passes(1)
    assert world.call(call).status == "completed"


@pytest.mark.parametrize(
    ("redirect", "url", "method"),
    [
        ("<Redirect>/other</Redirect>", f"{APP}/other", "POST"),
        ('<Redirect method="GET">other?a=1&amp;b=2</Redirect>', f"{APP}/other?a=1&b=2", "GET"),
        ("<Redirect>https://else.example/x</Redirect>", "https://else.example/x", "POST"),
        ('<Redirect method="PATCH">/other</Redirect>', f"{APP}/other", "POST"),
        ("<Redirect>//else.example/x</Redirect>", "https://else.example/x", "POST"),
    ],
)
def test_a_redirect_goes_where_it_says(world: World, redirect: str, url: str, method: str) -> None:
    world.pages[url] = twiml("<Pause length='60'/>")
    call = call_in(world, twiml(f"{redirect}{SONG}"))
    assert (world.document_requests[-1].url, world.document_requests[-1].method) == (url, method)
    assert world.call(call).live
    assert [notice.code for notice in world.notifications] == ([13710] if "PATCH" in redirect else [])


def test_touch_tones_are_played_with_their_pauses(world: World) -> None:
    call = call_in(world, twiml('<Play digits="ww12#WD" loop="2"/><Hangup/>'))
    assert world.playing[call][1:] == ("digits:ww12#WD", 2)
    world.sound_ends(call)
    assert world.call(call).status == "completed"


def test_a_url_wins_over_touch_tones(world: World) -> None:
    call = call_in(world, twiml('<Play digits="12">/song.mp3</Play>'))
    assert world.heard_by(call) == f"{APP}/song.mp3"


def test_a_document_of_a_thousand_faults_makes_fifty_one_warnings(world: World) -> None:
    faults = " ".join(f"a{number}='x'" for number in range(1000))
    call = call_in(world, twiml(f"<Pause length='5' {faults}/>"))
    assert len(world.notifications) == 51
    assert {notice.code for notice in world.notifications} == {12200}
    assert world.notifications[-1].message == "and 950 more warnings of this document"
    assert world.call(call).live
