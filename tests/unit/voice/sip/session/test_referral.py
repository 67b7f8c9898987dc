"""REFER in both directions: between two agents, and with a scripted peer that breaks the rules."""

from __future__ import annotations

import pytest

from holdfast.voice.sip.effects import (
    EndCause,
    Ended,
    Invited,
    Referral,
    ReferralAnswered,
    Referred,
    SessionId,
)
from holdfast.voice.sip.session_commands import (
    AcceptInvite,
    AnswerRefer,
    AnswerReoffer,
    EndSession,
    NotifyRefer,
    RefuseReoffer,
    SendRefer,
)
from tests.unit.voice.sip.session.test_invite_server import Scene as Called
from tests.unit.voice.sip.session.test_reinvite import CHALLENGE, A, Scene
from tests.unit.voice.sip.wire import ALICE, ANSWER, BOB, SDP, Node, Wire, call, header, reply

CAROL = "sip:carol@192.0.2.9?X-Order=17"


class Pair:
    """Two agents in a call."""

    def __init__(self) -> None:
        self.wire = Wire()
        self.alice: Node = self.wire.node(ALICE)
        self.bob: Node = self.wire.node(BOB)
        self.a = call(self.wire, self.alice, self.bob, sdp=SDP)
        self.wire.run(1)
        (invited,) = self.bob.emitted(Invited)
        assert isinstance(invited, Invited)
        self.b: SessionId = invited.session
        self.wire.command(self.bob, self.b, AcceptInvite(sdp=ANSWER))

    def run(self) -> Pair:
        self.wire.run(1)
        return self

    def refer(self, target: str = CAROL) -> None:
        """Send Alice a REFER from Bob."""
        self.wire.command(self.bob, self.b, SendRefer(target=target))
        self.wire.run(0.1)

    def answer(self, status: int) -> None:
        self.wire.command(self.alice, self.a, AnswerRefer(status=status))
        self.wire.run(1)

    def notify(self, status: int) -> None:
        self.wire.command(self.alice, self.a, NotifyRefer(status=status))
        self.wire.run(1)


def sent(node: Node, method: str) -> list[str]:
    """Return the requests of one method that a node has sent."""
    return [data.decode() for data, _ in node.sent if data.startswith(f"{method} ".encode())]


def test_a_referred_phone_calls_the_target_and_reports_progress() -> None:
    pair = Pair().run()
    pair.refer()
    assert pair.alice.emitted(Referred) == [Referred(session=pair.a, target=f"<{CAROL}>")]
    (asked,) = sent(pair.bob, "REFER")
    assert header(asked, "Refer-To") == f"<{CAROL}>"
    assert header(asked, "Referred-By").startswith("<sip:bob@")
    assert header(asked, "Contact").startswith("<sip:")
    pair.answer(202)
    assert pair.bob.emitted(ReferralAnswered) == [ReferralAnswered(session=pair.b, status=202)]
    for status in (180, 200):
        pair.notify(status)
    assert pair.bob.emitted(Referral) == [
        Referral(session=pair.b, status=100, is_over=False, expires_s=60.0),
        Referral(session=pair.b, status=180, is_over=False, expires_s=60.0),
        Referral(session=pair.b, status=200, is_over=True, expires_s=None),
    ]
    notices = sent(pair.alice, "NOTIFY")
    assert [notice.partition("\r\n\r\n")[2] for notice in notices] == [
        "SIP/2.0 100 Trying\r\n",
        "SIP/2.0 180 Ringing\r\n",
        "SIP/2.0 200 OK\r\n",
    ]
    assert header(notices[0], "Event") == "refer"
    assert header(notices[0], "Subscription-State") == "active;expires=60"
    assert header(notices[-1], "Subscription-State") == "terminated;reason=noresource"
    assert header(notices[0], "Content-Type") == "message/sipfrag;version=2.0"
    pair.notify(486)
    assert len(sent(pair.alice, "NOTIFY")) == 3
    assert pair.bob.emitted(Ended) == []


@pytest.mark.parametrize("status", [403, 603])
def test_a_refer_can_fail(status: int) -> None:
    pair = Pair().run()
    pair.refer()
    pair.answer(status)
    assert pair.bob.emitted(ReferralAnswered) == [ReferralAnswered(session=pair.b, status=status)]
    pair.notify(200)
    assert sent(pair.alice, "NOTIFY") == []
    pair.refer()
    assert len(pair.alice.emitted(Referred)) == 2


def test_a_refer_waits_for_the_ack() -> None:
    pair = Pair()
    pair.wire.command(pair.bob, pair.b, SendRefer(target=CAROL))
    assert sent(pair.bob, "REFER") == []
    pair.wire.run(0.1)
    assert len(sent(pair.bob, "REFER")) == 1
    assert len(pair.alice.emitted(Referred)) == 1


# --- and changes of the call, meanwhile


class Changing(Scene):
    """Alice has asked for a REFER in a call that changes."""

    def refer(self) -> list[str]:
        """Ask for the REFER and return what she sends."""
        self.wire.command(self.alice, A, SendRefer(target=CAROL))
        return self.methods()

    def methods(self) -> list[str]:
        """Return the methods and statuses that Alice has sent since the last time."""
        return [text.split(" ")[text.startswith("SIP/2.0")] for text in self.peer.received()]


def test_a_refer_waits_for_our_own_change() -> None:
    scene = Changing()
    asked = scene.ask()
    assert scene.refer() == []
    assert [text.split(" ")[0] for text in scene.ok(asked)] == ["ACK", "REFER"]


def test_a_change_that_waits_goes_before_it() -> None:
    scene = Changing()
    first = scene.ask()
    assert scene.ask(SDP + b"a=x\r\n") == ""
    assert scene.refer() == []
    ack, second = scene.ok(first)
    assert [ack.split(" ")[0], second.split(" ")[0]] == ["ACK", "INVITE"]
    assert [text.split(" ")[0] for text in scene.ok(second)] == ["ACK", "REFER"]


@pytest.mark.parametrize("asked_first", [True, False])
def test_a_refer_waits_for_a_hold_of_the_peer_and_its_ack(asked_first: bool) -> None:
    """Phones that hold answer an immediate REFER with 491."""
    scene = Changing()
    scene.from_peer("INVITE", "z9hG4bKhold", 1, SDP.decode())
    assert scene.methods() == ["100"]
    if asked_first:
        assert scene.refer() == []
    scene.wire.command(scene.alice, A, AnswerReoffer(sdp=ANSWER))
    assert scene.methods() == ["200"]
    if not asked_first:
        assert scene.refer() == []
    scene.from_peer("ACK", "z9hG4bKack", 1)
    assert scene.methods() == ["REFER"]


def test_a_refer_follows_a_hold_by_update_that_was_answered_or_refused() -> None:
    for status in (200, 488):
        scene = Changing()
        scene.from_peer("UPDATE", "z9hG4bKhold", 1, SDP.decode())
        assert scene.refer() == []
        agent, now = scene.alice.agent, scene.wire.now
        done = (
            agent.command(A, AnswerReoffer(sdp=ANSWER), now)
            if status == 200
            else agent.command(A, RefuseReoffer(status=status), now)
        )
        scene.wire.do(scene.alice, done)
        assert scene.methods() == [str(status), "REFER"]


def test_a_refer_that_meets_a_change_of_the_peer_is_sent_again() -> None:
    scene = Changing(random=0.0)
    scene.wire.command(scene.alice, A, SendRefer(target=CAROL))
    for _ in range(2):
        (asked,) = scene.peer.received()
        assert header(asked, "Refer-To") == f"<{CAROL}>"
        scene.peer.send(reply(asked, 491))
        assert scene.alice.emitted(ReferralAnswered) == []
        scene.wire.run(2.0)
        assert scene.peer.received() == []
        scene.wire.run(0.2)
    (asked,) = scene.peer.received()
    scene.peer.send(reply(asked, 491))
    assert scene.alice.emitted(ReferralAnswered) == [ReferralAnswered(session=A, status=491)]
    # And the next one has as many tries.
    scene.wire.command(scene.alice, A, SendRefer(target=CAROL))
    (again,) = scene.peer.received()
    scene.peer.send(reply(again, 491))
    scene.wire.run(2.2)
    (answered,) = scene.peer.received()
    scene.peer.send(reply(answered, 202))
    assert scene.alice.emitted(ReferralAnswered)[1:] == [ReferralAnswered(session=A, status=202)]


def test_a_waiting_refer_ends_with_the_call() -> None:
    scene = Changing()
    asked = scene.ask()
    assert scene.refer() == []
    scene.wire.command(scene.alice, A, EndSession())
    assert scene.methods() == ["BYE"]
    assert [text.split(" ")[0] for text in scene.ok(asked)] == ["ACK"]


def test_one_refer_at_a_time_is_asked_and_none_stays_open() -> None:
    pair = Pair().run()
    pair.refer()
    pair.refer()
    assert len(sent(pair.bob, "REFER")) == 1
    pair.wire.run(30)
    assert pair.bob.emitted(ReferralAnswered) == [ReferralAnswered(session=pair.b, status=603)]


def test_a_bye_answers_the_pending_requests() -> None:
    pair = Pair().run()
    pair.refer()
    pair.wire.command(pair.alice, pair.a, EndSession())
    pair.wire.run(60)
    assert pair.bob.emitted(ReferralAnswered) == [ReferralAnswered(session=pair.b, status=487)]
    assert [ended.cause for ended in pair.bob.emitted(Ended) if isinstance(ended, Ended)] == [EndCause.HUNG_UP]
    assert (pair.alice.agent.transactions(), pair.bob.agent.transactions()) == (0, 0)
    assert (pair.alice.agent.timers(), pair.bob.agent.timers()) == (0, 0)


def test_unrequested_answers_and_reports_have_no_effect() -> None:
    pair = Pair().run()
    pair.answer(202)
    pair.notify(200)
    nobody = SessionId("nobody")
    agent = pair.bob.agent
    now = pair.wire.now
    assert (
        agent.command(nobody, SendRefer(target=CAROL), now) == agent.command(nobody, AnswerRefer(status=202), now) == []
    )
    assert agent.command(nobody, NotifyRefer(status=200), now) == []
    assert sent(pair.alice, "NOTIFY") == []


# --- a far end that does as it likes ----------------------------------------------------------------------------


def referring() -> tuple[Scene, str]:
    """Return a scene with Alice's REFER to her peer."""
    scene = Scene()
    scene.wire.command(scene.alice, A, SendRefer(target=CAROL))
    (asked,) = scene.peer.received()
    return scene, asked


def notify(scene: Scene, cseq: int, *extra: str, body: str = "") -> int:
    """Send the peer's NOTIFY with these headers and return the status of its answer."""
    lines = "\n".join(extra)
    scene.from_peer("NOTIFY", f"z9hG4bKn{cseq}", cseq)
    first = scene.peer.statuses()
    assert len(first) == 1
    scene.alice.events.clear()
    text = "\n".join(
        [
            "NOTIFY sip:alice@10.0.0.1:5060 SIP/2.0",
            f"Via: SIP/2.0/UDP 10.0.0.3:5060;branch=z9hG4bKm{cseq}",
            "Max-Forwards: 70",
            "From: <sip:bob@10.0.0.3>;tag=peer",
            f"To: {header(scene.invite, 'From')}",
            f"Call-ID: {header(scene.invite, 'Call-ID')}",
            f"CSeq: {cseq + 1} NOTIFY",
            lines,
        ]
    )
    scene.peer.send(text + "\n\n" + body)
    (status,) = scene.peer.statuses()
    return status


EVENT = "Event: refer"
FRAGMENT = "Content-Type: message/sipfrag;version=2.0"


@pytest.mark.parametrize(
    ("state", "body", "reported"),
    [
        ("active;expires=30", "SIP/2.0 183 Session Progress", (183, False, 30.0)),
        ("active", "SIP/2.0 486 Busy Here\r\nX: y", (486, True, None)),
        ("terminated;reason=noresource", "SIP/2.0 180 Ringing", (180, True, None)),
        ("terminated", "", (0, True, None)),
        ("Active; expires=9999999999", "SIP/2.0 180", (180, False, None)),
        ("pending", "SIP/2.0 999 No", (0, False, None)),
        ("pending", "hello", (0, False, None)),
    ],
)
def test_a_notify_is_read(state: str, body: str, reported: tuple[int, bool, float | None]) -> None:
    scene, asked = referring()
    scene.peer.send(reply(asked, 202))
    assert notify(scene, 10, EVENT, f"Subscription-State: {state}", FRAGMENT, body=body) == 200
    status, is_over, expires_s = reported
    assert scene.alice.events == [Referral(session=A, status=status, is_over=is_over, expires_s=expires_s)]
    again = notify(scene, 20, EVENT, "Subscription-State: terminated", FRAGMENT, body="SIP/2.0 200 OK")
    assert again == 200
    assert (scene.alice.events == []) is is_over


def test_a_notify_may_arrive_before_the_answer_and_another_event_is_refused() -> None:
    scene, _ = referring()
    assert notify(scene, 10, EVENT, "Subscription-State: active", FRAGMENT, body="SIP/2.0 100 Trying") == 200
    assert scene.alice.emitted(Referral) != []
    assert notify(scene, 20, "Event: presence", "Subscription-State: active") == 489


def test_an_unsolicited_notify_is_refused() -> None:
    scene = Scene()
    assert notify(scene, 10, EVENT, "Subscription-State: active", FRAGMENT, body="SIP/2.0 200 OK") == 481
    assert scene.alice.events == []


def test_a_challenge_is_answered() -> None:
    scene, asked = referring()
    scene.peer.send(reply(asked, 401, CHALLENGE))
    (again,) = scene.peer.received()
    assert header(again, "Authorization").startswith("Digest")
    assert header(again, "Refer-To") == f"<{CAROL}>"
    scene.peer.send(reply(again, 202))
    assert scene.alice.events == [ReferralAnswered(session=A, status=202)]


@pytest.mark.parametrize("status", [408, 481])
def test_a_peer_that_knows_no_such_call_is_lost(status: int) -> None:
    scene, asked = referring()
    scene.peer.send(reply(asked, status))
    assert scene.alice.events == [Ended(session=A, cause=EndCause.LOST, status=status)]


def test_a_silent_peer_is_lost() -> None:
    scene, _ = referring()
    scene.wire.run(40)
    assert scene.alice.events == [Ended(session=A, cause=EndCause.LOST, status=408)]


def test_a_provisional_answer_and_one_after_our_bye_have_no_effect() -> None:
    scene, asked = referring()
    scene.peer.send(reply(asked, 100))
    assert scene.alice.events == []
    scene.wire.command(scene.alice, A, EndSession())
    scene.peer.send(reply(asked, 202))
    assert scene.alice.events == []
    assert notify(scene, 10, EVENT, "Subscription-State: active", FRAGMENT, body="SIP/2.0 200 OK") in (200, 481)
    assert scene.alice.events == []


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ((), 400),
        (("Refer-To: <sip:a@192.0.2.1>", "Refer-To: <sip:b@192.0.2.1>"), 400),
        (("Refer-To: <sip:" + "a" * 300 + "@192.0.2.1>",), 400),
        (("Refer-To: <sip:a@192.0.2.1",), 400),
    ],
)
def test_a_referral_that_cannot_be_read_is_refused(headers: tuple[str, ...], status: int) -> None:
    scene = Scene()
    assert refer_statuses(scene, 7, header(scene.invite, "From"), *headers) == [status]
    assert scene.alice.events == []


@pytest.mark.parametrize(
    "target",
    [
        "<sip:carol@192.0.2.9?Replaces=one%40host%3Bto-tag%3Da%3Bfrom-tag%3Db>",
        '"Carol?" <sips:carol@192.0.2.9;user=phone?X-Order=17&replaces=one;to-tag=a;from-tag=b>;q=1',
        "<sip:carol@192.0.2.9?%52eplaces=one>",
        "<sip:carol@192.0.2.9?Require=replaces&Replaces=" + "a" * 300 + ">",
        "sip:carol@192.0.2.9?Replaces=one;to-tag=a",
    ],
)
def test_an_attended_transfer_is_declined_and_reaches_no_owner(target: str) -> None:
    scene = Scene()
    assert refer_statuses(scene, 7, header(scene.invite, "From"), f"Refer-To: {target}") == [603]
    assert scene.alice.events == []
    assert (
        refer_statuses(scene, 8, header(scene.invite, "From"), "Refer-To: <sip:replaces@192.0.2.9?X-A=Replaces>") == []
    )
    assert scene.alice.events == [Referred(session=A, target="<sip:replaces@192.0.2.9?X-A=Replaces>")]


def refer_statuses(scene: Scene, number: int, to: str, *headers: str) -> list[int]:
    """Send a REFER of the peer with these header fields, and return the statuses of the responses."""
    lines = [
        "REFER sip:alice@10.0.0.1:5060 SIP/2.0",
        f"Via: SIP/2.0/UDP 10.0.0.3:5060;branch=z9hG4bKr{number}",
        "Max-Forwards: 70",
        "From: <sip:bob@10.0.0.3>;tag=peer",
        f"To: {to}",
        f"Call-ID: {header(scene.invite, 'Call-ID')}",
        f"CSeq: {number} REFER",
        "Contact: <sip:bob@10.0.0.3:5060>",
        *headers,
    ]
    scene.peer.send("\n".join(lines) + "\n\n")
    return scene.peer.statuses()


def test_two_at_once_and_one_outside_a_call() -> None:
    scene = Scene()
    statuses = []
    for number, to in ((7, header(scene.invite, "From")), (8, header(scene.invite, "From")), (9, "<sip:alice@x>")):
        statuses += refer_statuses(scene, number, to, "Refer-To: <tel:+15550111>")
    assert statuses == [491, 603]
    assert scene.alice.events == [Referred(session=A, target="<tel:+15550111>")]


def test_a_refer_before_the_ack_is_declined() -> None:
    scene = Called()
    session = scene.called()
    scene.wire.command(scene.bob, session, AcceptInvite(sdp=ANSWER))
    scene.tag = header(scene.peer.received()[-1], "To").partition("tag=")[2]
    scene.send("REFER", "Refer-To: <sip:carol@192.0.2.9>", branch="z9hG4bKr", cseq=2)
    assert scene.peer.statuses() == [603]
    assert scene.bob.emitted(Referred) == []
