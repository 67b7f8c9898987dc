"""Outbound calls to a scripted peer, one behaviour of RFC 3261 each."""

from __future__ import annotations

import pytest

from holdfast.voice.sip.agent import DigestCredentials
from holdfast.voice.sip.effects import Accepted, Address, Ended, Progressed, Refused, SessionId
from holdfast.voice.sip.errors import UriUnreadable
from holdfast.voice.sip.session_commands import (
    AcceptInvite,
    AcknowledgeOffer,
    AnswerReoffer,
    CancelInvite,
    EndSession,
    RefuseInvite,
    RefuseReoffer,
    SendDigit,
    SendReoffer,
    SendRinging,
)
from tests.unit.voice.sip.wire import ALICE, ANSWER, PROXY, SDP, Node, Peer, Wire, header, reply

A = SessionId("a")


class Scene:
    """Alice calls a scripted peer."""

    def __init__(self, *, sdp: bytes | None = SDP, credentials: DigestCredentials | None = None) -> None:
        self.wire = Wire()
        self.alice: Node = self.wire.node(ALICE)
        self.peer = Peer(self.wire, self.alice)
        agent = self.alice.agent
        asked = agent.invite(
            A,
            "sip:bob@example.com",
            now=self.wire.now,
            sdp=sdp,
            next_hop=PROXY,
            caller="alice",
            caller_name='Al "ice"',
            credentials=credentials,
            headers=(("X-Extra", "yes"),),
        )
        self.wire.do(self.alice, asked)
        self.invite = self.peer.received()[0]

    def answer(self, *extra: str, tag: str = "peer", body: str = ANSWER.decode()) -> None:
        """Answer with 200."""
        contact = "Contact: <sip:bob@10.0.0.9:5070>"
        self.peer.send(reply(self.invite, 200, contact, "Content-Type: application/sdp", *extra, tag=tag, body=body))

    @property
    def events(self) -> list[object]:
        return list(self.alice.events)


def sent(scene: Scene) -> list[str]:
    """Return what Alice has sent anywhere since the last time."""
    texts = [data.decode() for data, _, _ in scene.wire.lost]
    scene.wire.lost.clear()
    return texts


def test_the_first_invite_has_all_a_peer_needs() -> None:
    scene = Scene()
    lines = scene.invite.split("\r\n")
    assert lines[0] == "INVITE sip:bob@example.com SIP/2.0"
    assert header(scene.invite, "Via").startswith("SIP/2.0/UDP 10.0.0.1:5060;rport;branch=z9hG4bK")
    assert header(scene.invite, "From").startswith('"Al ice" <sip:alice@10.0.0.1:5060>;tag=')
    assert header(scene.invite, "To") == "<sip:bob@example.com>"
    assert header(scene.invite, "Max-Forwards") == "70"
    assert header(scene.invite, "Contact") == "<sip:holdfast@10.0.0.1:5060>"
    assert header(scene.invite, "X-Extra") == "yes"
    assert header(scene.invite, "Content-Length") == str(len(SDP))


def test_an_unanswered_invite_is_repeated_at_doubling_intervals_and_given_up_after_32_seconds() -> None:
    scene = Scene()
    times = []
    for _ in range(3300):
        scene.wire.run(0.01)
        times += [round(scene.wire.now - 1000, 1) for _ in scene.peer.received()]
    assert times == [0.5, 1.5, 3.5, 7.5, 15.5, 31.5]
    assert scene.events == [Refused(session=A, status=408, reason="Request Timeout", headers=())]
    assert (scene.alice.agent.transactions(), scene.alice.agent.timers()) == (0, 0)


def test_a_phone_may_ring_longer_than_any_timer() -> None:
    scene = Scene()
    scene.peer.send(reply(scene.invite, 180))
    scene.wire.run(600)
    assert scene.peer.received() == []
    scene.answer()
    assert [type(event) for event in scene.events] == [Progressed, Accepted]


def test_provisional_responses_are_reported_with_and_without_early_media_but_not_100() -> None:
    scene = Scene()
    scene.peer.send(reply(scene.invite, 100, tag=None))
    scene.peer.send(reply(scene.invite, 180))
    scene.peer.send(reply(scene.invite, 183, "Content-Type: application/sdp", body=ANSWER.decode()))
    told = [event for event in scene.events if isinstance(event, Progressed)]
    assert [(event.status, event.sdp) for event in told] == [(180, None), (183, ANSWER)]


def test_requests_in_the_dialog_go_to_the_contact_along_the_recorded_route() -> None:
    scene = Scene()
    scene.answer("Record-Route: <sip:10.0.0.3;lr>, <sip:10.0.0.4:5080;lr>")
    (ack,) = sent(scene)
    assert ack.startswith("ACK sip:bob@10.0.0.9:5070 SIP/2.0")
    scene.wire.command(scene.alice, A, EndSession())
    (data, _, to) = scene.wire.lost[-1]
    bye = data.decode()
    assert to == Address("10.0.0.4", 5080)
    assert bye.startswith("BYE sip:bob@10.0.0.9:5070 SIP/2.0")
    routes = [line for line in bye.split("\r\n") if line.startswith("Route:")]
    assert routes == ["Route: <sip:10.0.0.4:5080;lr>", "Route: <sip:10.0.0.3;lr>"]
    assert header(bye, "CSeq") == "2 BYE"


def test_requests_never_go_past_a_recorded_route_that_is_a_name() -> None:
    scene = Scene()
    scene.answer("Record-Route: <sip:sbc.carrier.example;lr>")
    (ack,) = scene.peer.received()
    assert ack.startswith("ACK sip:bob@10.0.0.9:5070 SIP/2.0")
    assert header(ack, "Route") == "<sip:sbc.carrier.example;lr>"
    scene.wire.command(scene.alice, A, EndSession())
    (bye,) = scene.peer.received()
    assert header(bye, "Route") == "<sip:sbc.carrier.example;lr>"


def test_a_strict_router_gets_the_request_uri() -> None:
    scene = Scene()
    scene.answer("Record-Route: <sip:10.0.0.4>")
    (ack,) = sent(scene)
    assert ack.startswith("ACK sip:10.0.0.4 SIP/2.0")
    assert header(ack, "Route") == "<sip:bob@10.0.0.9:5070>"


def test_a_repeated_200_is_acknowledged_again_and_reported_once() -> None:
    scene = Scene()
    scene.answer()
    first = sent(scene)
    scene.answer()
    scene.answer()
    assert sent(scene) == first * 2
    assert len(scene.alice.emitted(Accepted)) == 1


def test_a_busy_phone_is_acknowledged_on_the_invites_own_branch() -> None:
    scene = Scene()
    busy = reply(scene.invite, 486)
    scene.peer.send(busy)
    (ack,) = scene.peer.received()
    assert ack.startswith("ACK sip:bob@example.com SIP/2.0")
    assert header(ack, "Via") == header(scene.invite, "Via")
    assert header(ack, "To") == "<sip:bob@example.com>;tag=peer"
    assert header(ack, "CSeq") == "1 ACK"
    scene.peer.send(busy)
    assert scene.peer.received() == [ack]
    assert [(event.status, event.reason) for event in scene.alice.emitted(Refused)] == [(486, "Whatever")]  # type: ignore[union-attr]


def test_cancel_waits_for_a_provisional_response() -> None:
    scene = Scene()
    scene.wire.command(scene.alice, A, CancelInvite())
    assert scene.peer.received() == []
    scene.peer.send(reply(scene.invite, 100, tag=None))
    (cancel,) = scene.peer.received()
    assert cancel.startswith("CANCEL sip:bob@example.com SIP/2.0")
    assert header(cancel, "Via") == header(scene.invite, "Via")
    assert header(cancel, "CSeq") == "1 CANCEL"
    scene.peer.send(reply(cancel, 200))
    scene.peer.send(reply(scene.invite, 487))
    assert scene.peer.received()[0].startswith("ACK")
    assert [event.status for event in scene.alice.emitted(Refused)] == [487]  # type: ignore[union-attr]


def test_a_200_that_crosses_the_cancel_is_acknowledged_and_ended() -> None:
    scene = Scene()
    scene.peer.send(reply(scene.invite, 180))
    scene.wire.command(scene.alice, A, CancelInvite())
    scene.peer.received()
    scene.answer()
    ack, bye = sent(scene)
    assert ack.startswith("ACK sip:bob@10.0.0.9:5070")
    assert bye.startswith("BYE sip:bob@10.0.0.9:5070")
    assert [type(event) for event in scene.events] == [Progressed, Refused]
    scene.answer()
    assert sent(scene) == [ack]
    assert scene.alice.agent.sessions() == ()


def test_an_unanswered_cancel_ends_the_call_after_32_seconds() -> None:
    scene = Scene()
    scene.peer.send(reply(scene.invite, 180))
    scene.wire.command(scene.alice, A, CancelInvite())
    scene.wire.run(31)
    assert scene.alice.emitted(Refused) == []
    scene.wire.run(2)
    assert [event.status for event in scene.alice.emitted(Refused)] == [487]  # type: ignore[union-attr]
    scene.wire.run(40)
    assert (scene.alice.agent.transactions(), scene.alice.agent.timers()) == (0, 0)


def test_cancelling_a_call_without_any_response() -> None:
    scene = Scene()
    scene.wire.command(scene.alice, A, EndSession())
    scene.wire.run(40)
    assert [event.status for event in scene.alice.emitted(Refused)] == [487]  # type: ignore[union-attr]


def test_of_two_forks_that_answer_the_second_is_acknowledged_and_ended() -> None:
    scene = Scene()
    scene.answer(tag="desk")
    sent(scene)
    scene.answer(tag="mobile")
    ack, bye = sent(scene)
    assert (ack.split(" ")[0], bye.split(" ")[0]) == ("ACK", "BYE")
    assert header(bye, "To").endswith(";tag=mobile")
    assert len(scene.alice.emitted(Accepted)) == 1
    assert scene.alice.agent.sessions() == (A,)


def test_an_offer_in_the_200_is_answered_in_the_ack() -> None:
    scene = Scene(sdp=None)
    scene.answer()
    assert sent(scene) == []
    (accepted,) = scene.alice.emitted(Accepted)
    assert isinstance(accepted, Accepted)
    assert (accepted.offer_to_answer, accepted.sdp) == (True, ANSWER)
    scene.answer()
    assert sent(scene) == []
    scene.wire.command(scene.alice, A, AcknowledgeOffer(sdp=SDP))
    (ack,) = sent(scene)
    assert ack.endswith(SDP.decode())
    scene.answer()
    assert sent(scene) == [ack]


def test_hanging_up_before_the_late_answer_acknowledges_first() -> None:
    scene = Scene(sdp=None)
    scene.answer()
    scene.wire.command(scene.alice, A, EndSession())
    assert [text.split(" ")[0] for text in sent(scene)] == ["ACK", "BYE"]


CHALLENGE = 'WWW-Authenticate: Digest realm="them", nonce="n1", qop="auth", algorithm=MD5'


def test_a_challenge_is_answered_with_a_new_number_and_branch() -> None:
    scene = Scene(credentials=DigestCredentials(user="alice", password="secret"))
    scene.peer.send(reply(scene.invite, 401, CHALLENGE))
    ack, again = scene.peer.received()
    assert ack.startswith("ACK")
    assert header(again, "CSeq") == "2 INVITE"
    assert header(again, "Via") != header(scene.invite, "Via")
    assert header(again, "From") == header(scene.invite, "From")
    assert header(again, "Call-ID") == header(scene.invite, "Call-ID")
    assert 'username="alice"' in header(again, "Authorization")
    assert again.endswith(SDP.decode())
    scene.invite = again
    scene.answer()
    ack = sent(scene)[0]
    assert header(ack, "Authorization") == header(again, "Authorization")
    assert header(ack, "CSeq") == "2 ACK"


def test_wrong_credentials_are_not_sent_twice_unless_the_nonce_was_stale() -> None:
    scene = Scene(credentials=DigestCredentials(user="alice", password="wrong"))
    scene.peer.send(reply(scene.invite, 407, CHALLENGE.replace("WWW", "Proxy").replace("Authenticate", "Authenticate")))
    again = scene.peer.received()[1]
    scene.peer.send(reply(again, 407, CHALLENGE.replace("WWW", "Proxy") + ", stale=true"))
    third = scene.peer.received()[1]
    assert header(third, "CSeq") == "3 INVITE"
    scene.peer.send(reply(third, 407, CHALLENGE.replace("WWW", "Proxy") + ", stale=true"))
    assert [event.status for event in scene.alice.emitted(Refused)] == [407]  # type: ignore[union-attr]


@pytest.mark.parametrize(
    "credentials", [None, DigestCredentials(user="alice", password="x", realms=("somebody else",))]
)
def test_a_challenge_without_credentials_of_ours_refuses_the_call(credentials: DigestCredentials | None) -> None:
    scene = Scene(credentials=credentials)
    scene.peer.send(reply(scene.invite, 401, CHALLENGE))
    assert [event.status for event in scene.alice.emitted(Refused)] == [401]  # type: ignore[union-attr]


def test_a_challenge_after_we_gave_up_is_not_answered() -> None:
    scene = Scene(credentials=DigestCredentials(user="alice", password="secret"))
    scene.wire.command(scene.alice, A, CancelInvite())
    scene.peer.send(reply(scene.invite, 401, CHALLENGE))
    assert [event.status for event in scene.alice.emitted(Refused)] == [487]  # type: ignore[union-attr]


@pytest.mark.parametrize("status", [183, 200, 486])
def test_a_reason_in_another_alphabet_is_reported_as_text(status: int) -> None:
    """A reason in Latin-1 is not text: stores and senders would fail at it."""
    scene = Scene()
    odd = reply(scene.invite, status, "X-Note: caf\udce9", "Contact: <sip:bob@10.0.0.9>", body=ANSWER.decode())
    scene.peer.send(odd.replace("Whatever", "occup\udce9\x9b", 1))
    told = scene.events[-1]
    assert isinstance(told, Progressed | Accepted | Refused)
    if not isinstance(told, Accepted):
        assert told.reason.endswith("occup\ufffd\ufffd")
    if not isinstance(told, Progressed):
        assert dict(told.headers)["X-Note"] == "caf\ufffd"


def test_the_peer_hangs_up() -> None:
    scene = Scene()
    scene.answer()
    sent(scene)
    to, from_ = header(scene.invite, "From"), "<sip:bob@example.com>;tag=peer"
    bye = (
        f"BYE sip:garbage@1127.0.0.1 SIP/2.0\nVia: SIP/2.0/UDP 10.0.0.3:5060;branch=z9hG4bKbye\n"
        f"From: {from_}\nTo: {to}\nCall-ID: {header(scene.invite, 'Call-ID')}\nCSeq: 7 BYE\n\n"
    )
    scene.peer.send(bye)
    scene.peer.send(bye)
    assert scene.peer.statuses() == [200, 200]
    assert [event.status for event in scene.alice.emitted(Ended)] == [200]  # type: ignore[union-attr]


def test_an_unsolicited_response_is_dropped() -> None:
    scene = Scene()
    scene.peer.send(reply(scene.invite.replace("branch=z9hG4bK", "branch=z9hG4bKother"), 200))
    scene.peer.send(reply(scene.invite, 200).replace("From:", "Via: SIP/2.0/UDP 10.9.9.9;branch=x\nFrom:"))
    assert [type(event).__name__ for event in scene.events] == ["MessageDropped"] * 2


@pytest.mark.parametrize(
    "target",
    ["tel:+15550100", "sip:", "sips:bob@10.0.0.3", "sip:bob@10.0.0.3;transport=tcp", "sip:bob@example.com", "bob", ""],
)
def test_a_target_that_leads_nowhere_is_refused_at_once(target: str) -> None:
    wire = Wire()
    alice = wire.node(ALICE)
    with pytest.raises(UriUnreadable):
        alice.agent.invite(A, target, now=0, sdp=SDP)
    assert alice.agent.sessions() == ()


@pytest.mark.parametrize("field", [("X-A", "1\r\nX-B: 2"), ("X A", "1"), ("X-A\r\n", "1")])
def test_a_header_cannot_smuggle_another(field: tuple[str, str]) -> None:
    alice = Wire().node(ALICE)
    with pytest.raises(UriUnreadable):
        alice.agent.invite(A, "sip:bob@10.0.0.3", now=0, sdp=SDP, headers=(field,))


def test_a_session_name_is_used_once() -> None:
    scene = Scene()
    with pytest.raises(UriUnreadable):
        scene.alice.agent.invite(A, "sip:bob@10.0.0.3", now=0, sdp=SDP)


def test_a_caller_may_be_a_whole_uri() -> None:
    wire = Wire()
    alice = wire.node(ALICE)
    effects = alice.agent.invite(A, "sip:bob@10.0.0.3", now=0, sdp=SDP, caller="sip:+15550100@sip.example.com")
    wire.do(alice, effects)
    assert "<sip:+15550100@sip.example.com>" in Peer(wire, alice, Address("10.0.0.3", 5060)).received()[0]


def test_calls_about_a_session_that_is_over_do_nothing() -> None:
    wire = Wire()
    agent = wire.node(ALICE).agent
    gone = SessionId("gone")
    assert (
        agent.command(gone, EndSession(), 0)
        == agent.command(gone, CancelInvite(), 0)
        == agent.command(gone, SendRinging(), 0)
        == []
    )
    assert (
        agent.command(gone, AcceptInvite(sdp=SDP), 0)
        == agent.command(gone, RefuseInvite(status=486), 0)
        == agent.command(gone, SendReoffer(sdp=SDP), 0)
        == []
    )
    assert agent.command(gone, AnswerReoffer(sdp=SDP), 0) == agent.command(gone, RefuseReoffer(status=488), 0) == []
    assert agent.command(gone, SendDigit(digit="1"), 0) == agent.command(gone, AcknowledgeOffer(sdp=SDP), 0) == []


def test_many_forks_are_not_remembered_without_end() -> None:
    scene = Scene()
    for number in range(40):
        scene.answer(tag=f"fork{number}")
    acks = [text for text in sent(scene) if text.startswith("ACK")]
    assert len(acks) == 16


def test_a_call_has_no_response_until_the_first_one() -> None:
    scene = Scene(credentials=DigestCredentials(user="alice", password="secret"))
    agent = scene.alice.agent
    assert agent.has_no_response(A)
    assert not agent.has_no_response(SessionId("nobody's"))
    scene.peer.send(reply(scene.invite, 401, CHALLENGE))
    assert not agent.has_no_response(A), "it was challenged"
    other = Scene()
    other.peer.send(reply(other.invite, 100))
    assert not other.alice.agent.has_no_response(A)
    other.answer()
    assert not other.alice.agent.has_no_response(A), "it is answered"
