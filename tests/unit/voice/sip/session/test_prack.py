"""Acknowledged provisional responses (RFC 3262), both ways."""

from __future__ import annotations

import pytest

from holdfast.voice.sip.effects import (
    Accepted,
    Confirmed,
    EndCause,
    Ended,
    Invited,
    Progressed,
    ProvisionalAcknowledged,
    Refused,
    Reoffered,
    SessionId,
)
from holdfast.voice.sip.session_commands import (
    AcceptInvite,
    AnswerReoffer,
    EndSession,
    RefuseInvite,
    RefuseReoffer,
    SendRinging,
)
from tests.unit.voice.sip.session.test_invite_server import WITH_SDP, Scene
from tests.unit.voice.sip.wire import ALICE, ANSWER, BOB, PROXY, SDP, Node, Peer, Wire, header, invite, reply

REQUIRED = "Require: 100rel"
A = SessionId("a")


def ringing(scene: Scene, *, sdp: bytes | None = None, body: str = SDP.decode()) -> SessionId:
    """Return a ringing call that requires 100rel."""
    session = scene.called(REQUIRED, body=body)
    scene.wire.command(scene.bob, session, SendRinging(sdp=sdp))
    (_, rings) = scene.peer.received()
    scene.tag = header(rings, "To").partition("tag=")[2]
    assert header(rings, "RSeq") == "1"
    assert header(rings, "Require") == "100rel"
    scene.bob.events.clear()
    return session


def prack(scene: Scene, rack: str = "1 1 INVITE", *, cseq: int = 2, body: str = "") -> list[int]:
    scene.send("PRACK", f"RAck: {rack}", *([WITH_SDP] if body else []), branch=f"z9hG4bKp{cseq}", cseq=cseq, body=body)
    return scene.peer.statuses()


def test_ringing_is_repeated_until_its_prack() -> None:
    scene = Scene()
    ringing(scene)
    scene.wire.run(3.6)
    assert scene.peer.statuses() == [180, 180, 180]
    assert prack(scene) == [200]
    scene.wire.run(20)
    assert scene.peer.received() == []


@pytest.mark.parametrize("rack", ["2 1 INVITE", "1 2 INVITE", "1 1 UPDATE", "x", ""])
def test_a_prack_of_another_response_gets_481(rack: str) -> None:
    scene = Scene()
    ringing(scene)
    assert prack(scene, rack) == [481]
    scene.wire.run(0.6)
    assert scene.peer.statuses() == [180]


def test_a_call_whose_ringing_is_never_acknowledged_is_refused() -> None:
    scene = Scene()
    ringing(scene)
    scene.wire.run(33)
    assert scene.peer.statuses()[-1] == 504
    assert scene.ends() == [(EndCause.LOST, 504)]


def test_one_provisional_response_waits_for_the_other() -> None:
    scene = Scene()
    session = ringing(scene)
    scene.wire.command(scene.bob, session, SendRinging(status=183, sdp=ANSWER))
    assert scene.peer.received() == []
    prack(scene)
    scene.wire.run(0.6)
    texts = scene.peer.received()
    assert [text.split(" ")[1] for text in texts] == ["183"]
    assert header(texts[0], "RSeq") == "2"


def test_a_200_does_not_overtake_a_description_that_was_not_acknowledged() -> None:
    scene = Scene()
    session = ringing(scene, sdp=ANSWER)
    scene.wire.command(scene.bob, session, AcceptInvite(sdp=ANSWER))
    assert scene.peer.received() == []
    assert prack(scene) == [200, 200]
    scene.send("ACK", branch="z9hG4bKack", cseq=1)
    assert scene.bob.events == [Confirmed(session=session, sdp=None, offered=False)]


def test_a_200_overtakes_plain_ringing() -> None:
    scene = Scene()
    session = ringing(scene)
    scene.wire.command(scene.bob, session, AcceptInvite(sdp=ANSWER))
    assert scene.peer.statuses() == [200]
    assert prack(scene) == [481]
    scene.send("ACK", branch="z9hG4bKack", cseq=1)
    scene.wire.run(40)
    assert scene.ends() == []


def test_our_offer_in_the_ringing_is_answered_in_the_prack() -> None:
    scene = Scene()
    session = ringing(scene, sdp=SDP, body="")
    assert prack(scene, body=ANSWER.decode()) == [200]
    assert scene.bob.events == [ProvisionalAcknowledged(session=session, sdp=ANSWER)]
    scene.wire.command(scene.bob, session, AcceptInvite(sdp=None))
    (ok,) = scene.peer.received()
    assert header(ok, "Content-Length") == "0"
    scene.send("ACK", branch="z9hG4bKack", cseq=1)
    assert scene.bob.events[-1] == Confirmed(session=session, sdp=None, offered=False)


def test_a_description_that_still_waited_to_be_sent_goes_out_with_the_200() -> None:
    scene = Scene()
    session = ringing(scene)
    scene.wire.command(scene.bob, session, SendRinging(status=183, sdp=ANSWER))
    scene.wire.command(scene.bob, session, AcceptInvite(sdp=None))
    (ok,) = scene.peer.received()
    assert ok.encode().endswith(ANSWER)


def test_an_acknowledged_description_is_not_sent_again() -> None:
    scene = Scene()
    session = ringing(scene, sdp=SDP, body="")
    prack(scene, body=ANSWER.decode())
    scene.wire.run(61)
    again = scene.peer.received()[0]
    assert (again.split(" ")[1], header(again, "Content-Length"), header(again, "RSeq")) == ("180", "0", "2")
    assert prack(scene, "2 1 INVITE", cseq=3)[-1] == 200
    assert scene.bob.events == [ProvisionalAcknowledged(session=session, sdp=ANSWER)]
    scene.wire.command(scene.bob, session, AcceptInvite(sdp=None))
    assert header(scene.peer.received()[-1], "Content-Length") == "0"


HELD = ANSWER.replace(b"sendrecv", b"recvonly")


def test_an_offer_in_a_prack_is_answered_in_its_response_and_the_200_waits_for_that() -> None:
    scene = Scene()
    session = ringing(scene, sdp=ANSWER)
    assert prack(scene, body=SDP.decode()) == []
    assert scene.bob.events == [Reoffered(session=session, method="PRACK", sdp=SDP)]
    scene.wire.command(scene.bob, session, AcceptInvite(sdp=None))
    assert scene.peer.received() == []
    scene.wire.command(scene.bob, session, AnswerReoffer(sdp=HELD))
    pracked, ok = scene.peer.received()
    assert (header(pracked, "CSeq"), header(ok, "CSeq")) == ("2 PRACK", "1 INVITE")
    assert pracked.encode().endswith(HELD)
    assert header(ok, "Content-Length") == "0", "it was described already"
    scene.send("ACK", branch="z9hG4bKack", cseq=1)
    assert scene.bob.events[1:] == [Confirmed(session=session, sdp=None, offered=False)]


def test_ringing_that_waited_goes_out_once_the_offer_in_the_prack_is_refused() -> None:
    scene = Scene()
    session = ringing(scene, sdp=ANSWER)
    scene.wire.command(scene.bob, session, SendRinging(status=183))
    prack(scene, body=SDP.decode())
    scene.wire.command(scene.bob, session, RefuseReoffer(status=488))
    assert scene.peer.statuses() == [488, 183]


def test_an_unanswered_offer_in_a_prack_is_refused_in_time() -> None:
    scene = Scene()
    session = ringing(scene, sdp=ANSWER)
    prack(scene, body=SDP.decode())
    scene.wire.run(20.1)
    assert scene.peer.statuses() == [500]
    scene.wire.command(scene.bob, session, AcceptInvite(sdp=None))
    assert scene.peer.statuses() == [200]


@pytest.mark.parametrize("ends", ["refuse", "cancel"])
def test_a_call_may_end_while_an_offer_in_a_prack_waits(ends: str) -> None:
    scene = Scene()
    session = ringing(scene, sdp=ANSWER)
    prack(scene, body=SDP.decode())
    if ends == "refuse":
        scene.wire.command(scene.bob, session, RefuseInvite(status=486))
    else:
        scene.peer.send(invite(method="CANCEL", contact=""))
    assert 487 in scene.peer.statuses()
    scene.wire.run(60)
    assert (scene.bob.agent.sessions(), scene.bob.agent.timers()) == ((), 0)


def test_an_offer_in_a_prack_before_ours_was_answered_is_refused_and_the_call_goes_on() -> None:
    scene = Scene()
    session = ringing(scene)
    assert prack(scene, body=SDP.decode()) == [488]
    scene.wire.command(scene.bob, session, AcceptInvite(sdp=ANSWER))
    assert scene.peer.statuses() == [200]


def test_an_offer_in_a_prack_that_meets_an_update_gets_491() -> None:
    scene = Scene()
    session = ringing(scene, sdp=ANSWER)
    prack(scene)
    scene.wire.command(scene.bob, session, SendRinging())
    scene.send("UPDATE", WITH_SDP, branch="z9hG4bKu", cseq=3, body=SDP.decode())
    scene.peer.received()
    assert prack(scene, "2 1 INVITE", cseq=4, body=SDP.decode()) == [491]
    scene.wire.command(scene.bob, session, AnswerReoffer(sdp=ANSWER))
    assert scene.peer.statuses() == [200]


def test_a_call_may_end_while_its_ringing_waits() -> None:
    scene = Scene()
    session = ringing(scene)
    scene.wire.command(scene.bob, session, RefuseInvite(status=486))
    assert scene.peer.statuses() == [486]
    scene.wire.run(60)
    assert (scene.bob.agent.sessions(), scene.bob.agent.timers()) == ((), 0)


def test_trying_is_never_acknowledged() -> None:
    scene = Scene()
    session = scene.called(REQUIRED)
    scene.wire.command(scene.bob, session, SendRinging(status=100))
    assert all("RSeq" not in text for text in scene.peer.received())


# --- a call out


def calling() -> tuple[Wire, Node, Peer, str]:
    wire = Wire()
    alice = wire.node(BOB)
    peer = Peer(wire, alice)
    wire.do(alice, alice.agent.invite(A, "sip:bob@10.0.0.3:5060", now=wire.now, sdp=SDP))
    (sent,) = peer.received()
    assert "100rel" in header(sent, "Supported")
    return wire, alice, peer, sent


def rings(sent: str, status: int, rseq: int, *, tag: str = "peer", body: str = "") -> str:
    extra = ["Content-Type: application/sdp"] if body else []
    contact = "Contact: <sip:desk@10.0.0.3:5060>"
    return reply(sent, status, REQUIRED, f"RSeq: {rseq}", contact, *extra, tag=tag, body=body)


def test_a_provisional_response_that_requires_it_gets_one_prack() -> None:
    _, alice, peer, sent = calling()
    peer.send(rings(sent, 183, 7, body=ANSWER.decode()))
    peer.send(rings(sent, 183, 7, body=ANSWER.decode()))
    (prack,) = peer.received()
    assert prack.startswith("PRACK sip:desk@10.0.0.3:5060 SIP/2.0")
    assert (header(prack, "RAck"), header(prack, "CSeq")) == ("7 1 INVITE", "2 PRACK")
    peer.send(reply(prack, 200))
    assert len(alice.emitted(Progressed)) == 1
    peer.send(rings(sent, 180, 9))
    assert peer.received() == []
    peer.send(rings(sent, 180, 8))
    (prack,) = peer.received()
    assert (header(prack, "RAck"), header(prack, "CSeq")) == ("8 1 INVITE", "3 PRACK")
    assert len(alice.emitted(Progressed)) == 2


def test_requests_in_the_dialog_go_on_after_the_numbers_of_the_pracks() -> None:
    wire, alice, peer, sent = calling()
    peer.send(rings(sent, 180, 1))
    peer.received()
    peer.send(reply(sent, 200, "Contact: <sip:desk@10.0.0.3:5060>", WITH_SDP, body=ANSWER.decode()))
    (ack,) = peer.received()
    assert header(ack, "CSeq") == "1 ACK"
    assert alice.emitted(Accepted)
    wire.command(alice, A, EndSession())
    (bye,) = peer.received()
    assert header(bye, "CSeq") == "3 BYE"


def test_each_fork_has_its_own_numbers() -> None:
    wire, alice, peer, sent = calling()
    for tag in ("one", "two"):
        peer.send(rings(sent, 180, 5, tag=tag))
    assert [header(text, "RAck") for text in peer.received()] == ["5 1 INVITE", "5 1 INVITE"]
    for number in range(30):
        peer.send(rings(sent, 180, 5, tag=f"flood{number}"))
    assert len(peer.received()) == 14
    peer.send(reply(sent, 486))
    assert alice.emitted(Refused)
    wire.run(60)
    assert alice.agent.timers() == 0


@pytest.mark.parametrize("fields", [(REQUIRED, "RSeq: x"), (REQUIRED, "RSeq: 99999999999"), ("RSeq: 7",), (REQUIRED,)])
def test_a_response_without_rseq_or_require_is_a_plain_one(fields: tuple[str, ...]) -> None:
    _, alice, peer, sent = calling()
    peer.send(reply(sent, 180, *fields))
    assert peer.received() == []
    assert len(alice.emitted(Progressed)) == 1


def test_a_response_without_a_tag_begins_no_early_dialog() -> None:
    _, alice, peer, sent = calling()
    peer.send(reply(sent, 180, tag=None))
    (event,) = alice.events
    assert isinstance(event, Progressed)
    assert event.fork == ""


def test_an_invite_without_an_offer_does_not_ask_for_it() -> None:
    wire = Wire()
    alice = wire.node(BOB)
    peer = Peer(wire, alice)
    wire.do(alice, alice.agent.invite(A, "sip:bob@10.0.0.3:5060", now=wire.now, sdp=None))
    (sent,) = peer.received()
    assert "100rel" not in header(sent, "Supported")


def test_two_agents_use_prack_over_a_network() -> None:
    wire = Wire()
    alice, bob = wire.node(ALICE), wire.node(BOB)
    wire.do(
        alice,
        alice.agent.invite(
            A, "sip:bob@10.0.0.2:5060", now=wire.now, sdp=SDP, caller="alice", headers=(("Require", "100rel"),)
        ),
    )
    wire.run(0.1)
    (session,) = bob.agent.sessions()
    wire.command(bob, session, SendRinging(status=183, sdp=ANSWER))
    wire.command(bob, session, AcceptInvite(sdp=ANSWER))
    wire.run(1)
    assert [event.status for event in alice.emitted(Progressed) if isinstance(event, Progressed)] == [183]
    assert len(alice.emitted(Accepted)) == len(bob.emitted(Confirmed)) == 1
    wire.command(alice, A, EndSession())
    wire.run(60)
    assert len(bob.emitted(Ended)) == 1
    assert (alice.agent.timers(), bob.agent.timers()) == (0, 0)


def test_over_a_connection_ringing_is_sent_once_and_still_waited_for() -> None:
    scene = Scene()
    scene.peer.address = PROXY._replace(transport="TCP")
    scene.peer.send(invite(REQUIRED, WITH_SDP, body=SDP.decode()).replace("SIP/2.0/UDP", "SIP/2.0/TCP"))
    (invited,) = scene.bob.emitted(Invited)
    assert isinstance(invited, Invited)
    scene.wire.command(scene.bob, invited.session, SendRinging())
    scene.wire.run(33)
    assert scene.peer.statuses() == [100, 180, 504]
