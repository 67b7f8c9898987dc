"""One message of our own after each section of RFC 4475, and the answer that the RFC wants.

Source: RFC 4475 §3. `calls` says whether an INVITE becomes a call.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pytest

from holdfast.voice.sip.effects import Accepted, Invited, MessageDropped, Progressed, Refused, SessionId
from tests.unit.voice.sip.registrar.test_registrar import Scene as Line
from tests.unit.voice.sip.wire import ANSWER, BOB, SDP, Peer, Wire, encode, header, invite, reply

SDP_TYPE = "Content-Type: application/sdp"
OFFER = SDP.decode()


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """A request: its text, and the statuses of our responses, in order."""

    section: str
    what: str
    message: str | bytes
    statuses: Sequence[int]
    calls: bool = False


def taken(section: str, what: str, message: str | bytes) -> Case:
    """Return the case of an INVITE that is a call."""
    return Case(section=section, what=what, message=message, statuses=[100], calls=True)


def refused(section: str, what: str, message: str | bytes, *statuses: int) -> Case:
    return Case(section=section, what=what, message=message, statuses=statuses)


TORTUOUS = (
    "INVITE sip:bob@10.0.0.2 SIP/2.0\n"
    "TO :\n <sip:bob@10.0.0.2>\n"
    'f  : "Joe \\\\\\"x\\"" <sip:joe@10.0.0.3>  ; tag  = 98asjd8\n'
    "MaX-fOrWaRdS: 0068\nCall-ID: torture.1\nContent-Length   : 0\ncseq: 0009\n  INVITE\n"
    "v :  SIP  / 2.0 / UDP  10.0.0.3:5060;branch=z9hG4bKtort\ns :\nNewFangledHeader:   newfangled value\n continued\n"
    'UnknownHeaderWithUnusualValue: ;;,,;;,;\nm:"Quoted" <sip:joe@10.0.0.3>;newparam=newvalue;q=0.33\n\n'
)

REQUESTS = [
    taken("3.1.1.1", "a short tortuous INVITE", TORTUOUS),
    taken(
        "3.1.1.2",
        "a wide range of valid characters",
        invite(
            "!interesting-Message0123456789_*+`.%indeed'~: text", branch="z9hG4bK.-!%*_+`'~", call_id="!-~(<>)[]{}?"
        ),
    ),
    taken("3.1.1.3", "escapes in the user part", invite(uri="sip:sips%3Auser%40example.com@10.0.0.2")),
    taken("3.1.1.4", "escaped nulls", invite(uri="sip:null-%00-null@10.0.0.2")),
    refused("3.1.1.5", "% that is no escape, in a method", invite(method="RE%47IST%45R", contact=""), 501),
    taken("3.1.1.6", "no blank before <", invite().replace('"Peer \\"P\\"" <', "caller<")),
    taken("3.1.1.7", "long values", invite(from_tag="t" * 2000, call_id="c" * 2000, branch="z9hG4bK" + "b" * 2000)),
    taken("3.1.1.8", "octets behind the end", encode(invite()) + b"and a trailing noise\r\n"),
    taken("3.1.1.9", "semicolons in the user part", invite(uri="sip:user;par=u%40example.net@10.0.0.2")),
    taken("3.1.1.10", "unknown transports", invite("Via: SIP/2.0/UNKNOWN t.example.com;branch=z9hG4bKx")),
    taken(
        "3.1.1.11",
        "several parts",
        invite(
            "Content-Type: multipart/mixed;boundary=7a9",
            body=f"--7a9\r\nContent-Type: text/plain\r\n\r\nhi\r\n--7a9\r\n{SDP_TYPE}\r\n\r\n{OFFER}\r\n--7a9--\r\n",
        ),
    ),
    refused("3.1.2.1", "separators without values", invite("X: a").replace(";branch=", ";;,;,,;branch="), 400),
    refused("3.1.2.2", "Content-Length too large", invite("Content-Length: 9999"), 400),
    refused("3.1.2.3", "negative Content-Length", invite("Content-Length: -999"), 400),
    refused("3.1.2.4", "scalars too large", invite().replace("CSeq: 1 ", "CSeq: 36893488147419103232 "), 400),
    refused("3.1.2.6", "a quote that does not end", invite().replace('"Peer \\"P\\"" <', '"Mr. J. User <'), 400),
    refused("3.1.2.7", "brackets round the Request-URI", invite(uri="<sip:bob@10.0.0.2>"), 400),
    refused("3.1.2.8", "blanks inside the Request-URI", invite(uri="sip:bob@10.0.0.2; lr"), 400),
    refused("3.1.2.9", "blanks between the words of the first line", invite(uri=" sip:bob@10.0.0.2"), 400),
    refused("3.1.2.10", "blanks at the end of the first line", invite().replace("SIP/2.0\nVia", "SIP/2.0  \nVia"), 400),
    taken(
        "3.1.2.11", "headers in the Request-URI, which may be ignored", invite(uri="sip:b@10.0.0.2?Route=%3Csip:x%3E")
    ),
    taken(
        "3.1.2.12", "a date in another zone, of which nothing depends", invite("Date: Fri, 01 Jan 2010 16:00:00 EST")
    ),
    refused("3.1.2.13", "a Contact without brackets", invite(contact="sip:u@10.0.0.3?Route=%3Csip:x%3E, x"), 400),
    refused(
        "3.1.2.14", "blanks inside To", invite().replace("To: <sip:bob@10.0.0.2>", 'To: "W" < sip:b@10.0.0.2 >'), 400
    ),
    taken("3.1.2.15", "no token as a name, taken all the same", invite().replace('"Peer \\"P\\""', "Bell, Alexander")),
    refused("3.1.2.16", "another version", invite().replace(" SIP/2.0\nVia", " SIP/7.0\nVia"), 505),
    refused("3.1.2.17", "another method in CSeq", invite(method="OPTIONS").replace("1 OPTIONS", "1 INVITE"), 400),
    refused("3.1.2.18", "an unknown method, another in CSeq", invite(method="NEW").replace("1 NEW", "1 INVITE"), 501),
    taken("3.2.1", "no branch but the cookie", invite(branch="z9hG4bK")),
    refused(
        "3.3.1", "no Call-ID, From or To", "INVITE sip:b@10.0.0.2 SIP/2.0\nVia: SIP/2.0/UDP 10.0.0.3:5060\n\n", 400
    ),
    refused("3.3.2", "an unknown scheme", invite(uri="nobodyKnowsThisScheme:totallyopaquecontent"), 416),
    refused("3.3.3", "a known scheme that is none of SIP's", invite(uri="soap.beep://192.0.2.103:3002"), 416),
    taken(
        "3.3.4", "unknown schemes in From and To", invite().replace("<sip:+15550100@10.0.0.3>", "<http://x.example>")
    ),
    refused("3.3.5", "extensions nobody has", invite("Require: nothingSupportsThis, nothingSupportsThisEither"), 420),
    refused("3.3.6", "an unknown body", invite("Content-Type: application/unknownformat", body="<audio/>"), 415),
    taken("3.3.7", "an unknown way to prove oneself", invite("Authorization: NoOneKnowsThisScheme opaque=here")),
    refused(
        "3.3.8", "several of what may be there once", invite("Call-ID: other", "Max-Forwards: 5", "CSeq: 8 INVITE"), 400
    ),
    refused("3.3.9", "two Content-Lengths", invite("Content-Length: 0", "Content-Length: 13", body="hello"), 400),
    taken("3.3.11", "Max-Forwards of zero, at its goal", invite().replace("Forwards: 70", "Forwards: 0")),
    taken(
        "3.3.15",
        "an Accept that leaves out descriptions, which is no reason to lose a call",
        invite("Accept: text/nobodyKnowsThis", SDP_TYPE, body=OFFER),
    ),
    taken("3.4.1", "the syntax of RFC 2543", invite(branch="", sent_by="10.0.0.3").replace(";branch=", "")),
]


@pytest.mark.parametrize("case", REQUESTS, ids=lambda case: f"{case.section} {case.what}")
def test_each_request_gets_the_answer_of_the_rfc(case: Case) -> None:
    wire = Wire()
    bob = wire.node(BOB)
    peer = Peer(wire, bob)
    peer.send(case.message)
    assert peer.statuses() == list(case.statuses)
    assert bool(bob.emitted(Invited)) is case.calls
    peer.send(invite(method="OPTIONS", contact="", branch="z9hG4bKalive", call_id="alive"))
    assert peer.statuses() == [200]


@pytest.mark.parametrize(
    ("section", "response", "told"),
    [
        ("3.1.1.12", "SIP/2.0 180 = 2**3 * 5**2 \u043d\u043e \u0441\u0442\u043e", Progressed),
        ("3.1.1.13", "SIP/2.0 180 ", Progressed),
        ("3.1.2.5", "SIP/2.0 180 Ringing", MessageDropped),
        ("3.1.2.19", "SIP/2.0 4294967301 better not break the receiver", MessageDropped),
        ("3.3.10", "SIP/2.0 200 OK", MessageDropped),
    ],
)
def test_each_response_is_read_or_dropped_and_never_answered(section: str, response: str, told: type) -> None:
    wire = Wire()
    alice = wire.node(BOB)
    peer = Peer(wire, alice)
    wire.do(alice, alice.agent.invite(SessionId("a"), "sip:x@10.0.0.3:5060", now=wire.now, sdp=SDP))
    (sent,) = peer.received()
    text = response + "\n" + reply(sent, 180).partition("\n")[2]
    if section == "3.1.2.5":
        text = text.replace(f"CSeq: {header(sent, 'CSeq')}", "CSeq: 9292394834772304023312 INVITE")
    elif section == "3.3.10":
        text = text.replace("\n\n", "\nVia: SIP/2.0/UDP 255.255.255.255;branch=z9hG4bK1saber23\n\n", 1)
    peer.send(text)
    assert len(alice.emitted(told)) == 1
    assert peer.received() == []
    contact = "Contact: <sip:x@10.0.0.3:5060>"
    peer.send(reply(sent, 200, contact, SDP_TYPE, body=ANSWER.decode()))
    assert len(alice.emitted(Accepted)) == 1
    assert alice.emitted(Refused) == []


CONTACTS = {
    "3.3.12": ("<sip:+19725552222@10.0.0.3>;unknownparam", "sip:+19725552222@10.0.0.3"),
    "3.3.13": ("<sip:+19725552222@10.0.0.3;unknownparam>", "sip:+19725552222@10.0.0.3;unknownparam"),
    "3.3.14": ("<sip:user@10.0.0.3?Route=%3Csip:sip.example.com%3E>", "sip:user@10.0.0.3"),
}
"""The contacts that a line registers, and the URIs called then: a header hidden in a Contact diverts no call."""


@pytest.mark.parametrize("section", CONTACTS)
def test_each_contact_is_registered_as_far_as_it_is_one(section: str) -> None:
    said, called = CONTACTS[section]
    scene = Line()
    answer = scene.send(f"Contact: {said}")
    assert answer.startswith("SIP/2.0 200 ")
    assert f"Contact: <{called}>;expires=" in answer
    assert scene.contacts() == [called]


def test_every_section_has_its_message() -> None:
    sections = (
        {case.section for case in REQUESTS}
        | CONTACTS.keys()
        | {"3.1.1.12", "3.1.1.13", "3.1.2.5", "3.1.2.19", "3.3.10"}
    )
    wanted = {f"3.1.1.{n}" for n in range(1, 14)} | {f"3.1.2.{n}" for n in range(1, 20)}
    wanted |= {"3.2.1", "3.4.1"} | {f"3.3.{n}" for n in range(1, 16)}
    assert sections == wanted
