"""What the engine hears of a call in."""

from __future__ import annotations

from dataclasses import replace

import pytest

from holdfast.voice.model.commands import Instruction
from holdfast.voice.model.ids import AccountSid, CallSid
from holdfast.voice.model.phone_numbers import read_number
from holdfast.voice.runtime.directory.directory import AnsweringDocument
from holdfast.voice.runtime.directory.records import LineRecord, RouteRecord
from holdfast.voice.runtime.sip.config.settings import (
    SipSettings,
    SrtpSetting,
)
from holdfast.voice.runtime.sip.inbound import (
    dialled_number,
    forwarded_from,
    no_answer_reason,
    receive_call,
)
from holdfast.voice.sip.effects import Address, Headers, Invited, SessionId
from holdfast.voice.sip.sdp.offer import SrtpPolicy

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
    ("wish", "without_tls", "on_tls", "elsewhere"),
    [
        ("accept", False, "accepted", "refused"),
        ("offer", False, "offered", "refused"),
        ("require", False, "required", "refused"),
        ("accept", True, "accepted", "accepted"),
        ("require", True, "required", "accepted"),
    ],
)
def test_audio_is_encrypted_as_the_settings_say(
    wish: SrtpSetting, without_tls: bool, on_tls: SrtpPolicy, elsewhere: SrtpPolicy
) -> None:
    settings = SipSettings(address=("127.0.0.1", 0), srtp=wish, srtp_without_tls=without_tls)
    assert settings.srtp_policy("TLS") == on_tls
    assert settings.srtp_policy("UDP") == settings.srtp_policy("TCP") == elsewhere


@pytest.mark.parametrize(("sha256", "offered"), [(False, ("MD5",)), (True, ("SHA-256", "MD5"))])
def test_phones_are_asked_for_sha_256_where_that_is_set(sha256: bool, offered: tuple[str, ...]) -> None:
    assert SipSettings(address=("127.0.0.1", 0), sha256=sha256).algorithms == offered


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ((), None),
        ((("Diversion", "<sip:+15550100999@carrier.example>;reason=unconditional"),), "+15550100999"),
        ((("diversion", '"Desk" <sip:desk@a.example>'), ("Diversion", "<sip:older@a.example>")), "desk"),
        ((("Diversion", "<sip:+15550100999;npdi@c.example>"),), "+15550100999"),
        ((("Diversion", "<sip:a.example>"),), None),
        ((("Diversion", "rubbish"),), None),
        ((("Diversion", "<sip:a@"),), None),
    ],
)
def test_a_forwarded_call_reports_the_number_first_called(headers: Headers, expected: str | None) -> None:
    assert forwarded_from(headers) == expected


def test_a_call_to_a_domain_carries_its_name_and_the_headers_of_the_phone() -> None:
    answer = AnsweringDocument(instruction=Instruction(twiml="<Response/>"), sip_domain_sid="SD1")
    headers = (("Diversion", "<sip:+15550100999@c.example>"), ("X-Ticket", "7"), ("Subject", "none of ours"))
    command = receive_call(CallSid("CA1"), AccountSid("AC1"), invited(*headers), answer, HERE)
    assert command.extra_params == (
        ("ForwardedFrom", "+15550100999"),
        ("SipCallId", "call-id"),
        ("SipDomain", "office.example.com"),
        ("SipDomainSid", "SD1"),
        ("SipSourceIp", "127.0.0.1"),
        ("SipHeader_X-Ticket", "7"),
    )
    assert (command.from_, command.to) == ("sip:alice@example.com", "sip:anybody@office.example.com")


class Lines:
    """A directory of one line."""

    def line(self, name: str) -> LineRecord | None:
        return LineRecord.with_password(name=name, password="secret") if name == "anybody" else None

    def e164(self, written: str) -> str | None:
        return read_number(written, "US")

    def route_for(self, number: str) -> RouteRecord | None:
        return None

    def unreachable_reason(self, number: str) -> str:
        return f"{number} leads nowhere"


@pytest.mark.parametrize(
    ("called", "why"), [("anybody", "a line is called by a document"), ("+15550199", "no voice URL answers it")]
)
def test_an_unanswered_call_is_logged_with_its_reason(called: str, why: str) -> None:
    reason = no_answer_reason(replace(invited(), called=called), Lines())
    assert reason.startswith(f"404 for {called!r}, dialled by 'alice' at 127.0.0.1: {why}")


class Registered:
    """A directory in which we register with a trunk at `HERE` as `anybody`."""

    def is_registered_as(self, user: str, host: str) -> bool:
        return (user, host) == ("anybody", HERE.host)


@pytest.mark.parametrize(
    ("to", "expected"),
    [
        ("<sip:+15550100@carrier.example>", "+15550100"),
        ('"Desk, 1" <sip:+15550100@carrier.example;user=phone>', "+15550100"),
        ("<sip:15550100;phone-context=+1@carrier.example;user=phone>", "+15550100"),
        ("<sip:carrier.example>", "anybody"),
        ("<tel:+15550100>", "anybody"),
        ("rubbish", "anybody"),
    ],
)
def test_a_trunk_that_calls_our_registration_says_in_to_which_number_was_dialled(to: str, expected: str) -> None:
    assert dialled_number(invited(("To", to)), Registered()) == expected
    assert dialled_number(invited(("t", to)), Registered()) == expected
    elsewhere = replace(invited(("To", to)), source=Address("192.0.2.1", 5060))
    assert dialled_number(elsewhere, Registered()) == "anybody"
    assert dialled_number(invited(), Registered()) == "anybody"
