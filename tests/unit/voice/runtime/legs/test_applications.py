"""Calls to applications on their way to ourselves: only the word that went out with one brings it in."""

from __future__ import annotations

import pytest

from holdfast.voice.model.commands import Instruction, Target, WebRequest
from holdfast.voice.model.effects import PlaceLeg
from holdfast.voice.model.ids import AccountSid, CallSid
from holdfast.voice.runtime.directory import Answer
from holdfast.voice.runtime.legs.applications import HEADER, MOST_UNDER_WAY, Applications
from holdfast.voice.runtime.legs.arrivals import Door
from holdfast.voice.runtime.legs.reach import Goal, Unreachable
from holdfast.voice.runtime.listings import Line, Route
from holdfast.voice.sip.effects import Address, Headers, Invited, SessionId

ACCOUNT = AccountSid("AC" + "0" * 32)
OUT, IN = CallSid("CA" + "1" * 32), CallSid("CA" + "2" * 32)
OURS = Address("192.0.2.1", 5060)
SHOP = "AP" + "1" * 32
ANSWER = Answer(instruction=Instruction(request=WebRequest(url="https://app.example/shop")))


class Book:
    """A directory of one application and nothing else."""

    def line(self, name: str) -> Line | None:
        return None

    def route_for(self, number: str) -> Route | None:
        return None

    def unreachable(self, number: str) -> str:
        return f"{number} leads nowhere"

    def lets_in(self, host: str) -> bool:
        return host == "198.51.100.7"

    def trunks(self) -> tuple[Route, ...]:
        return ()

    def is_registered_as(self, user: str, host: str) -> bool:
        return False

    def tls_name(self, to: Address) -> str | None:
        return None

    def answer_for(self, dialled: str, *, host: str = "") -> Answer | None:
        return None

    def answer_of_application(self, sid: str) -> Answer | None:
        return ANSWER if sid == SHOP else None


def applications() -> Applications:
    return Applications(Book(), ACCOUNT)


def goal(made: Applications, *parameters: tuple[str, str], sid: str = SHOP) -> Goal:
    target = Target(to=f"app:{sid}", parameters=parameters)
    return made.goal(PlaceLeg(call=OUT, target=target, from_="client:alice"), OURS)


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


def test_a_call_comes_back_with_what_is_told_of_it() -> None:
    made = applications()
    sent = goal(made, ("To", "+15550100"), ("customerId", "acme"), ("Ticket", "9"))
    assert (sent.uri, sent.next_hop) == (f"sip:{SHOP}@192.0.2.1:5060", OURS)
    came = made.received(IN, invited(sent.headers))
    assert came is not None
    assert (came.call, came.account, came.from_, came.to) == (IN, ACCOUNT, "client:alice", "+15550100")
    assert came.extra == (("customerId", "acme"), ("Param_Ticket", "9"))
    assert came.instruction == ANSWER.instruction


def test_by_default_it_is_told_its_own_sid_and_our_account() -> None:
    made = applications()
    came = made.received(IN, invited(goal(made).headers))
    assert came is not None
    assert (came.to, came.extra) == (SHOP, (("customerId", ACCOUNT),))


def test_a_word_is_good_once_and_another_never() -> None:
    made = applications()
    sent = goal(made)
    assert made.received(IN, invited(((HEADER, "guessed"),))) is None
    assert made.received(IN, invited(())) is None
    assert made.received(IN, invited(((HEADER.lower(), sent.headers[0][1]),))) is not None
    assert made.received(IN, invited(sent.headers)) is None


def test_those_that_never_come_back_are_forgotten() -> None:
    made = applications()
    first = goal(made)
    for _ in range(MOST_UNDER_WAY):
        last = goal(made)
    assert made.received(IN, invited(first.headers)) is None
    assert made.received(IN, invited(last.headers)) is not None


def test_an_application_there_is_none() -> None:
    with pytest.raises(Unreachable) as unreachable:
        goal(applications(), sid="AP" + "2" * 32)
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
def test_without_a_password_come_trunks_and_we_ourselves(source: Address, *, may: bool) -> None:
    assert Door(Book(), OURS, trust_loopback=True).may_call_unauthenticated(source) is may
