"""Torture messages after the cases of RFC 4475: each gets the answer that the RFC asks for, and does no harm."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.voice.sip.effects import Invited, MessageDropped
from tests.unit.voice.sip.wire import BOB, SDP, Node, Peer, Wire, encode, header, invite


def scene() -> tuple[Wire, Node, Peer]:
    wire = Wire()
    bob = wire.node(BOB)
    return wire, bob, Peer(wire, bob)


TORTURE = [
    # name, message, statuses, whether a call comes of it
    ("a wide range of valid characters", invite('X-!%*_+`\'~: "\x7f-free"'), [400], False),
    ("an extension header nobody knows", invite("NewFangled: value;;,,;,;"), [100], True),
    ("an unknown method", invite(method="NEWMETHOD", contact=""), [501], False),
    ("a method that differs from the CSeq's", invite().replace("CSeq: 1 INVITE", "CSeq: 1 OPTIONS"), [400], False),
    ("unknown method that differs", invite(method="NEWMETHOD").replace("1 NEWMETHOD", "1 INVITE"), [501], False),
    ("an unknown URI scheme", invite(uri="nobodyKnowsThisScheme:totallyopaquecontent"), [416], False),
    ("a scheme we do not serve", invite(uri="urn:service:sos"), [416], False),
    ("a number without a host", invite(uri="tel:+15550100"), [100], True),
    ("a number nobody can read", invite(uri="tel:+1555@0100"), [400], False),
    ("no scheme at all", invite(uri="example.com"), [400], False),
    ("a SIP URI nobody can read", invite(uri="sip:a@b@c"), [400], False),
    ("a required extension", invite("Require: nothingSupportsThis, nothingSupportsThisEither"), [420], False),
    ("an extension proxies need", invite("Proxy-Require: noProxiesSupportThis"), [100], True),
    ("reliable provisional responses required", invite("Require: 100rel"), [100], True),
    ("an unknown content type", invite("Content-Type: application/unknownformat", body="<a/>"), [415], False),
    ("an unknown encoding", invite("Content-Type: application/sdp", "Content-Encoding: gzip", body="x"), [415], False),
    ("identity as encoding", invite("Content-Encoding: identity"), [100], True),
    ("no Contact", invite(contact=""), [400], False),
    ("a Contact that is no SIP URI", invite(contact="<mailto:a@b>"), [400], False),
    ("two Contacts", invite("Contact: <sip:c@d>"), [400], False),
    ("a Contact with unbalanced quotes", invite(contact='"Bell, Alexander <sip:a@b>'), [400], False),
    ("Max-Forwards of zero", invite().replace("Max-Forwards: 70", "Max-Forwards: 0"), [100], True),
    ("Max-Forwards of 256", invite().replace("Max-Forwards: 70", "Max-Forwards: 256"), [400], False),
    ("Max-Forwards of words", invite().replace("Max-Forwards: 70", "Max-Forwards: many"), [400], False),
    ("no Max-Forwards", invite().replace("Max-Forwards: 70\n", ""), [100], True),
    ("a CSeq number too large", invite().replace("CSeq: 1 ", "CSeq: 36893488147419103232 "), [400], False),
    ("an Expires too large", invite("Expires: 10000000000000000000000000"), [100], True),
    ("a date in another zone", invite("Date: Fri, 01 Jan 2010 16:00:00 EST"), [100], True),
    ("a Content-Length too large", invite("Content-Length: 9999"), [400], False),
    ("a negative Content-Length", invite("Content-Length: -999"), [400], False),
    ("several Call-IDs", invite("Call-ID: other"), [400], False),
    (
        "another protocol version",
        invite().replace("sip:bob@10.0.0.2:5060 SIP/2.0", "sip:bob@10.0.0.2 SIP/7.0"),
        [505],
        False,
    ),
    ("spaces inside the Request-URI", invite(uri="sip:bob@10.0.0.2; lr"), [400], False),
    ("brackets round the Request-URI", invite(uri="<sip:bob@10.0.0.2>"), [400], False),
    ("spaces after the version", invite().replace("SIP/2.0\nVia", "SIP/2.0  \nVia"), [400], False),
    ("escaped headers in the Request-URI", invite(uri="sip:bob@10.0.0.2?Route=%3Csip:x%3E"), [100], True),
    ("a null in the user part", invite(uri="sip:null-%00-null@10.0.0.2"), [100], True),
    ("commas and semicolons without end", invite().replace("From:", "X:;;,;,;,\nFrom:"), [100], True),
    ("an unknown authorization scheme", invite("Authorization: NoOneKnowsThisScheme opaque=here"), [100], True),
    ("an old branch", invite(branch="77ef4c2312983.1"), [100], True),
    ("the cookie alone as branch", invite(branch="z9hG4bK"), [100], True),
    ("no branch", invite().replace(";branch=z9hG4bKpeer1", ""), [100], True),
    ("in no dialog of ours", invite(to_tag="nobody"), [481], False),
    ("BYE in no dialog", invite(method="BYE", contact=""), [481], False),
    ("BYE in another dialog", invite(method="BYE", contact="", to_tag="nobody"), [481], False),
    ("INFO outside", invite(method="INFO", contact=""), [481], False),
    ("UPDATE outside", invite(method="UPDATE"), [481], False),
    ("PRACK outside", invite(method="PRACK", contact=""), [481], False),
    ("MESSAGE outside", invite(method="MESSAGE", contact=""), [405], False),
    ("SUBSCRIBE outside", invite("Event: message-summary", method="SUBSCRIBE"), [489], False),
    ("SUBSCRIBE to nothing", invite(method="SUBSCRIBE"), [489], False),
    ("PUBLISH outside", invite("Event: presence", method="PUBLISH", contact=""), [489], False),
    ("NOTIFY outside", invite("Event: refer", method="NOTIFY"), [481], False),
    ("REGISTER where nobody registers", invite(method="REGISTER"), [405], False),
    ("OPTIONS", invite(method="OPTIONS", contact=""), [200], False),
    ("OPTIONS in no dialog", invite(method="OPTIONS", contact="", to_tag="nobody"), [481], False),
    ("ACK of nothing", invite(method="ACK", contact=""), [], False),
    ("ACK that is malformed", invite(method="ACK", contact="").replace("CSeq: 1", "CSeq: x"), [], False),
    ("nothing", "", [], False),
]


@pytest.mark.parametrize(
    ("text", "statuses", "calls"), [case[1:] for case in TORTURE], ids=[case[0] for case in TORTURE]
)
def test_each_message_gets_its_answer(text: str, statuses: list[int], calls: bool) -> None:
    wire, bob, peer = scene()
    peer.send(text)
    assert peer.statuses() == statuses
    assert bool(bob.emitted(Invited)) is calls
    peer.send(invite(method="OPTIONS", contact="", branch="z9hG4bKalive", call_id="alive"))
    assert peer.statuses() == [200]
    wire.run(400)
    assert (bob.agent.sessions(), bob.agent.transactions(), bob.agent.timers()) == ((), 0, 0)


def test_a_refusal_names_the_accepted_values() -> None:
    _, _, peer = scene()
    allowed = "INVITE, ACK, BYE, CANCEL, OPTIONS, UPDATE, INFO, PRACK, REFER, NOTIFY"
    for text, name, value in (
        (invite("Require: foo, bar"), "Unsupported", "foo, bar"),
        (invite("Content-Type: text/x", body="x"), "Accept", "application/sdp"),
        (invite("Content-Encoding: gzip", body="x"), "Accept-Encoding", "identity"),
        (invite(method="MESSAGE", contact=""), "Allow", allowed),
        (invite(method="XYZ", contact=""), "Allow", allowed),
        (invite("Event: dialog", method="SUBSCRIBE"), "Allow-Events", "refer"),
        (invite(method="OPTIONS", contact=""), "Accept", "application/sdp"),
    ):
        peer.send(text)
        (said,) = peer.received()
        assert header(said, name) == value
        peer.send(text)
        assert len(peer.received()) == 1
        peer.send(
            text.replace("z9hG4bKpeer1", "z9hG4bKnext").replace("INVITE sip", "ACK sip").replace("1 INVITE", "1 ACK")
        )
        (peer,) = (scene()[2],)


def test_responses_are_never_answered() -> None:
    _, bob, peer = scene()
    for text in (
        "SIP/2.0 200 OK\nVia: SIP/2.0/UDP 10.0.0.2:5060;branch=z9hG4bKno\nFrom: <sip:a@b>;tag=1\nTo: <sip:c@d>\n"
        "Call-ID: 1\nCSeq: 1 INVITE\n\n",
        "SIP/2.0 4294967301 better not\nVia: SIP/2.0/UDP 192.0.2.198;branch=x\n\n",
        "SIP/2.0 200\n\n",
    ):
        peer.send(text)
    assert peer.received() == []
    assert len(bob.emitted(MessageDropped)) == 3


def test_a_description_inside_several_parts_is_found() -> None:
    _, bob, peer = scene()
    parts = (
        f"--b\r\nContent-Type: text/plain\r\n\r\nhello\r\n--b\r\nContent-Type: application/sdp\r\n\r\n{SDP.decode()}"
        "\r\n--b--\r\n"
    )
    peer.send(invite('Content-Type: multipart/mixed;boundary="b"', body=parts))
    (invited,) = bob.emitted(Invited)
    assert isinstance(invited, Invited)
    assert invited.sdp == SDP


@pytest.mark.parametrize("kind", ["application/sdp;charset=utf-8", "APPLICATION/SDP ; x=y", "application/sdp"])
def test_a_description_is_found_with_any_parameters_and_inside_nested_parts(kind: str) -> None:
    _, bob, peer = scene()
    inner = f"--bb\r\nContent-Type: {kind}\r\nContent-Disposition: session\r\n\r\n{SDP.decode()}\r\n--bb--\r\n"
    parts = (
        f"preamble\r\n--b\r\n\r\nno type\r\n--b\r\nContent-Type: multipart/alternative;\r\n boundary=bb\r\n\r\n{inner}"
        "\r\n--b--\r\n"
    )
    peer.send(invite('Content-Type: multipart/mixed;boundary="b"', body=parts))
    (invited,) = bob.emitted(Invited)
    assert isinstance(invited, Invited)
    assert invited.sdp == SDP


def test_parts_in_parts_without_end_are_not_followed() -> None:
    _, _, peer = scene()
    endless = "--b\r\nContent-Type: multipart/mixed;boundary=b\r\n\r\n" * 500
    peer.send(invite("Content-Type: multipart/mixed;boundary=b", body=endless))
    assert peer.statuses() == [415]


@pytest.mark.parametrize("kind", ["multipart/mixed", "multipart/mixed;boundary=c", "multipart/mixed;boundary=b"])
def test_several_parts_without_a_description_get_415(kind: str) -> None:
    _, _, peer = scene()
    peer.send(invite(f"Content-Type: {kind}", body="--b\r\nContent-Type: text/plain\r\n\r\nx\r\n--b--\r\n"))
    assert peer.statuses() == [415]


@given(
    st.lists(
        st.one_of(
            st.binary(max_size=200),
            st.tuples(st.sampled_from(TORTURE), st.integers(0, 600), st.integers(0, 255)),
        ),
        max_size=12,
    )
)
def test_no_sequence_of_datagrams_does_harm(
    datagrams: list[bytes | tuple[tuple[str, str, list[int], bool], int, int]],
) -> None:
    wire, bob, peer = scene()
    for datagram in datagrams:
        if isinstance(datagram, bytes):
            peer.send(datagram)
            continue
        case, at, byte = datagram
        data = bytearray(encode(case[1]))
        if data:
            data[at % len(data)] = byte
        peer.send(bytes(data))
    peer.received()
    peer.send(invite(method="OPTIONS", contact="", branch="z9hG4bKalive", call_id="alive"))
    assert peer.statuses() == [200]
    wire.run(400)
    assert (bob.agent.sessions(), bob.agent.transactions(), bob.agent.timers()) == ((), 0, 0)
