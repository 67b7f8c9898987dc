"""A phone is sent elsewhere by `<Refer>`, or asks that its peer is put through (REFER to a `<Dial referUrl>`).

Source: TwiML <Refer>, <Dial> referUrl; Twilio docs, "Inbound SIP REFER".
"""

from __future__ import annotations

import pytest

from holdfast.testing.world import World
from holdfast.voice.model import twilio_assumptions
from holdfast.voice.model.commands import CreateCall, Instruction, Target, WebRequest
from holdfast.voice.model.effects import AnswerReferral, ReferLeg
from holdfast.voice.model.facts import (
    DigitPressed,
    LegReferred,
    PhoneHeld,
    PhoneRefers,
    PhoneResumed,
    QueueMissing,
    ReferralNotified,
)
from holdfast.voice.model.ids import AccountSid, CallSid
from tests.stories.leg_events import APP, EVENTS, Told, pages, redirect

ALICE = "sip:alice@192.0.2.7"
ALL = f'statusCallback="/leg" statusCallbackEvent="{" ".join(EVENTS)}"'


def referred(world: World, attributes: str = 'action="/after"', noun: str = f"<Sip>{ALICE}</Sip>") -> Told:
    """A caller is sent elsewhere."""
    pages(
        world,
        start=f'<Refer {attributes}>{noun}</Refer><Play loop="0">/next.mp3</Play>',
        after='<Play loop="0">/after.mp3</Play>',
        new='<Play loop="0">/new.mp3</Play>',
    )
    told = Told(world, X=world.calls_in("caller", f"{APP}/start", events=("completed",)))
    assert told.news() == ["X POST /start ringing"]
    return told


def asked(world: World) -> list[ReferLeg]:
    return [effect for effect in world.effects if isinstance(effect, ReferLeg)]


def tells(world: World, call: CallSid, *codes: int, over: bool = False, lasts_s: float | None = None) -> None:
    """The phone tells how the other call fares."""
    for code in codes:
        world.post(ReferralNotified(call=call, sip_code=code, is_over=over or code >= 200, expires_s=lasts_s))


# --- <Refer> ----------------------------------------------------------------------------------------------------


def test_the_phone_goes_and_the_other_call_is_answered(world: World) -> None:
    told = referred(world)
    assert asked(world) == [ReferLeg(call=told["X"], target=ALICE)]
    assert told.stands() == {"X": "in-progress hears silence"}
    world.post(LegReferred(call=told["X"], sip_code=202))
    tells(world, told["X"], 100, 180)
    assert told.news() == []
    tells(world, told["X"], 200)
    assert told.news() == [
        "X POST /after in-progress ReferCallStatus=in-progress ReferSipResponseCode=202 NotifySipResponseCode=200"
    ]
    assert told.stands() == {"X": "in-progress hears /after.mp3"}


@pytest.mark.parametrize(
    ("code", "status"), [(486, "busy"), (600, "busy"), (480, "no-answer"), (404, "failed"), (503, "failed")]
)
def test_the_other_call_is_refused_and_the_caller_comes_back(world: World, code: int, status: str) -> None:
    told = referred(world)
    world.post(LegReferred(call=told["X"], sip_code=202))
    tells(world, told["X"], 180, code)
    assert told.news() == [
        f"X POST /after in-progress ReferCallStatus={status} ReferSipResponseCode=202 NotifySipResponseCode={code}"
    ]
    assert told.stands() == {"X": "in-progress hears /after.mp3"}


def test_the_phone_does_not_go(world: World) -> None:
    told = referred(world)
    world.post(LegReferred(call=told["X"], sip_code=405))
    assert told.news() == ["X POST /after in-progress ReferCallStatus=failed ReferSipResponseCode=405"]
    assert told.stands() == {"X": "in-progress hears /after.mp3"}


def test_a_phone_without_notifications_has_one_minute(world: World) -> None:
    told = referred(world)
    world.post(LegReferred(call=told["X"], sip_code=202))
    world.passes(59.9)
    assert told.news() == []
    world.passes(0.2)
    assert told.news() == ["X POST /after in-progress ReferSipResponseCode=202"]


def test_a_phone_with_notifications_has_the_time_it_names(world: World) -> None:
    told = referred(world)
    world.post(LegReferred(call=told["X"], sip_code=202))
    tells(world, told["X"], 180, lasts_s=200.0)
    world.passes(150)
    assert told.news() == []
    tells(world, told["X"], 183, lasts_s=1e9)
    world.passes(599)
    assert told.news() == []
    world.passes(2)
    assert told.news() == [
        "X POST /after in-progress ReferCallStatus=ringing ReferSipResponseCode=202 NotifySipResponseCode=183"
    ]


@pytest.mark.parametrize(("code", "said"), [(0, ""), (180, " ReferCallStatus=ringing")])
def test_a_phone_may_stop_telling(world: World, code: int, said: str) -> None:
    told = referred(world)
    world.post(LegReferred(call=told["X"], sip_code=202))
    tells(world, told["X"], code, over=True)
    notified = f" NotifySipResponseCode={code}" if code else ""
    assert told.news() == [f"X POST /after in-progress{said} ReferSipResponseCode=202{notified}"]


def test_a_notice_may_come_before_the_answer(world: World) -> None:
    told = referred(world)
    tells(world, told["X"], 180)
    world.post(LegReferred(call=told["X"], sip_code=202))
    tells(world, told["X"], 200)
    assert told.news() == [
        "X POST /after in-progress ReferCallStatus=in-progress ReferSipResponseCode=202 NotifySipResponseCode=200"
    ]


def test_a_caller_that_hangs_up_cancels_the_referral(world: World) -> None:
    told = referred(world)
    world.post(LegReferred(call=told["X"], sip_code=202))
    tells(world, told["X"], 180)
    world.hangs_up(told["X"])
    assert told.news() == [
        "X POST /after completed ReferCallStatus=canceled ReferSipResponseCode=202 NotifySipResponseCode=180",
        "X POST /status completed CallDuration=0 Duration=0 SipResponseCode=200",
    ]
    assert told.stands() == {"X": "completed hears nothing"}


@pytest.mark.parametrize("asks", [True, False])
def test_a_redirect_meanwhile(world: World, monkeypatch: pytest.MonkeyPatch, *, asks: bool) -> None:
    monkeypatch.setattr(twilio_assumptions, "REDIRECTED_REFER_REQUESTS_ACTION", asks)
    told = referred(world)
    world.post(LegReferred(call=told["X"], sip_code=202))
    redirect(world, told["X"], "/new")
    owed = ["X POST /after in-progress ReferCallStatus=canceled ReferSipResponseCode=202"] if asks else []
    assert told.news() == [*owed, "X POST /new in-progress"]
    tells(world, told["X"], 200)
    assert told.news() == []
    assert told.stands() == {"X": "in-progress hears /new.mp3"}


def test_without_an_action_the_next_verb_follows_and_without_one_the_call_ends(world: World) -> None:
    told = referred(world, "")
    tells(world, told["X"], 200)
    assert told.news() == []
    assert told.stands() == {"X": "in-progress hears /next.mp3"}
    pages(world, last=f"<Refer><Sip>{ALICE}</Sip></Refer>")
    redirect(world, told["X"], "/last")
    tells(world, told["X"], 200)
    assert told.news()[0] == "X POST /last in-progress"
    assert told.stands() == {"X": "completed hears nothing"}


def test_header_fields_go_with_the_address(world: World) -> None:
    target = f"{ALICE}?X-AcctNumber=123456&User-to-User=1234%3Bencoding%3Dhex"
    referred(world, noun=f"<Sip>{target.replace('&', '&amp;')}</Sip>")
    assert [leg.target for leg in asked(world)] == [target]


@pytest.mark.parametrize("name", ["X-Twilio-CallSid", "x-twilio-accountsid", "X%2DTwilio-CallSid", "X-Holdfast-Word"])
def test_header_fields_of_the_engine_do_not_go_with_the_address(world: World, name: str) -> None:
    referred(world, noun=f"<Sip>{ALICE}?{name}=CA1&amp;X-A=1</Sip>")
    assert [leg.target for leg in asked(world)] == [f"{ALICE}?X-A=1"]
    assert [notice.code for notice in world.notifications] == [13252]


def test_a_phone_is_referred_to_an_address_without_scheme_and_within_uri(world: World) -> None:
    referred(world, noun="<Sip><Uri> alice@192.0.2.1 </Uri></Sip>")
    assert [leg.target for leg in asked(world)] == ["sip:alice@192.0.2.1"]
    assert world.notifications == []


@pytest.mark.parametrize(
    ("noun", "codes"),
    [
        ("", [12200]),
        ("+15550111", [12200]),
        ("<Number>+15550111</Number>", [12200, 12200]),
        ("<Sip>tel:+15550111</Sip>", [13243]),
        ("<Sip>sip:a b@192.0.2.1</Sip>", [13243]),
        ("<Sip>sip:alice@192.0.2.1?X-A=&lt;b&gt;</Sip>", [13243]),
        (f"<Sip>sip:{'a' * 250}@192.0.2.1</Sip>", [13243]),
        (f"<Sip>sip:a@192.0.2.1?x-a={'a' * 1100}</Sip>", [13243]),
    ],
)
def test_with_nowhere_to_go_the_next_verb_follows(world: World, noun: str, codes: list[int]) -> None:
    told = referred(world, noun=noun)
    assert [notice.code for notice in world.notifications] == codes
    assert asked(world) == []
    assert told.stands() == {"X": "in-progress hears /next.mp3"}


def test_a_second_noun_is_passed_over(world: World) -> None:
    referred(world, noun=f"<Sip>{ALICE}</Sip><Sip>sip:bob@192.0.2.8</Sip>")
    assert [leg.target for leg in asked(world)] == [ALICE]
    assert [notice.code for notice in world.notifications] == [12200]


@pytest.mark.parametrize(
    ("to", "may"),
    [("sip:bob@192.0.2.8", True), ("SIPS:bob@192.0.2.8", True), ("client:bob", False), ("+15550111", False)],
)
def test_only_a_call_to_a_sip_phone_may_be_sent_elsewhere(world: World, to: str, *, may: bool) -> None:
    pages(world, start=f'<Refer action="/after"><Sip>{ALICE}</Sip></Refer>', after="<Pause length='60'/>")
    call = CallSid("CA" + "5" * 32)
    world.post(
        CreateCall(
            call=call,
            account=AccountSid("AC" + "0" * 32),
            target=Target(to=to),
            from_="+15550199",
            instruction=Instruction(request=WebRequest(url=f"{APP}/start")),
        )
    )
    world.answers(call)
    assert bool(asked(world)) is may
    assert [notice.code for notice in world.notifications] == ([] if may else [13801])
    if not may:
        world.sound_ends(call)
    assert world.call(call).live is may


def test_digits_and_other_facts_change_nothing(world: World) -> None:
    told = referred(world)
    world.post(DigitPressed(call=told["X"], digit="1"))
    world.post(QueueMissing(call=told["X"]))
    world.post(PhoneRefers(call=told["X"], target="<sip:c@192.0.2.9>"))
    assert told.news() == []
    assert [notice.code for notice in world.notifications] == [13802]


def test_word_for_a_referral_that_was_cut_short(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(twilio_assumptions, "REFERRAL_CUT_SHORT", "no-answer")
    told = referred(world)
    tells(world, told["X"], 180, over=True)
    assert told.news() == ["X POST /after in-progress ReferCallStatus=no-answer NotifySipResponseCode=180"]


# --- REFER of a phone -------------------------------------------------------------------------------------------

CAROL = "<sip:carol@192.0.2.9?User-to-User=12%3Bencoding%3Dhex>"
PUT = "ReferTransferTarget=" + CAROL


def talking(world: World, dial: str = 'action="/after" referUrl="/refer"', noun: str = "") -> Told:
    """P and C hear each other, for seven seconds now."""
    pages(
        world,
        start=f'<Dial {dial}><Client {ALL} {noun}>agent</Client></Dial><Play loop="0">/next.mp3</Play>',
        after='<Play loop="0">/after.mp3</Play>',
        refer='<Dial action="/after"><Sip>sip:carol@192.0.2.9</Sip></Dial>',
        screen='<Play loop="0">/screen.mp3</Play>',
    )
    parent = world.calls_in("customer", f"{APP}/start", events=("completed",))
    (child,) = world.children(parent)
    told = Told(world, P=parent, C=child)
    world.rings(child)
    world.answers(child)
    world.passes(7)
    told.news()
    return told


def answered(world: World) -> list[AnswerReferral]:
    return [effect for effect in world.effects if isinstance(effect, AnswerReferral)]


def test_the_called_phone_puts_the_caller_through(world: World) -> None:
    told = talking(world)
    world.post(PhoneRefers(call=told["C"], target=CAROL))
    assert answered(world) == [AnswerReferral(call=told["C"], sip_code=202)]
    assert told.news() == [
        f"P POST /refer in-progress {PUT}",
        "C POST /leg completed CallDuration=7 Duration=1 SipResponseCode=200",
    ]
    told.name(D=world.children(told["P"])[-1])
    assert told.stands() == {
        "P": "in-progress hears builtin:ringback",
        "C": "completed hears nothing",
        "D": "queued hears silence",
    }
    world.answers(told["D"])
    assert told.stands()["P"] == "in-progress hears D"
    world.hangs_up(told["D"])
    assert told.news() == [
        "P POST /after in-progress DialCallStatus=completed DialCallSid=D DialCallDuration=0 DialBridged=true "
        "DialSipResponseCode=200"
    ]


def test_the_calling_phone_puts_the_called_one_through(world: World) -> None:
    told = talking(world, 'action="/after" referUrl="/refer" referMethod="GET"')
    world.post(PhoneRefers(call=told["P"], target=CAROL))
    assert answered(world) == [AnswerReferral(call=told["P"], sip_code=202)]
    assert told.news() == [
        "P POST /status completed CallDuration=7 Duration=1 SipResponseCode=200",
        f"C GET /refer in-progress {PUT}",
    ]
    told.name(D=world.children(told["C"])[-1])
    assert told.stands() == {
        "P": "completed hears nothing",
        "C": "in-progress hears builtin:ringback",
        "D": "queued hears silence",
    }
    world.answers(told["D"])
    assert told.stands()["C"] == "in-progress hears D"


@pytest.mark.parametrize(("who", "other"), [("C", "P"), ("P", "C")])
def test_a_phone_that_holds_and_then_refers_leaves_no_music_behind(world: World, who: str, other: str) -> None:
    """A blind transfer as phones make it: hold, REFER, BYE. The other hears music, ringing, and whom it is put to."""
    told = talking(world, 'action="/after" referUrl="/refer"')
    world.post(PhoneHeld(call=told[who]))
    assert told.hears()[other] == "builtin:hold"
    world.post(PhoneRefers(call=told[who], target=CAROL))
    assert told.stands()[who] == "completed hears nothing"
    told.name(D=world.children(told[other])[-1])
    assert told.hears()[other] == "builtin:ringback"
    world.answers(told["D"])
    assert told.hears() == {who: "nothing", other: "D", "D": other}
    world.check()


@pytest.mark.parametrize(("who", "other"), [("C", "P"), ("P", "C")])
def test_a_phone_that_holds_and_is_refused_to_refer_still_holds(world: World, who: str, other: str) -> None:
    told = talking(world, 'action="/after"')
    world.post(PhoneHeld(call=told[who]))
    world.post(PhoneRefers(call=told[who], target=CAROL))
    assert answered(world) == [AnswerReferral(call=told[who], sip_code=603)]
    assert told.hears()[other] == "builtin:hold"
    world.post(PhoneResumed(call=told[who]))
    assert told.hears() == {"P": "C", "C": "P"}
    world.check()


def test_a_document_for_it_that_cannot_be_had_ends_the_call(world: World) -> None:
    told = talking(world, 'referUrl="/gone"')
    world.post(PhoneRefers(call=told["C"], target=CAROL))
    assert [notice.code for notice in world.notifications] == [11200]
    world.sound_ends(told["P"])
    assert told.stands() == {"P": "completed hears nothing", "C": "completed hears nothing"}


@pytest.mark.parametrize("who", ["P", "C"])
def test_without_a_refer_url_it_is_refused_and_they_talk_on(world: World, who: str) -> None:
    told = talking(world, 'action="/after"')
    world.post(PhoneRefers(call=told[who], target=CAROL))
    assert answered(world) == [AnswerReferral(call=told[who], sip_code=603)]
    assert [(notice.code, notice.log) for notice in world.notifications] == [(13802, 0)]
    assert told.news() == []
    assert told.stands() == {"P": "in-progress hears C", "C": "in-progress hears P"}


def test_a_screened_leg_cannot_transfer(world: World) -> None:
    told = talking(world, noun='url="/screen"')
    assert told.hears() == {"P": "builtin:ringback", "C": "/screen.mp3"}
    world.post(PhoneRefers(call=told["C"], target=CAROL))
    assert answered(world) == [AnswerReferral(call=told["C"], sip_code=603)]
    assert told.hears() == {"P": "builtin:ringback", "C": "/screen.mp3"}


@pytest.mark.parametrize(
    "verbs",
    [
        '<Dial referUrl="/refer"><Conference>room</Conference></Dial>',
        "<Enqueue>line</Enqueue>",
        '<Play loop="0">/a.mp3</Play>',
        "<Redirect>/slow</Redirect>",
    ],
)
def test_a_call_without_a_dial_cannot_transfer(world: World, verbs: str) -> None:
    pages(world, start=verbs, slow="")
    world.withheld_urls.add(f"{APP}/slow")
    told = Told(world, X=world.calls_in("caller", f"{APP}/start"))
    before = told.stands()
    world.post(PhoneRefers(call=told["X"], target=CAROL))
    assert answered(world) == [AnswerReferral(call=told["X"], sip_code=603)]
    assert told.stands() == before


def test_an_ended_call_cannot_transfer(world: World) -> None:
    told = talking(world)
    world.hangs_up(told["C"])
    world.post(PhoneRefers(call=told["C"], target=CAROL))
    assert answered(world) == []
