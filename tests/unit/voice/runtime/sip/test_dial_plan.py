"""Where targets lead, and who is said to call there."""

from __future__ import annotations

from dataclasses import replace

import pytest

from holdfast.voice.model.commands import Target
from holdfast.voice.model.phone_numbers import read_number
from holdfast.voice.runtime.directory.records import LineRecord, RouteRecord
from holdfast.voice.runtime.sip.dial_plan import (
    MAX_CONTACTS,
    DialDestination,
    Unreachable,
    destinations_of,
    line_named,
    redirect_destination,
)

SECOND = RouteRecord(prefix="+44", host="203.0.113.6", port=5061, transport="TLS", caller_id="+15550199")
FIRST = RouteRecord(
    prefix="+44", host="203.0.113.5", port=5060, user="acme", password="x", domain="carrier.example", backup=SECOND
)


class Book:
    def line(self, name: str) -> LineRecord | None:
        return (
            LineRecord.with_password(name=name, password="secret") if name in ("+15550123", "15550124", "100") else None
        )

    def e164(self, written: str) -> str | None:
        return read_number(written, "US")

    def route_for(self, number: str) -> RouteRecord | None:
        return FIRST if number.startswith("+44") else None

    def unreachable_reason(self, number: str) -> str:
        return f"{number} leads nowhere"


@pytest.mark.parametrize(
    ("to", "name"),
    [
        ("+15550123", "+15550123"),
        ("15550123", "+15550123"),
        ("+1 555-0123", "+15550123"),
        ("+15550124", "15550124"),
        ("100", "100"),
        ("+15550125", None),
    ],
)
def test_a_line_is_rung_by_its_number_however_that_is_written(to: str, name: str | None) -> None:
    assert line_named(to, Book()) == name


def leads(to: str) -> tuple[DialDestination, ...]:
    return destinations_of(Target(to=to), lines=Book(), contacts=lambda _: (), is_ours=lambda _: False)


def test_a_number_leads_to_its_trunk_and_to_the_next_one_after_it() -> None:
    (destination,) = leads("+442079460000")
    assert (destination.uri, destination.transport) == ("sip:+442079460000@carrier.example", "UDP")
    assert destination.credentials is not None
    assert destination.fallback is not None
    assert (destination.fallback.uri, destination.fallback.credentials) == (
        "sip:+442079460000@203.0.113.6:5061;transport=tls",
        None,
    )
    assert destination.fallback.fallback is None


def test_a_number_without_a_trunk_is_unreachable_for_the_reason_the_directory_gives() -> None:
    with pytest.raises(Unreachable, match="112 leads nowhere") as refused:
        leads("112")
    assert refused.value.twilio_code == 13224


@pytest.mark.parametrize(
    ("to", "code"), [("415-555-121", 13223), ("+4155551212", 13223), ("(415) 555-1212", 13224), ("+123456", 13224)]
)
def test_a_number_that_cannot_be_one_has_another_code_than_one_without_a_trunk(to: str, code: int) -> None:
    with pytest.raises(Unreachable) as refused:
        leads(to)
    assert (refused.value.twilio_code, refused.value.sip_code) == (code, 404)


@pytest.mark.parametrize("to", ["011 44 20 7946 0000", "+44 (0)20 7946 0000", "(+44) 2079460000"])
def test_a_number_leaves_in_e164_however_it_is_written(to: str) -> None:
    assert leads(to)[0].uri == "sip:+442079460000@carrier.example"


@pytest.mark.parametrize(
    ("caller", "first", "second"),
    [
        ("+15550100", "sip:+15550100@carrier.example", "+15550199"),
        ("a b", "sip:a%20b@carrier.example", "+15550199"),
        ("sip:bob@example.com", "sip:bob@example.com", "+15550199"),
    ],
)
def test_from_shows_the_caller_id_and_domain_that_the_trunk_knows(caller: str, first: str, second: str) -> None:
    (destination,) = leads("+442079460000")
    assert destination.fallback is not None
    assert (destination.from_uri(caller), destination.fallback.from_uri(caller)) == (first, second)


MANY = RouteRecord(
    prefix="+44",
    host="203.0.113.5",
    port=5060,
    user="acme",
    password="x",
    sources=("198.51.100.0/24",),
    backup=RouteRecord(prefix="+44", host="203.0.113.6", port=5060),
)
TO = "+442079460000"


def sent_on(
    *contacts: str, status: int = 302, name: str = "Contact", route: RouteRecord = MANY
) -> DialDestination | None:
    """Where a call by this trunk goes that it redirected."""

    class Trunks(Book):
        def route_for(self, number: str) -> RouteRecord | None:
            return route

    (destination,) = destinations_of(Target(to=TO), lines=Trunks(), contacts=lambda _: (), is_ours=lambda _: False)
    return redirect_destination(destination, status, (("Subject", "x"), *((name, contact) for contact in contacts)))


@pytest.mark.parametrize("status", [300, 301, 302])
@pytest.mark.parametrize(
    ("contact", "uri", "host", "port"),
    [
        (f"<sip:{TO}@198.51.100.7>", f"sip:{TO}@198.51.100.7", "198.51.100.7", 5060),
        (f"sip:{TO}@203.0.113.6:5070", f"sip:{TO}@203.0.113.6:5070", "203.0.113.6", 5070),
        (f"<sip:{TO}@203.0.113.5:5062;transport=udp>", f"sip:{TO}@203.0.113.5:5062;transport=udp", "203.0.113.5", 5062),
        ("<sip:442079460000;npdi;rn=+4416@198.51.100.7?Subject=x>;q=0.5", None, "198.51.100.7", 5060),
        (f"<sip:x@example.com>, <sip:{TO}@198.51.100.7>", None, "198.51.100.7", 5060),
    ],
)
def test_a_trunk_may_redirect_to_its_own_addresses(
    contact: str, uri: str | None, host: str, port: int, status: int
) -> None:
    redirected = sent_on(contact, status=status)
    assert redirected is not None
    assert redirected.next_hop is not None
    assert (redirected.next_hop.host, redirected.next_hop.port) == (host, port)
    assert uri in (None, redirected.uri)
    assert "?" not in redirected.uri
    assert redirected.credentials is not None
    assert redirected.fallback is not None, "its backup is still there when that fails"
    assert redirect_destination(redirected, 302, (("Contact", f"<sip:{TO}@203.0.113.5>"),)) is None, "once"


@pytest.mark.parametrize(
    "contact",
    [
        *(
            "*",
            "",
            "tel:+442079460000",
            f"<sip:{TO}@sbc.example.com>",
            f"<sip:{TO}@192.0.2.1>",
            f"<sip:{TO}@203.0.113.5>",
        ),
        *("<sip:+449001234567@198.51.100.7>", "<sip:198.51.100.7>", f"<sip:{TO}@198.51.100.7;transport=tcp>"),
        *(f"<sips:{TO}@198.51.100.7>", f"<sip:{TO}@198.51.100.7;transport=ws>", f"<sip:{TO}@198.51.100.7:0>"),
    ],
)
def test_a_redirection_elsewhere_is_not_followed(contact: str) -> None:
    assert sent_on(contact) is None


def test_other_refusals_of_a_trunk_are_not_followed() -> None:
    there = f"<sip:{TO}@198.51.100.7>"
    assert [sent_on(there, status=status) for status in (305, 380, 404)] == [None] * 3
    assert sent_on() is None
    assert sent_on(there, name="X-Contact") is None
    assert sent_on(*["*"] * MAX_CONTACTS, there) is None
    phone = DialDestination(uri=f"sip:{TO}@198.51.100.8", next_hop=None, headers=())
    assert redirect_destination(phone, 302, (("Contact", there),)) is None, "phones send nobody on"


def test_a_trunk_on_tls_is_not_redirected_to_another_transport() -> None:
    encrypted = RouteRecord(prefix="+", host="203.0.113.5", port=5061, transport="TLS", sources=("198.51.100.7",))
    redirected = sent_on(f"<sips:{TO}@198.51.100.7>", route=encrypted)
    assert redirected is not None
    assert redirected.transport == "TLS"
    assert sent_on(f"<sip:{TO}@198.51.100.7;transport=udp>", route=encrypted) is None


@pytest.mark.parametrize(
    ("identity", "caller", "headers"),
    [
        (None, "+15550100", {}),
        ("caller", "+15550100", {"P-Asserted-Identity": "<sip:+15550100@carrier.example>"}),
        ("caller", "sip:bob@example.com", {}),
        ("caller", "anonymous", {}),
        ("+15550199", "alice", {"P-Asserted-Identity": "<sip:+15550199@carrier.example>"}),
        (
            "+15550199",
            "sip:anonymous@anonymous.invalid",
            {"P-Asserted-Identity": "<sip:+15550199@carrier.example>", "Privacy": "id"},
        ),
    ],
)
def test_a_trunk_receives_the_identity_we_assert(identity: str | None, caller: str, headers: dict[str, str]) -> None:
    trunk = replace(FIRST, identity=identity)
    destination = DialDestination(
        uri="sip:+44@carrier.example", next_hop=None, headers=(), domain=trunk.domain, trunk=trunk
    )
    assert dict(destination.identity_headers(caller)) == headers
    assert DialDestination(uri="sip:x@203.0.113.9", next_hop=None, headers=()).identity_headers(caller) == ()


def test_a_trunk_without_a_name_is_told_by_its_address() -> None:
    trunk = replace(SECOND, identity="caller")
    destination = DialDestination(uri="sip:+44@203.0.113.6:5061", next_hop=None, headers=(), trunk=trunk)
    assert destination.identity_headers("+15550100") == (("P-Asserted-Identity", "<sip:+15550100@203.0.113.6:5061>"),)


def test_a_target_cannot_replace_a_header_field_of_the_engine() -> None:
    fields = (("X-Twilio-CallSid", "CA0"), ("x-holdfast-word", "w"), ("Via", "v"), ("X-Order", "17"))
    target = Target(to="sip:bob@192.0.2.1?X-Twilio-CallSid=CA0", headers=fields, parameters=(("order", "18"),))
    (destination,) = destinations_of(target, lines=Book(), contacts=lambda _: (), is_ours=lambda _: False)
    assert (destination.uri, destination.headers) == (
        "sip:bob@192.0.2.1",
        (("X-Order", "17"), ("X-Holdfast-order", "18")),
    )
