"""Where targets lead, and who is said to call there."""

from __future__ import annotations

import pytest

from holdfast.voice.model.commands import Target
from holdfast.voice.runtime.legs.reach import Goal, Unreachable, goals
from holdfast.voice.runtime.listings import Line, Route

SECOND = Route(prefix="+44", host="203.0.113.6", port=5061, transport="TLS", caller_id="+15550199")
FIRST = Route(
    prefix="+44", host="203.0.113.5", port=5060, user="acme", password="x", domain="carrier.example", backup=SECOND
)


class Book:
    def line(self, name: str) -> Line | None:
        return None

    def route_for(self, number: str) -> Route | None:
        return FIRST if number.startswith("+44") else None

    def unreachable(self, number: str) -> str:
        return f"{number} leads nowhere"


def leads(to: str) -> tuple[Goal, ...]:
    return goals(Target(to=to), lines=Book(), contacts=lambda _: (), is_ours=lambda _: False)


def test_a_number_leads_to_its_trunk_and_to_the_next_one_after_it() -> None:
    (goal,) = leads("+442079460000")
    assert (goal.uri, goal.transport) == ("sip:+442079460000@carrier.example", "UDP")
    assert goal.credentials is not None
    assert goal.instead is not None
    assert (goal.instead.uri, goal.instead.credentials) == ("sip:+442079460000@203.0.113.6:5061;transport=tls", None)
    assert goal.instead.instead is None


def test_a_number_without_a_trunk_is_unreachable_for_the_reason_the_directory_gives() -> None:
    with pytest.raises(Unreachable, match="112 leads nowhere") as refused:
        leads("112")
    assert refused.value.twilio_code == 13224


@pytest.mark.parametrize(
    ("caller", "first", "second"),
    [
        ("+15550100", "sip:+15550100@carrier.example", "+15550199"),
        ("a b", "sip:a%20b@carrier.example", "+15550199"),
        ("sip:bob@example.com", "sip:bob@example.com", "+15550199"),
    ],
)
def test_who_calls_as_the_trunk_knows_us(caller: str, first: str, second: str) -> None:
    (goal,) = leads("+442079460000")
    assert goal.instead is not None
    assert (goal.from_(caller), goal.instead.from_(caller)) == (first, second)
