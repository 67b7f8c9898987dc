"""Faults that other SIP stacks had, as tests of ours; the table is in docs/rfc-status.md."""

from __future__ import annotations

import pytest

from holdfast.voice.sip.effects import Accepted, EndCause, Ended, Invited, MessageDropped, Progressed, SessionId
from holdfast.voice.sip.message.codec import decode
from holdfast.voice.sip.message.message import Request
from holdfast.voice.sip.session_commands import AcceptInvite, EndSession
from tests.unit.voice.sip.session.test_invite_server import Scene
from tests.unit.voice.sip.wire import ANSWER, BOB, SDP, Peer, Wire, encode, header, invite, reply

ALICES_CALL = SessionId("a")


@pytest.mark.parametrize(
    ("line", "value"),
    [
        ("Contact", '"A + B" <sip:a@10.0.0.3:5062;ob>;+sip.instance="<urn:uuid:0000-1>";reg-id=1'),
        ("Contact", "<sip:a@my_phone_host.example:5062>"),
        ("Contact", "<sip:a@10.0.0.3?Subject=hello%20you>"),
        ("Contact", "<sip:[2001:db8::1]:5060;TRANSPORT=udp>"),
        ("Contact", '"a < b > c" <sip:a@10.0.0.3>'),
        ("From", '"Name" <sip:+15550100@10.0.0.3>;tag=as+5f*x'),
        ("From", "<urn:service:sos>;tag=1"),
        ("From", "<tel:+15550100>;tag=1"),
    ],
)
def test_headers_of_real_phones_are_read_and_echoed_to_the_byte(line: str, value: str) -> None:
    wire = Wire()
    bob = wire.node(BOB)
    peer = Peer(wire, bob)
    text = "\n".join(f"{line}: {value}" if listed.startswith(f"{line}:") else listed for listed in invite().split("\n"))
    peer.send(text)
    (invited,) = bob.emitted(Invited)
    assert isinstance(invited, Invited)
    (trying,) = peer.received()
    if line == "From":
        assert header(trying, "From") == value
    wire.command(bob, invited.session, AcceptInvite(sdp=ANSWER))
    assert header(peer.received()[-1], "Via").startswith("SIP/2.0/UDP 10.0.0.3:5060;branch=z9hG4bKpeer1")


@pytest.mark.parametrize(
    "via",
    [
        "SIP/2.0/UDP 10.0.0.3:5060;branch=z9hG4bK+ab*c!d",
        "SIP / 2.0 / UDP 10.0.0.3:5060 ; BRANCH=z9hG4bKx ;received=2001:db8::9",
        "SIP/2.0/UDP [2001:db8::1]:5060;branch=z9hG4bKy;rport",
    ],
)
def test_a_via_comes_back_with_its_branch_as_it_was(via: str) -> None:
    wire = Wire()
    peer = Peer(wire, wire.node(BOB))
    peer.send(invite(method="OPTIONS").replace("SIP/2.0/UDP 10.0.0.3:5060;branch=z9hG4bKpeer1", via))
    said = peer.received() or [data.decode() for data, _ in wire.nodes[BOB].sent]
    assert via.partition("ranch=")[2].split(";")[0].strip() in header(said[0], "Via")


def test_a_folded_header_is_one_line() -> None:
    message = decode(encode(invite().replace("Call-ID: call-1", "Subject: one\n  two\n\tthree\nCall-ID: call-1")))
    assert isinstance(message, Request)
    assert (message.first("Subject") or "").split() == ["one", "two", "three"]


@pytest.mark.parametrize("port", ["65536", "70000", "99999999999999999999", "0"])
@pytest.mark.parametrize("place", ["sent-by", "rport"])
def test_an_impossible_port_in_a_via_never_reaches_a_socket(port: str, place: str) -> None:
    wire = Wire()
    bob = wire.node(BOB)
    peer = Peer(wire, bob)
    via = f"10.0.0.3:{port}" if place == "sent-by" else f"10.0.0.3;rport={port}"
    peer.send(invite().replace("10.0.0.3:5060;branch", f"{via};branch"))
    assert all(1 <= to[1] <= 65535 for _, to in bob.sent)
    assert bob.emitted(Invited) == [] or (place, port) == ("rport", "0")
    peer.send(invite(method="OPTIONS", contact="", branch="z9hG4bKalive", call_id="alive"))
    assert 200 in peer.statuses()


@pytest.mark.parametrize(
    "text",
    [
        invite(*(f"X-{number}: {number}" for number in range(1500))),
        invite(from_tag="t" * 30_000),
        invite(*["Via: SIP/2.0/UDP a;branch=b"] * 400),
        invite("Contact: " + '"' * 5000),
        invite("X: " + "a;" * 8000 + "!"),
        invite().replace('"Peer \\"P\\""', '"' + "\\" * 9001),
        invite(uri="sip:" + ";" * 9000),
        invite("Require: " + "," * 9000),
        invite("X: \udcff\udcfe\udc80"),
    ],
    ids=["1,500 headers", "long tag", "400 Via", "quotes", "parameters", "backslashes", "URI", "commas", "not UTF-8"],
)
def test_large_or_crooked_messages_cost_little_and_are_answered_or_dropped(text: str) -> None:
    wire = Wire()
    bob = wire.node(BOB)
    peer = Peer(wire, bob)
    peer.send(text)
    assert bob.emitted(MessageDropped) or peer.statuses() != []
    peer.send(invite(method="OPTIONS", contact="", branch="z9hG4bKalive", call_id="alive"))
    assert peer.statuses() == [200]


def test_the_ack_of_a_200_has_a_branch_of_its_own_and_goes_to_the_contact() -> None:
    wire = Wire()
    alice = wire.node(BOB)
    peer = Peer(wire, alice)
    wire.do(alice, alice.agent.invite(ALICES_CALL, "sip:x@10.0.0.3:5060", now=wire.now, sdp=SDP))
    (sent,) = peer.received()
    peer.send(
        reply(sent, 200, "Contact: <sip:real@10.0.0.3:5060>", "Content-Type: application/sdp", body=ANSWER.decode())
    )
    (ack,) = peer.received()
    assert ack.startswith("ACK sip:real@10.0.0.3:5060 SIP/2.0")
    assert header(ack, "Via") != header(sent, "Via")
    assert alice.emitted(Accepted)
    wire.command(alice, ALICES_CALL, EndSession())
    (bye,) = peer.received()
    assert bye.startswith("BYE sip:real@10.0.0.3:5060 SIP/2.0")


@pytest.mark.parametrize(
    "uri",
    ["sip:a@1127.0.0.1", "sip:a@10.0.0.2:99999", "sip:a@", "sip:a@h;;lr", "sip:a@[::1", "urn:x", "x"],
)
def test_the_dialog_of_a_request_is_found_by_its_tags_and_not_its_uri(uri: str) -> None:
    scene = Scene()
    scene.running()
    text = invite(method="BYE", contact="", branch="z9hG4bKbye", cseq=2, to_tag=scene.tag, uri=uri)
    scene.peer.send(text)
    assert scene.peer.statuses() == [200]
    assert scene.ends() == [(EndCause.HUNG_UP, 200)]


def test_the_acknowledgement_of_a_200_reaches_its_session() -> None:
    scene = Scene()
    session = scene.called(body="")
    scene.wire.command(scene.bob, session, AcceptInvite(sdp=ANSWER))
    scene.tag = header(scene.peer.received()[-1], "To").partition("tag=")[2]
    scene.send("ACK", "Content-Type: application/sdp", branch="z9hG4bKnew", cseq=1, body=SDP.decode())
    assert [type(event).__name__ for event in scene.bob.events][-1] == "Confirmed"
    scene.wire.run(40)
    assert scene.ends() == []


def test_ringing_and_early_media_are_reported_and_a_long_ring_is_no_timeout() -> None:
    wire = Wire()
    alice = wire.node(BOB)
    peer = Peer(wire, alice)
    wire.do(alice, alice.agent.invite(ALICES_CALL, "sip:x@10.0.0.3:5060", now=wire.now, sdp=SDP))
    (sent,) = peer.received()
    peer.send(reply(sent, 180))
    peer.send(reply(sent, 183, "Content-Type: application/sdp", body=ANSWER.decode()))
    wire.run(170)
    assert [event.status for event in alice.emitted(Progressed) if isinstance(event, Progressed)] == [180, 183]
    assert alice.emitted(Ended) == []
    assert peer.received() == []


def test_unauthenticated_callers_cannot_fill_the_agent_with_calls() -> None:
    """Every readable INVITE may ring; none of them stays when it is not answered."""
    scene = Scene(max_sessions=20, answer_within_s=30.0)
    for number in range(100):
        scene.peer.send(invite(branch=f"z9hG4bKf{number}", call_id=f"flood-{number}"))
    assert len(scene.bob.agent.sessions()) == 20
    assert scene.peer.statuses().count(503) == 80
    scene.wire.run(120)
    assert (scene.bob.agent.sessions(), scene.bob.agent.transactions()) == ((), 0)
