"""The address of requests in a dialog."""

from __future__ import annotations

from dataclasses import replace

import pytest

from holdfast.voice.sip.dialog.dialog import Dialog, as_callee, disconnected, in_order, next_hop
from holdfast.voice.sip.effects import Address
from holdfast.voice.sip.message.codec import decode
from holdfast.voice.sip.message.message import Request
from tests.unit.voice.sip.wire import encode, invite


def dialog(target: str, *routes: str, seen_at: Address) -> Dialog:
    return Dialog(
        call_id="c",
        local="<sip:a@b>;tag=1",
        remote="<sip:c@d>;tag=2",
        local_tag="1",
        remote_tag="2",
        target=target,
        routes=routes,
        local_cseq=0,
        remote_cseq=None,
        peer_address=seen_at,
    )


CARRIER = Address("52.1.2.3", 5060)
ELSEWHERE = "sip:x@52.9.9.9:5070"


@pytest.mark.parametrize(
    ("route", "to"),
    [
        ("<sip:52.4.5.6:5080;lr>", Address("52.4.5.6", 5080)),
        ("<sip:52.4.5.6>", Address("52.4.5.6", 5060)),
        ("<sip:sbc.carrier.example;lr>", CARRIER),
        ("<sip:sbc.carrier.example>", CARRIER),
        ("<sip:10.0.0.1;lr>", CARRIER),
        ("<sip:100.64.0.1;lr>", CARRIER),
        ("<sip:52.4.5.6;transport=ws;lr>", CARRIER),
        ("garbage", CARRIER),
    ],
)
def test_requests_go_to_the_first_route_or_the_source_and_never_past_it(route: str, to: Address) -> None:
    assert next_hop(dialog(ELSEWHERE, route, "<sip:52.7.7.7;lr>", seen_at=CARRIER)) == to


@pytest.mark.parametrize(
    ("route", "to"),
    [
        ("<sip:52.1.2.3:5070;transport=tcp;lr>", Address("52.1.2.3", 49152, "TCP")),
        ("<sip:52.1.2.3:5070;lr>", Address("52.1.2.3", 49152, "TCP")),
        ("<sip:52.1.2.3:5070;transport=udp;lr>", Address("52.1.2.3", 5070)),
        ("<sip:52.4.5.6:5070;transport=tcp;lr>", Address("52.4.5.6", 5070, "TCP")),
    ],
)
def test_the_peers_connection_is_used_for_its_host_and_transport_alone(route: str, to: Address) -> None:
    assert next_hop(dialog(ELSEWHERE, route, seen_at=Address("52.1.2.3", 49152, "TCP"))) == to


@pytest.mark.parametrize(
    ("route", "to"),
    [
        ("<sip:52.1.2.3:5070;transport=tcp;lr>", Address("52.1.2.3", 5070, "TCP")),
        ("<sip:sbc.carrier.example;transport=tcp;lr>", Address("52.1.2.3", 49152, "TCP")),
        ("<sip:10.0.0.1;transport=tcp;lr>", Address("52.1.2.3", 49152, "TCP")),
    ],
)
def test_after_the_connection_of_a_route_ended_requests_go_there_over_a_new_one_and_not_to_the_contact(
    route: str, to: Address
) -> None:
    seen_at = Address("52.1.2.3", 49152, "TCP")
    there = dialog(f"{ELSEWHERE};transport=tcp", route, seen_at=seen_at)
    assert next_hop(there) == seen_at
    assert next_hop(disconnected(there)) == to


@pytest.mark.parametrize(
    ("contact", "source", "is_followed"),
    [
        ("52.9.9.9", "52.1.2.3", True),
        ("52.9.9.9", "10.0.0.3", True),
        ("10.0.0.3", "10.0.0.3", True),
        ("100.64.0.1", "100.64.0.1", True),
        ("127.0.0.1", "127.0.0.2", True),
        ("192.168.1.20", "52.1.2.3", False),
        ("100.64.0.1", "52.1.2.3", False),
        ("192.168.1.20", "100.64.0.1", False),
        ("192.168.1.20", "10.8.0.5", False),
        ("192.168.1.20", "192.168.0.20", False),
        ("192.168.1.20", "192.168.1.50", True),
        ("169.254.1.1", "10.8.0.5", False),
        ("127.0.0.1", "10.8.0.5", False),
        ("phone.example", "52.1.2.3", False),
    ],
)
def test_requests_go_to_the_source_when_the_contact_is_behind_a_nat(
    contact: str, source: str, is_followed: bool
) -> None:
    seen_at = Address(source, 40_000)
    to = next_hop(dialog(f"sip:x@{contact}:5070", seen_at=seen_at))
    assert to == (Address(contact, 5070) if is_followed else seen_at)


@pytest.mark.parametrize(
    ("route", "source", "is_followed"),
    [("10.0.0.4", "192.168.1.1", True), ("10.0.0.4", "100.64.0.1", False), ("100.64.0.1", "10.0.0.4", True)],
)
def test_a_proxy_in_our_own_network_may_send_from_another_address_than_it_records(
    route: str, source: str, is_followed: bool
) -> None:
    seen_at = Address(source, 5060)
    to = next_hop(dialog(ELSEWHERE, f"<sip:{route};lr>", seen_at=seen_at))
    assert to == (Address(route, 5060) if is_followed else seen_at)


@pytest.mark.parametrize(("last", "is_newer"), [(None, True), (1, True), (2, False), (3, False)])
def test_a_request_is_in_order_when_its_number_is_above_the_last_one(last: int | None, is_newer: bool) -> None:
    received = decode(encode(invite(method="INFO", cseq=2)))
    assert isinstance(received, Request)
    assert in_order(replace(dialog(ELSEWHERE, seen_at=CARRIER), remote_cseq=last), received) is is_newer


@pytest.mark.parametrize(
    ("contact", "target"),
    [
        ("<sip:p@10.0.0.3:5070>", "sip:p@10.0.0.3:5070"),
        ("<sip:p@10.0.0.3:5070>, <sip:q@10.0.0.4>", "sip:+15550100@10.0.0.3"),
        ("", "sip:+15550100@10.0.0.3"),
    ],
)
def test_the_target_is_the_only_contact_and_the_from_uri_when_there_are_several(contact: str, target: str) -> None:
    received = decode(encode(invite(contact=contact)))
    assert isinstance(received, Request)
    assert as_callee(received, "tag", CARRIER).target == target
