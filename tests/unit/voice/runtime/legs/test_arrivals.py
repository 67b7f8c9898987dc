"""What the engine hears of a call in."""

from __future__ import annotations

import pytest

from holdfast.voice.model.commands import Instruction
from holdfast.voice.model.ids import AccountSid, CallSid
from holdfast.voice.runtime.directory import Answer
from holdfast.voice.runtime.legs.arrivals import forwarded_from, received
from holdfast.voice.sip.effects import Address, Headers, Invited, SessionId

HERE = Address("127.0.0.1", 5060)


def invited(*headers: tuple[str, str]) -> Invited:
    return Invited(
        session=SessionId("s"),
        source=HERE,
        target="sip:anybody@office.example.com",
        called="anybody",
        caller="alice",
        caller_host="example.com",
        caller_name="",
        user=None,
        sdp=None,
        reliable=False,
        call_id="call-id",
        headers=headers,
    )


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ((), None),
        ((("Diversion", "<sip:+15550100999@carrier.example>;reason=unconditional"),), "+15550100999"),
        ((("diversion", '"Desk" <sip:desk@a.example>'), ("Diversion", "<sip:older@a.example>")), "desk"),
        ((("Diversion", "<sip:a.example>"),), None),
        ((("Diversion", "rubbish"),), None),
        ((("Diversion", "<sip:a@"),), None),
    ],
)
def test_a_forwarded_call_says_whom_it_was_for(headers: Headers, expected: str | None) -> None:
    assert forwarded_from(headers) == expected


def test_a_call_to_a_domain_names_it_and_what_the_phone_added() -> None:
    answer = Answer(instruction=Instruction(twiml="<Response/>"), sip_domain_sid="SD1")
    headers = (("Diversion", "<sip:+15550100999@c.example>"), ("X-Ticket", "7"), ("Subject", "none of ours"))
    heard = received(CallSid("CA1"), AccountSid("AC1"), invited(*headers), answer, HERE)
    assert heard.extra == (
        ("ForwardedFrom", "+15550100999"),
        ("SipCallId", "call-id"),
        ("SipDomain", "office.example.com"),
        ("SipDomainSid", "SD1"),
        ("SipSourceIp", "127.0.0.1"),
        ("SipHeader_X-Ticket", "7"),
    )
    assert (heard.from_, heard.to) == ("sip:alice@example.com", "sip:anybody@office.example.com")
