"""The agent over connections: its own addresses in Via and Contact, no repetitions, and connections that end."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from holdfast.voice.sip.dialog.dialog import Dialog, disconnected
from holdfast.voice.sip.effects import (
    Accepted,
    Address,
    ContactsChanged,
    Ended,
    Invited,
    MessageDropped,
    OptionsAnswered,
    Refused,
    RegistrationFailed,
    ReofferRefused,
    SessionId,
)
from holdfast.voice.sip.errors import UriUnreadable
from holdfast.voice.sip.message.digest import DigestCredentials, Ha1, answer_challenge
from holdfast.voice.sip.message.message import response
from holdfast.voice.sip.session_commands import AcceptInvite, CancelInvite, EndSession, RefuseInvite, SendReoffer
from tests.unit.voice.sip.wire import ANSWER, BOB, SDP, Node, Peer, Wire, encode, header, invite, reply

PHONE = Address("10.0.0.3", 49152, "TCP")
"""The peer's address on a connection that the phone opened."""
CARRIER = Address("10.0.0.9", 5061, "TLS")
BOB_TCP, BOB_TLS = Address("10.0.0.2", 5060, "TCP"), Address("10.0.0.2", 5061, "TLS")
VIA = "Via: SIP/2.0/TCP 10.0.0.3:5060;branch=z9hG4bKpeer1"


@dataclass
class Lines:
    """One line; unauthenticated calls are accepted."""

    trusted: bool = True
    passwords: dict[str, str] = field(default_factory=lambda: {"peer": "secret"})

    def ha1_of(self, user: str) -> Ha1 | None:
        return Ha1.of(user, self.passwords[user]) if user in self.passwords else None

    def may_call_unauthenticated(self, source: Address) -> bool:
        return self.trusted

    def is_registrar(self) -> bool:
        return True

    def is_trusted_proxy(self, host: str) -> bool:
        return False


class Scene:
    """A node with all three transports, and a phone behind a connection."""

    def __init__(self) -> None:
        self.wire = Wire()
        self.bob = self.wire.node(BOB, others=(BOB_TCP, BOB_TLS), policy=Lines())
        self.phone = Peer(self.wire, self.bob, PHONE)

    def called(self) -> SessionId:
        """Call from the phone over its connection."""
        text = invite("Content-Type: application/sdp", contact="<sip:peer@10.0.0.3:5060;transport=tcp>", body="x")
        self.phone.send(encode(text.replace("/UDP", "/TCP")).replace(b"Content-Length: 1\r\n\r\nx", sdp()))
        (invited,) = self.bob.emitted(Invited)
        assert isinstance(invited, Invited)
        return invited.session

    def running(self) -> tuple[SessionId, str]:
        """Answer and acknowledge the phone's call; return the session and our tag."""
        session = self.called()
        self.wire.command(self.bob, session, AcceptInvite(sdp=ANSWER))
        tag = header(self.phone.received()[-1], "To").partition("tag=")[2]
        self.phone.send(invite(method="ACK", to_tag=tag, branch="z9hG4bKack"))
        return session, tag

    def disconnect(self, address: Address = PHONE) -> None:
        """Close a connection."""
        self.wire.do(self.bob, self.bob.agent.handle_disconnect(address, self.wire.now))


def sdp() -> bytes:
    return b"Content-Length: %d\r\n\r\n" % len(SDP) + SDP


def test_responses_go_over_the_connection_and_name_it_in_contact() -> None:
    scene = Scene()
    session = scene.called()
    scene.wire.command(scene.bob, session, AcceptInvite(sdp=ANSWER))
    trying, ok = scene.phone.received()
    assert trying.startswith("SIP/2.0 100")
    assert header(ok, "Contact") == "<sip:holdfast@10.0.0.2:5060;transport=tcp>"


def test_an_outbound_call_names_its_transport_and_is_sent_once() -> None:
    scene = Scene()
    effects = scene.bob.agent.invite(
        SessionId("a"), "sips:+1555@10.0.0.9", now=scene.wire.now, sdp=SDP, caller="+15550100"
    )
    scene.wire.do(scene.bob, effects)
    scene.wire.run(10)
    (said,) = Peer(scene.wire, scene.bob, CARRIER).received()
    assert header(said, "Via").startswith("SIP/2.0/TLS 10.0.0.2:5061;rport;branch=")
    assert header(said, "Contact") == "<sips:holdfast@10.0.0.2:5061>"
    assert header(said, "From").startswith("<sip:+15550100@10.0.0.2:5060>")
    scene.wire.run(30)
    (refused,) = scene.bob.emitted(Refused)
    assert isinstance(refused, Refused)
    assert refused.status == 408


def test_a_final_response_is_sent_once() -> None:
    scene = Scene()
    session = scene.called()
    scene.wire.command(scene.bob, session, RefuseInvite(status=486))
    scene.wire.run(40)
    assert [text.split(" ")[1] for text in scene.phone.received()] == ["100", "486"]
    assert scene.bob.agent.transactions() == 0


def test_requests_in_the_dialog_use_the_phones_own_connection() -> None:
    scene = Scene()
    session, _ = scene.running()
    scene.wire.command(scene.bob, session, EndSession())
    (bye,) = scene.phone.received()
    assert bye.startswith("BYE sip:peer@10.0.0.3:5060;transport=tcp SIP/2.0")
    assert header(bye, "Via").startswith("SIP/2.0/TCP 10.0.0.2:5060;")


def test_the_end_of_another_connection_does_not_touch_a_call() -> None:
    scene = Scene()
    session, _ = scene.running()
    scene.disconnect(CARRIER)
    scene.wire.command(scene.bob, session, EndSession())
    assert [text.split(" ", 1)[0] for text in scene.phone.received()] == ["BYE"]


def test_after_the_connection_ended_requests_go_to_the_contact() -> None:
    scene = Scene()
    session, _ = scene.running()
    scene.disconnect()
    assert scene.bob.emitted(Ended) == []
    scene.wire.command(scene.bob, session, EndSession())
    assert scene.wire.lost[-1][2] == Address("10.0.0.3", 5060, "TCP")


def test_a_contact_that_leads_nowhere_leaves_the_dialog_as_it_is() -> None:
    scene = Scene()
    text = invite("Content-Type: application/sdp", contact="<sip:peer@home.example>", body="x").replace("/UDP", "/TCP")
    scene.phone.send(encode(text).replace(b"Content-Length: 1\r\n\r\nx", sdp()))
    scene.disconnect()
    assert len(scene.bob.agent.sessions()) == 1


def test_a_contact_that_is_no_sip_uri_leaves_the_dialog_as_it_is() -> None:
    dialog = Dialog(
        call_id="c",
        local="<sip:a@b>;tag=1",
        remote="<tel:+1555>;tag=2",
        local_tag="1",
        remote_tag="2",
        target="tel:+1555",
        routes=(),
        local_cseq=0,
        remote_cseq=None,
        peer_address=PHONE,
    )
    assert disconnected(dialog) == dialog


def test_a_response_after_the_connection_ended_goes_where_the_via_says() -> None:
    scene = Scene()
    session = scene.called()
    scene.disconnect()
    scene.wire.command(scene.bob, session, RefuseInvite(status=486))
    assert scene.wire.lost[-1][2] == Address("10.0.0.3", 5060, "TCP")


def test_unanswered_requests_end_when_no_connection_can_be_opened() -> None:
    scene = Scene()
    now = scene.wire.now
    agent = scene.bob.agent
    scene.wire.do(scene.bob, agent.invite(SessionId("a"), "sip:x@10.0.0.9:5061;transport=TLS", now=now, sdp=SDP))
    scene.wire.do(scene.bob, agent.options("ping", "sips:10.0.0.9", now=now))
    scene.wire.do(scene.bob, agent.register("line", CARRIER, "us", now=now))
    scene.disconnect(CARRIER)
    statuses = [(type(event).__name__, getattr(event, "status", None)) for event in scene.bob.events]
    assert statuses == [("Refused", 503), ("OptionsAnswered", 503), ("RegistrationFailed", 503)]
    assert {OptionsAnswered, Refused, RegistrationFailed} == {type(event) for event in scene.bob.events}
    assert (agent.transactions(), agent.sessions()) == (0, ())


def test_a_call_that_rings_outlives_its_connection() -> None:
    scene = Scene()
    target = "sip:x@10.0.0.9:5061;transport=tls"
    scene.wire.do(scene.bob, scene.bob.agent.invite(SessionId("a"), target, now=scene.wire.now, sdp=SDP))
    carrier = Peer(scene.wire, scene.bob, CARRIER)
    (said,) = carrier.received()
    carrier.send(reply(said, 180))
    scene.disconnect(CARRIER)
    new_address = Address("10.0.0.9", 50_000, "TLS")
    answered = reply(said, 200, "Contact: <sip:x@10.0.0.9:5061;transport=tls>", "Content-Type: application/sdp")
    carrier.send(encode(answered).replace(b"Content-Length: 0\r\n\r\n", sdp()), source=new_address)
    assert len(scene.bob.emitted(Accepted)) == 1
    (ack,) = [data for data, _, to in scene.wire.lost if to == new_address]
    assert ack.startswith(b"ACK ")


def test_our_change_that_cannot_be_sent_is_refused_and_the_call_goes_on() -> None:
    scene = Scene()
    session, _ = scene.running()
    scene.wire.command(scene.bob, session, SendReoffer(sdp=SDP))
    scene.disconnect()
    (refused,) = scene.bob.emitted(ReofferRefused)
    assert isinstance(refused, ReofferRefused)
    assert refused.status == 503
    assert scene.bob.agent.sessions() == (session,)


def registered(scene: Scene) -> None:
    """Register the phone over its connection."""
    text = invite(uri="sip:10.0.0.2", method="REGISTER").replace("To: <sip:bob@", "To: <sip:peer@")
    scene.phone.send(text)
    challenge = header(scene.phone.received()[-1], "WWW-Authenticate")
    proof = proven(challenge)
    scene.phone.send(text.replace("branch=z9hG4bKpeer1", "branch=z9hG4bKpeer2").replace("\n\n", f"\n{proof}\n\n", 1))
    assert scene.phone.statuses() == [200]


def proven(challenge: str) -> str:
    """Return the Authorization header for a REGISTER of the line."""
    fields = (
        ("Via", "SIP/2.0/TCP 10.0.0.3;branch=x"),
        *(("From", "<sip:a@b>"), ("To", "<sip:a@b>"), ("Call-ID", "c"), ("CSeq", "1 REGISTER")),
        ("WWW-Authenticate", challenge),
    )
    (made,) = answer_challenge(
        response(401, "", fields),
        DigestCredentials(user="peer", password="secret"),
        method="REGISTER",
        uri="sip:10.0.0.2",
        client_nonce="n",
    )
    return f"{made[0]}: {made[1]}"


def test_a_contact_lives_no_longer_than_its_connection() -> None:
    scene = Scene()
    registered(scene)
    assert scene.bob.agent.contacts.of("peer", scene.wire.now) == (("sip:peer@10.0.0.3:5060", PHONE),)
    assert scene.bob.agent.needs_connection(PHONE, scene.wire.now)
    scene.disconnect(CARRIER)
    assert len(scene.bob.agent.contacts.of("peer", scene.wire.now)) == 1
    assert len(scene.bob.emitted(ContactsChanged)) == 1, "connections without a contact emit no event"
    scene.disconnect()
    assert scene.bob.agent.contacts.of("peer", scene.wire.now) == ()
    assert scene.bob.emitted(ContactsChanged)[-1] == ContactsChanged(user="peer", contacts=())


def test_a_registered_phone_is_called_over_its_connection() -> None:
    scene = Scene()
    registered(scene)
    ((contact, to),) = scene.bob.agent.contacts.of("peer", scene.wire.now)
    effects = scene.bob.agent.invite(SessionId("a"), contact, now=scene.wire.now, sdp=SDP, next_hop=to)
    scene.wire.do(scene.bob, effects)
    (said,) = scene.phone.received()
    assert said.startswith("INVITE sip:peer@10.0.0.3:5060 SIP/2.0")
    assert header(said, "Via").startswith("SIP/2.0/TCP")


def test_connections_in_use_are_needed() -> None:
    scene = Scene()
    now = scene.wire.now
    assert not scene.bob.agent.needs_connection(PHONE, now)
    scene.running()
    scene.wire.run(40)
    assert scene.bob.agent.transactions() == 0
    assert scene.bob.agent.needs_connection(PHONE, now)
    assert not scene.bob.agent.needs_connection(CARRIER, now)


@pytest.mark.parametrize(
    ("head", "said"),
    [
        (invite().encode(), ["SIP/2.0 400 Bad Request (no Content-Length)"]),
        (b"SIP/2.0 200 OK\r\nVia: SIP/2.0/TCP 10.0.0.3", []),
        (b"", []),
        (b"GET / HTTP/1.1\r\nHost: x", []),
        (b"BYE sip:a SIP/2.0\r\nX: y", []),
    ],
)
def test_an_unreadable_stream_is_answered_if_it_can_be(head: bytes, said: list[str]) -> None:
    scene = Scene()
    head = head.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n").rstrip(b"\r\n")
    effects = scene.bob.agent.receive_unframed(head, PHONE, 400, "Bad Request (no Content-Length)", scene.wire.now)
    scene.wire.do(scene.bob, effects)
    assert [text.split("\r\n")[0] for text in scene.phone.received()] == said
    assert len(scene.bob.emitted(MessageDropped)) == (0 if said else 1)


@pytest.mark.parametrize(
    ("target", "next_hop", "why"),
    [
        ("sip:a@10.0.0.9;transport=tcp", None, "SIP over tcp is not supported here"),
        ("sips:a@10.0.0.9", None, "SIP over sips is not supported here"),
        ("sips:a@10.0.0.9;transport=udp", None, "SIP over udp is not supported here"),
        ("sips:a@10.0.0.9", Address("10.0.0.9", 5060), "a sips: URI is reached over TLS alone"),
    ],
)
def test_an_unreachable_target_is_refused_with_the_reason(target: str, next_hop: Address | None, why: str) -> None:
    node: Node = Wire().node(BOB)
    with pytest.raises(UriUnreadable, match=why):
        node.agent.invite(SessionId("a"), target, now=0, sdp=None, next_hop=next_hop)


NEXT_CONNECTION = Address("10.0.0.3", 50000, "TCP")
"""The peer's address on the phone's next connection."""


def registers(scene: Scene, at: Address, *, call_id: str = "r1", contact: str | None = None, cseq: int = 1) -> None:
    """Register the phone over the connection from this address."""
    peer = Peer(scene.wire, scene.bob, at)
    proof: tuple[str, ...] = ()
    for number in (2 * cseq, 2 * cseq + 1):
        lines = (
            "REGISTER sip:10.0.0.2 SIP/2.0",
            f"Via: SIP/2.0/TCP 10.0.0.3:{at.port};branch=z9hG4bK{call_id}{number}",
            "Max-Forwards: 70",
            "From: <sip:peer@10.0.0.2>;tag=f",
            "To: <sip:peer@10.0.0.2>",
            f"Call-ID: {call_id}",
            f"CSeq: {number} REGISTER",
            f"Contact: {contact or f'<sip:peer@10.0.0.3:{at.port};transport=tcp>'}",
            *proof,
            "Content-Length: 0",
        )
        peer.send("\n".join((*lines, "", "")))
        (response,) = peer.received()
        proof = (proven(header(response, "WWW-Authenticate")),) if "401" in response[:11] else ()
    assert response.startswith("SIP/2.0 200")


def bye_address(scene: Scene, session: SessionId) -> Address:
    """Return where our BYE goes."""
    scene.wire.command(scene.bob, session, EndSession())
    return scene.wire.lost[-1][2]


def test_a_phone_that_comes_back_by_another_connection_is_reached_by_it_in_its_call() -> None:
    scene = Scene()
    registers(scene, PHONE)
    session, _ = scene.running()
    scene.disconnect()
    registers(scene, NEXT_CONNECTION, cseq=2)
    assert scene.bob.agent.needs_connection(NEXT_CONNECTION, scene.wire.now)
    assert bye_address(scene, session) == NEXT_CONNECTION


def test_a_phone_with_two_connections_is_reached_by_the_newer_one() -> None:
    scene = Scene()
    registers(scene, PHONE)
    session, _ = scene.running()
    registers(scene, NEXT_CONNECTION, cseq=2)
    scene.disconnect()
    assert bye_address(scene, session) == NEXT_CONNECTION


def test_a_phone_that_reconnects_while_it_rings_gets_the_cancel() -> None:
    scene = Scene()
    registers(scene, PHONE)
    session = SessionId("a")
    effects = scene.bob.agent.invite(
        session, "sip:peer@10.0.0.3:49152;transport=tcp", now=scene.wire.now, sdp=SDP, next_hop=PHONE
    )
    scene.wire.do(scene.bob, effects)
    (said,) = scene.phone.received()
    scene.phone.send(reply(said, 180, "Contact: <sip:peer@10.0.0.3>", tag="t"))
    scene.disconnect()
    registers(scene, NEXT_CONNECTION, cseq=2)
    scene.wire.command(scene.bob, session, CancelInvite())
    back = Peer(scene.wire, scene.bob, NEXT_CONNECTION)
    (cancel,) = back.received()
    assert cancel.startswith("CANCEL ")
    back.send(reply(cancel, 200))
    back.send(reply(said, 487, tag="t"))
    (ack,) = back.received()
    assert ack.startswith("ACK ")
    assert len(scene.bob.emitted(Refused)) == 1


def test_a_phone_is_known_again_by_its_instance() -> None:
    scene = Scene()
    contact = '<sip:peer@10.0.0.3:{};transport=tcp>;+sip.instance="<urn:uuid:1>"'
    registers(scene, PHONE, contact=contact.format(1))
    session, _ = scene.running()
    scene.disconnect()
    registers(scene, NEXT_CONNECTION, call_id="r2", contact=contact.format(2))
    assert bye_address(scene, session) == NEXT_CONNECTION


def test_another_phone_of_the_line_gets_no_message_of_the_call() -> None:
    scene = Scene()
    registers(scene, PHONE)
    session, _ = scene.running()
    registers(scene, CARRIER._replace(transport="TCP"), call_id="other", contact="<sip:peer@10.0.0.9>")
    scene.disconnect()
    registers(scene, NEXT_CONNECTION, call_id="another")
    assert bye_address(scene, session) == Address("10.0.0.3", 5060, "TCP")


def test_a_phone_that_comes_back_after_its_call_is_only_registered() -> None:
    scene = Scene()
    registers(scene, PHONE)
    session, _ = scene.running()
    scene.disconnect()
    bye_address(scene, session)
    scene.wire.run(40)
    registers(scene, NEXT_CONNECTION, cseq=2)
    assert scene.bob.agent.sessions() == ()
    scene.disconnect(NEXT_CONNECTION)


def test_a_contact_of_a_connection_does_not_outlast_us() -> None:
    scene = Scene()
    registers(scene, PHONE)
    assert scene.bob.agent.contacts.of("peer", scene.wire.now)
    assert scene.bob.agent.contacts.restorable("peer") == {}
