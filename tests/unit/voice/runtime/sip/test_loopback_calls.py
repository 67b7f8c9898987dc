"""Calls on their way to ourselves: only the word that went out with one brings it in."""

from __future__ import annotations

import pytest

from holdfast.voice.model.commands import Callback, Instruction, Target, WebRequest
from holdfast.voice.model.effects import PlaceLeg
from holdfast.voice.model.ids import AccountSid, CallSid
from holdfast.voice.model.phone_numbers import read_number, spellings
from holdfast.voice.runtime.directory.directory import AnsweringDocument
from holdfast.voice.runtime.directory.records import LineRecord, RouteRecord
from holdfast.voice.runtime.sip.dial_plan import DialDestination, Unreachable
from holdfast.voice.runtime.sip.inbound import InboundAdmission
from holdfast.voice.runtime.sip.loopback_calls import (
    HEADER,
    MAX_HOPS,
    MAX_PENDING,
    LoopbackCalls,
)
from holdfast.voice.sip.effects import Address, Headers, Invited, SessionId

ACCOUNT = AccountSid("AC" + "0" * 32)
OUT, IN = CallSid("CA" + "1" * 32), CallSid("CA" + "2" * 32)
OURS = Address("192.0.2.1", 5060)
SHOP = "AP" + "1" * 32
ANSWER = AnsweringDocument(instruction=Instruction(request=WebRequest(url="https://app.example/shop")))
OFFICE, RUNG = "+15550100", "+15550107"
OFFICE_ANSWER = AnsweringDocument(
    instruction=Instruction(request=WebRequest(url="https://app.example/office")),
    callback=Callback(url="https://app.example/ended"),
    phone_number_sid="PN" + "1" * 32,
)


class Book:
    """A directory of one application, one number that a document answers and one line named like a number."""

    def line(self, name: str) -> LineRecord | None:
        return LineRecord.with_password(name=name, password="secret") if name == RUNG else None

    def e164(self, written: str) -> str | None:
        ours = (form for form in spellings(written, "US") if form in (OFFICE, RUNG))
        return next(ours, None) or read_number(written, "US")

    def route_for(self, number: str) -> RouteRecord | None:
        return None

    def unreachable_reason(self, number: str) -> str:
        return f"{number} leads nowhere"

    def trusts(self, host: str) -> bool:
        return host == "198.51.100.7"

    def trunks(self) -> tuple[RouteRecord, ...]:
        return ()

    def is_registered_as(self, user: str, host: str) -> bool:
        return False

    def answer_for(self, dialled: str, *, host: str = "") -> AnsweringDocument | None:
        return None

    def answer_of_number(self, number: str) -> AnsweringDocument | None:
        return OFFICE_ANSWER if self.e164(number) in (OFFICE, RUNG) else None

    def answer_of_application(self, sid: str) -> AnsweringDocument | None:
        return ANSWER if sid == SHOP else None


def loopback_calls() -> LoopbackCalls:
    return LoopbackCalls(Book(), ACCOUNT)


def destination(made: LoopbackCalls, *parameters: tuple[str, str], sid: str = SHOP) -> DialDestination:
    target = Target(to=f"app:{sid}", parameters=parameters)
    found = made.destination(PlaceLeg(call=OUT, target=target, from_="client:alice"), OURS)
    assert found is not None
    return found


def to_number(made: LoopbackCalls, to: str, *, hops: int = 0) -> DialDestination | None:
    return made.destination(PlaceLeg(call=OUT, target=Target(to=to), from_="+15550199"), OURS, hops=hops)


def invited(headers: Headers) -> Invited:
    """A call that came in with these header fields."""
    return Invited(
        session=SessionId("s"),
        source=OURS,
        target=f"sip:{SHOP}@192.0.2.1",
        called=SHOP,
        caller="mallory",
        caller_host="192.0.2.1",
        caller_name="",
        user=None,
        sdp=None,
        reliable=False,
        call_id="c",
        headers=headers,
    )


def test_a_loopback_call_arrives_with_its_parameters() -> None:
    made = loopback_calls()
    sent = destination(made, ("To", "+15550100"), ("customerId", "acme"), ("Ticket", "9"))
    assert (sent.uri, sent.next_hop) == (f"sip:{SHOP}@192.0.2.1:5060", OURS)
    arrival = made.claim(IN, invited(sent.headers))
    assert arrival is not None
    command = arrival.command
    assert (command.call, command.account, command.from_, command.to) == (IN, ACCOUNT, "client:alice", "+15550100")
    assert command.extra_params == (("customerId", "acme"), ("Param_Ticket", "9"))
    assert command.instruction == ANSWER.instruction


@pytest.mark.parametrize("to", [OFFICE, "+1 (555) 0100", "15550100"])
def test_a_number_of_ours_is_answered_by_its_document(to: str) -> None:
    made = loopback_calls()
    sent = to_number(made, to)
    assert sent is not None
    assert (sent.uri, sent.next_hop) == (f"sip:{OFFICE}@192.0.2.1:5060", OURS)
    arrival = made.claim(IN, invited(sent.headers))
    assert arrival is not None
    command = arrival.command
    assert (command.call, command.from_, command.to, command.extra_params) == (IN, "+15550199", OFFICE, ())
    assert (command.instruction, command.callback) == (OFFICE_ANSWER.instruction, OFFICE_ANSWER.callback)
    assert command.phone_number_sid == OFFICE_ANSWER.phone_number_sid


@pytest.mark.parametrize("to", ["+15550999", RUNG, "15550107", "client:+15550100", "sip:+15550100@192.0.2.9", "alice"])
def test_other_numbers_and_names_of_lines_are_no_loopback_calls(to: str) -> None:
    assert to_number(loopback_calls(), to) is None


def test_a_call_with_too_many_hops_is_refused() -> None:
    made = loopback_calls()
    last = to_number(made, OFFICE, hops=MAX_HOPS - 1)
    assert last is not None
    arrival = made.claim(IN, invited(last.headers))
    assert arrival is not None
    assert arrival.hops == MAX_HOPS
    with pytest.raises(Unreachable) as unreachable:
        to_number(made, OFFICE, hops=arrival.hops)
    assert (unreachable.value.sip_code, unreachable.value.twilio_code) == (483, 13224)
    with pytest.raises(Unreachable):
        made.destination(PlaceLeg(call=OUT, target=Target(to=f"app:{SHOP}"), from_="x"), OURS, hops=MAX_HOPS)


def test_call_headers_carry_the_sid_and_the_account() -> None:
    made = loopback_calls()
    command = made.claim(IN, invited(destination(made).headers))
    assert command is not None
    assert (command.command.to, command.command.extra_params) == (SHOP, (("customerId", ACCOUNT),))


def test_a_token_is_valid_once_and_a_guessed_one_never() -> None:
    made = loopback_calls()
    sent = destination(made)
    assert made.claim(IN, invited(((HEADER, "guessed"),))) is None
    assert made.claim(IN, invited(())) is None
    assert made.claim(IN, invited(((HEADER.lower(), sent.headers[0][1]),))) is not None
    assert made.claim(IN, invited(sent.headers)) is None


def test_loopback_calls_that_never_arrive_are_discarded() -> None:
    made = loopback_calls()
    first = destination(made)
    for _ in range(MAX_PENDING):
        last = destination(made)
    assert made.claim(IN, invited(first.headers)) is None
    assert made.claim(IN, invited(last.headers)) is not None


def test_an_unknown_application_is_unreachable() -> None:
    with pytest.raises(Unreachable) as unreachable:
        destination(loopback_calls(), sid="AP" + "2" * 32)
    assert (unreachable.value.sip_code, unreachable.value.twilio_code) == (404, 21218)


@pytest.mark.parametrize(
    ("source", "may"),
    [
        (OURS, True),
        (Address("192.0.2.1", 5061), False),
        (Address("192.0.2.1", 5060, "TCP"), False),
        (Address("127.0.0.1", 5060), False),
        (Address("198.51.100.7", 5060), True),
    ],
)
def test_trunks_and_the_engine_itself_call_without_a_password(source: Address, *, may: bool) -> None:
    assert InboundAdmission(Book(), OURS, trust_loopback=True).may_call_unauthenticated(source) is may


@pytest.mark.parametrize(
    ("listening", "source"),
    [(Address("0.0.0.0", 5060), Address("127.0.0.1", 5060)), (Address("::", 5060), Address("::1", 5060))],
)
def test_an_engine_that_listens_everywhere_calls_itself_by_loopback(listening: Address, source: Address) -> None:
    door = InboundAdmission(Book(), listening, trust_loopback=True)
    assert door.may_call_unauthenticated(source)
    assert not door.may_call_unauthenticated(source._replace(port=5062))
