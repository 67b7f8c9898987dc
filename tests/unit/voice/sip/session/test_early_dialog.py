"""UPDATE before the answer (RFC 3311), both ways, and other requests in early dialogs."""

from __future__ import annotations

import pytest

from holdfast.voice.sip.effects import (
    Accepted,
    EndCause,
    Ended,
    Progressed,
    Refused,
    ReofferAnswered,
    Reoffered,
    ReofferRefused,
    ReofferWithdrawn,
    SessionId,
)
from holdfast.voice.sip.session_commands import (
    AcceptInvite,
    AnswerReoffer,
    CancelInvite,
    EndSession,
    RefuseInvite,
    RefuseReoffer,
    SendReoffer,
    SendRinging,
)
from tests.unit.voice.sip.session.test_invite_server import WITH_SDP, Scene
from tests.unit.voice.sip.session.test_prack import (
    REQUIRED,
    A,
    calling,
    prack,
    ringing,
    rings,
)
from tests.unit.voice.sip.wire import ALICE, ANSWER, BOB, SDP, Node, Peer, Wire, header, invite, reply

ALLOWS = "Allow: INVITE, UPDATE"
HELD = SDP.replace(b"sendrecv", b"inactive")


def described(*extra: str) -> tuple[Scene, SessionId]:
    """Return a call whose caller has acknowledged our description."""
    scene = Scene()
    session = scene.called(REQUIRED, *extra)
    scene.wire.command(scene.bob, session, SendRinging(status=183, sdp=ANSWER))
    scene.tag = header(scene.peer.received()[-1], "To").partition("tag=")[2]
    assert prack(scene) == [200]
    scene.bob.events.clear()
    return scene, session


def update(scene: Scene, *extra: str, cseq: int = 3, body: str = HELD.decode()) -> None:
    content = [WITH_SDP] if body else []
    scene.send("UPDATE", *content, *extra, branch=f"z9hG4bKu{cseq}", cseq=cseq, body=body)


# --- a call in


def test_a_caller_changes_its_description_before_the_answer() -> None:
    scene, session = described()
    update(scene)
    assert scene.bob.events == [Reoffered(session=session, method="UPDATE", sdp=HELD)]
    scene.wire.command(scene.bob, session, AnswerReoffer(sdp=ANSWER))
    (ok,) = scene.peer.received()
    assert (ok.split(" ")[1], header(ok, "CSeq")) == ("200", "3 UPDATE")
    assert ok.encode().endswith(ANSWER)
    scene.wire.command(scene.bob, session, AcceptInvite(sdp=None))
    (ok,) = scene.peer.received()
    assert (header(ok, "CSeq"), header(ok, "Content-Length")) == ("1 INVITE", "0")
    scene.send("ACK", branch="z9hG4bKack", cseq=1)
    scene.wire.run(40)
    assert scene.ends() == []


def test_an_update_with_an_offer_comes_too_soon_while_our_answer_is_due() -> None:
    scene = Scene()
    ringing(scene)
    update(scene)
    (refused,) = scene.peer.received()
    assert (refused.split(" ")[1], header(refused, "Retry-After")) == ("500", "5")
    assert scene.bob.events == []


def test_an_update_with_an_offer_crosses_ours() -> None:
    scene = Scene()
    ringing(scene, sdp=SDP, body="")
    update(scene)
    assert scene.peer.statuses() == [491]


def test_an_update_without_an_offer_is_answered_and_sets_no_session_timer() -> None:
    scene = Scene()
    ringing(scene)
    update(scene, "Supported: timer", "Session-Expires: 90", body="")
    (ok,) = scene.peer.received()
    assert "Session-Expires" not in ok
    scene.wire.run(20)
    assert scene.ends() == []


def test_a_second_update_waits_for_the_first() -> None:
    scene, session = described()
    update(scene)
    update(scene, cseq=4)
    assert scene.peer.statuses() == [500]
    scene.wire.command(scene.bob, session, RefuseReoffer(status=488))
    assert scene.peer.statuses() == [488]


def test_an_update_that_the_owner_never_answers_is_refused() -> None:
    scene, session = described()
    update(scene)
    scene.wire.run(21)
    assert scene.peer.statuses() == [500]
    assert scene.bob.events[-1] == ReofferWithdrawn(session=session)


def test_a_call_that_ends_answers_the_waiting_update() -> None:
    scene, session = described()
    update(scene)
    scene.wire.command(scene.bob, session, RefuseInvite(status=486))
    assert sorted(scene.peer.statuses()) == [486, 487]
    scene.wire.run(60)
    assert (scene.bob.agent.transactions(), scene.bob.agent.timers()) == (0, 0)


def ours(scene: Scene, session: SessionId) -> str:
    """Send our UPDATE and return it."""
    scene.wire.command(scene.bob, session, SendReoffer(sdp=HELD, method="UPDATE"))
    (sent,) = scene.peer.received()
    assert sent.startswith("UPDATE sip:")
    return sent


def test_we_change_our_description_before_we_answer() -> None:
    scene, session = described(ALLOWS)
    sent = ours(scene, session)
    update(scene)
    assert scene.peer.statuses() == [491], "both changed at once"
    scene.peer.send(reply(sent, 100))
    scene.peer.send(reply(sent, 200, WITH_SDP, "Contact: <sip:moved@10.0.0.3:5060>", body=ANSWER.decode()))
    assert scene.bob.events == [ReofferAnswered(session=session, sdp=ANSWER, offer_to_answer=False)]
    scene.peer.send(reply(sent, 200, WITH_SDP, body=ANSWER.decode()))
    assert len(scene.bob.events) == 1
    scene.wire.command(scene.bob, session, AcceptInvite(sdp=None))
    scene.send("ACK", branch="z9hG4bKack", cseq=1)
    scene.peer.received()
    scene.wire.command(scene.bob, session, EndSession())
    assert scene.peer.received()[0].startswith("BYE sip:moved@10.0.0.3:5060")


@pytest.mark.parametrize("status", [488, 481])
def test_a_refusal_of_our_change_leaves_the_call_alone(status: int) -> None:
    scene, session = described(ALLOWS)
    sent = ours(scene, session)
    scene.peer.send(reply(sent, status))
    (refused,) = scene.bob.events
    assert isinstance(refused, ReofferRefused)
    assert refused.status == status
    ours(scene, session)


def test_the_call_goes_on_when_our_change_is_not_answered() -> None:
    scene, session = described(ALLOWS)
    ours(scene, session)
    scene.wire.command(scene.bob, session, AcceptInvite(sdp=None))
    scene.wire.run(20)
    scene.send("ACK", branch="z9hG4bKack", cseq=1)
    assert scene.ends() == []
    other, session = described(ALLOWS)
    ours(other, session)
    other.wire.run(33)
    (refused,) = other.bob.events
    assert isinstance(refused, ReofferRefused)
    assert refused.status == 408


def test_our_change_that_ends_after_our_200_is_reported_all_the_same() -> None:
    scene, session = described(ALLOWS)
    sent = ours(scene, session)
    scene.wire.command(scene.bob, session, AcceptInvite(sdp=None))
    scene.peer.send(reply(sent, 200, WITH_SDP, body=ANSWER.decode()))
    assert scene.bob.events == [ReofferAnswered(session=session, sdp=ANSWER, offer_to_answer=False)]


@pytest.mark.parametrize("allows", [[], [ALLOWS]])
def test_a_change_that_cannot_be_sent_yet_is_refused_at_once(allows: list[str]) -> None:
    """The caller does not support UPDATE, or our description is not acknowledged yet."""
    scene = Scene()
    session = scene.called(*allows)
    scene.peer.received()
    if not allows:
        scene, session = described()
    scene.bob.events.clear()
    scene.wire.command(scene.bob, session, SendReoffer(sdp=HELD, method="UPDATE"))
    assert scene.peer.received() == []
    assert scene.bob.events == [ReofferRefused(session=session, status=491, reason="Request Pending")]


def test_before_the_answer_nothing_is_changed_by_invite() -> None:
    scene, session = described(ALLOWS)
    scene.wire.command(scene.bob, session, SendReoffer(sdp=HELD))
    assert scene.peer.received() == []
    assert isinstance(scene.bob.events[-1], ReofferRefused)


# --- a call out


def progressed(*extra: str, tag: str = "peer") -> tuple[Wire, Node, Peer, str]:
    """Return an outbound call whose callee has answered our offer in a 183 that we acknowledged."""
    wire, alice, peer, sent = calling()
    described = rings(sent, 183, 7, tag=tag, body=ANSWER.decode())
    peer.send(described.replace("Require:", "\n".join([*extra, "Require:"]), 1) if extra else described)
    (acknowledged,) = peer.received()
    peer.send(reply(acknowledged, 200))
    (event,) = alice.events
    assert isinstance(event, Progressed)
    assert event.fork == tag
    alice.events.clear()
    return wire, alice, peer, sent


def request_from_callee(
    sent: str, method: str, *extra: str, tag: str = "peer", cseq: int = 1, body: bytes = b""
) -> str:
    """Return a request of the callee in its early dialog."""
    text = invite(
        *extra,
        *([WITH_SDP] if body else []),
        method=method,
        branch=f"z9hG4bK{method}{tag}{cseq}",
        cseq=cseq,
        call_id=header(sent, "Call-ID"),
        body=body.decode(),
        contact="<sip:moved@10.0.0.3:5060>",
    )
    parties = {"From": f"{header(sent, 'To')};tag={tag}", "To": header(sent, "From")}
    names = ((line, line.partition(":")[0]) for line in text.split("\n"))
    return "\n".join(f"{name}: {parties[name]}" if name in parties else line for line, name in names)


def test_a_callee_changes_its_description_before_it_answers() -> None:
    wire, alice, peer, sent = progressed()
    peer.send(request_from_callee(sent, "UPDATE", body=HELD))
    assert alice.events == [Reoffered(session=A, method="UPDATE", sdp=HELD, fork="peer")]
    wire.command(alice, A, AnswerReoffer(sdp=ANSWER))
    (ok,) = peer.received()
    assert ok.startswith("SIP/2.0 200")
    assert ok.encode().endswith(ANSWER)
    peer.send(request_from_callee(sent, "UPDATE", body=HELD))
    assert peer.statuses() == [200], "a repetition gets the same answer"
    peer.send(request_from_callee(sent, "UPDATE", cseq=0))
    assert peer.statuses() == [500], "and an older request none"
    peer.send(reply(sent, 200, "Contact: <sip:desk@10.0.0.3:5060>", tag="peer"))
    accepted = alice.events[-1]
    assert isinstance(accepted, Accepted)
    assert (accepted.sdp, accepted.fork) == (None, "peer")
    peer.received()
    peer.send(request_from_callee(sent, "BYE", cseq=1))
    assert peer.statuses() == [500], "its numbers go on after the answer"
    peer.send(request_from_callee(sent, "BYE", cseq=2))
    assert peer.statuses() == [200]


def test_an_update_of_a_phone_that_has_not_answered_our_offer_crosses_it() -> None:
    _, alice, peer, sent = calling()
    peer.send(reply(sent, 183, WITH_SDP, body=ANSWER.decode(), tag="peer"))
    alice.events.clear()
    peer.send(request_from_callee(sent, "UPDATE", body=HELD))
    assert peer.statuses() == [491]
    peer.send(request_from_callee(sent, "UPDATE", cseq=2))
    assert peer.statuses() == [200], "without an offer it only says where the phone is"
    assert alice.events == []


def test_other_requests_before_the_answer() -> None:
    _, alice, peer, sent = progressed()
    for cseq, (method, status) in enumerate(
        [
            ("INFO", 200),
            ("OPTIONS", 200),
            ("INVITE", 491),
            ("PRACK", 481),
            ("REFER", 603),
            ("BYE", 481),
            ("MESSAGE", 405),
        ],
        start=1,
    ):
        peer.send(request_from_callee(sent, method, cseq=cseq, body=HELD if method == "INVITE" else b""))
        assert peer.statuses() == [status], method
    peer.send(request_from_callee(sent, "UPDATE", tag="unknown"))
    assert peer.statuses() == [481]
    assert alice.events == []


def test_a_refused_call_answers_the_waiting_update() -> None:
    wire, alice, peer, sent = progressed()
    peer.send(request_from_callee(sent, "UPDATE", body=HELD))
    peer.send(reply(sent, 486))
    assert 487 in peer.statuses()
    assert isinstance(alice.events[-1], Refused)
    peer.send(request_from_callee(sent, "UPDATE", cseq=2))
    assert peer.statuses() == [481]
    wire.run(60)
    assert (alice.agent.transactions(), alice.agent.timers()) == (0, 0)


def test_after_our_cancel_no_change_is_sent() -> None:
    wire, alice, peer, sent = progressed()
    wire.command(alice, A, CancelInvite())
    peer.received()
    peer.send(request_from_callee(sent, "UPDATE", body=HELD))
    assert peer.statuses() == [481]


def test_we_change_our_description_before_the_called_phone_answers() -> None:
    wire, alice, peer, _sent = progressed(ALLOWS)
    wire.command(alice, A, SendReoffer(sdp=HELD, method="UPDATE"))
    (update,) = peer.received()
    assert update.startswith("UPDATE sip:desk@10.0.0.3:5060")
    assert header(update, "CSeq") == "3 UPDATE"
    wire.command(alice, A, SendReoffer(sdp=SDP, method="UPDATE"))
    assert isinstance(alice.events.pop(), ReofferRefused)
    peer.send(reply(update, 200, WITH_SDP, "Contact: <sip:moved@10.0.0.3:5060>", body=ANSWER.decode()))
    assert alice.events == [ReofferAnswered(session=A, sdp=ANSWER, offer_to_answer=False)]
    wire.command(alice, A, SendReoffer(sdp=SDP, method="UPDATE"))
    (update,) = peer.received()
    assert update.startswith("UPDATE sip:moved@10.0.0.3:5060")


def test_our_change_is_over_when_another_fork_answers() -> None:
    wire, alice, peer, sent = progressed(ALLOWS)
    wire.command(alice, A, SendReoffer(sdp=HELD, method="UPDATE"))
    (update,) = peer.received()
    peer.send(reply(sent, 200, "Contact: <sip:other@10.0.0.3:5060>", WITH_SDP, tag="other", body=ANSWER.decode()))
    assert alice.events[0] == ReofferRefused(session=A, status=487, reason="Request Terminated")
    peer.received()
    peer.send(reply(update, 200, WITH_SDP, body=ANSWER.decode()))
    assert len(alice.events) == 2
    wire.command(alice, A, SendReoffer(sdp=HELD))
    assert peer.received()[0].startswith("INVITE sip:other@")


def test_our_change_is_answered_after_the_invite_was_sent_again() -> None:
    """The peer asks for a longer session (422) after one fork has sent its description."""
    wire, alice, peer, sent = progressed(ALLOWS)
    wire.command(alice, A, SendReoffer(sdp=HELD, method="UPDATE"))
    (update,) = peer.received()
    peer.send(reply(sent, 422, "Min-SE: 3600"))
    again = peer.received()[-1]
    assert header(again, "CSeq") == "2 INVITE"
    peer.send(request_from_callee(sent, "UPDATE", body=HELD))
    assert peer.statuses() == [481], "that phone is none of this call any more"
    peer.send(reply(update, 200, WITH_SDP, body=ANSWER.decode()))
    assert alice.events == [ReofferAnswered(session=A, sdp=ANSWER, offer_to_answer=False)]


def test_our_change_goes_on_when_its_fork_answers() -> None:
    wire, alice, peer, sent = progressed(ALLOWS)
    wire.command(alice, A, SendReoffer(sdp=HELD, method="UPDATE"))
    (update,) = peer.received()
    peer.send(reply(sent, 200, "Contact: <sip:desk@10.0.0.3:5060>", tag="peer"))
    peer.send(reply(update, 200, WITH_SDP, body=ANSWER.decode()))
    assert [type(event) for event in alice.events] == [Accepted, ReofferAnswered]


def test_two_agents_change_a_call_before_its_answer_over_a_network() -> None:
    wire = Wire()
    alice, bob = wire.node(ALICE), wire.node(BOB)
    wire.do(alice, alice.agent.invite(A, "sip:bob@10.0.0.2:5060", now=wire.now, sdp=SDP))
    wire.run(0.1)
    (session,) = bob.agent.sessions()
    rings = bob.agent.command(session, SendRinging(status=183, sdp=ANSWER, acknowledged=True), wire.now)
    wire.do(bob, rings)
    wire.run(0.1)
    wire.command(bob, session, SendReoffer(sdp=HELD, method="UPDATE"))
    wire.run(0.1)
    (reoffered,) = alice.emitted(Reoffered)
    assert isinstance(reoffered, Reoffered)
    assert reoffered.fork
    wire.command(alice, A, AnswerReoffer(sdp=ANSWER))
    wire.run(0.1)
    assert bob.emitted(ReofferAnswered)
    wire.command(alice, A, SendReoffer(sdp=SDP, method="UPDATE"))
    wire.run(0.1)
    assert bob.emitted(Reoffered)
    wire.command(alice, A, CancelInvite())
    wire.run(60)
    assert [event.cause for event in bob.emitted(Ended) if isinstance(event, Ended)] == [EndCause.CANCELLED]
    assert (alice.agent.transactions(), bob.agent.transactions()) == (0, 0)
    assert (alice.agent.timers(), bob.agent.timers()) == (0, 0)


def test_a_tag_that_is_not_text_is_reported_as_text() -> None:
    _, alice, peer, sent = calling()
    tag, name = "p\udc98", "p\ufffd"
    peer.send(rings(sent, 183, 7, tag=tag, body=ANSWER.decode()))
    peer.send(request_from_callee(sent, "UPDATE", tag=tag, body=HELD))
    peer.send(reply(sent, 200, "Contact: <sip:desk@10.0.0.3:5060>", tag=tag))
    forks = [event.fork for event in alice.events if isinstance(event, Progressed | Reoffered | Accepted)]
    assert forks == [name, name, name]
