"""The order of the servers of a SIP domain: services by order, servers by priority and weight."""

from __future__ import annotations

from random import Random

from hypothesis import given
from hypothesis import strategies as st

from holdfast.voice.sip.server_location import (
    NaptrRecord,
    SrvRecord,
    is_sip_service,
    order_servers,
    order_services,
    srv_name,
)


def naptr(order: int, preference: int, service: str, replacement: str = "x.example", flags: str = "s") -> NaptrRecord:
    return NaptrRecord(order=order, preference=preference, flags=flags, service=service, replacement=replacement)


def srv(priority: int, weight: int, target: str = "a.example") -> SrvRecord:
    return SrvRecord(priority=priority, weight=weight, port=5060, target=target)


def test_services_of_one_order_stand_together_by_preference_and_a_larger_order_apart() -> None:
    records = [
        naptr(20, 1, "SIP+D2U", "later.example"),
        naptr(10, 2, "sip+d2t", "tcp.example", flags="S"),
        naptr(10, 1, "SIPS+D2T", "tls.example"),
        naptr(5, 1, "E2U+sip", "enum.example", flags="u"),
        naptr(5, 1, "SIP+D2W", "ws.example"),
        naptr(5, 1, "SIP+D2U", "terminal.example", flags="a"),
        naptr(5, 1, "SIP+D2U", "."),
    ]
    both = ((("TLS", "tls.example"), ("TCP", "tcp.example")), (("UDP", "later.example"),))
    assert order_services(records, ("UDP", "TCP", "TLS")) == both
    assert order_services(records, ("UDP", "TCP")) == ((("TCP", "tcp.example"),), (("UDP", "later.example"),))
    assert order_services(records, ()) == ()
    assert [is_sip_service(record) for record in records] == [True, True, True, False, True, True, True]


def test_the_names_of_srv_records() -> None:
    assert srv_name("a.example", "UDP") == "_sip._udp.a.example"
    assert srv_name("a.example", "TCP") == "_sip._tcp.a.example"
    assert srv_name("a.example", "TLS") == "_sips._tcp.a.example"


def test_a_server_is_first_as_often_as_its_weight_says() -> None:
    """Of 4,000 draws with weights 0, 1 and 3 one has about none, 1,000 and 3,000."""
    drawn = Random(7)
    servers = [srv(1, 3, "three"), srv(1, 0, "none"), srv(1, 1, "one")]
    firsts = [order_servers(servers, drawn.random)[0].target for _ in range(4000)]
    assert 2200 < firsts.count("three") < 2600
    assert 600 < firsts.count("one") < 1000
    assert 600 < firsts.count("none") < 1000, "drawn from 0 to 4, as RFC 2782 writes it"


def test_a_weight_of_zero_is_seldom_first_beside_usual_weights() -> None:
    drawn = Random(7)
    servers = [srv(1, 0, "none"), srv(1, 100, "all")]
    firsts = [order_servers(servers, drawn.random)[0].target for _ in range(1000)]
    assert firsts.count("none") < 40


def test_a_target_of_a_dot_is_no_server() -> None:
    assert order_servers([srv(1, 0, ".")], Random(1).random) == ()


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 65535)), max_size=12), st.randoms(use_true_random=False))
def test_each_server_stands_once_and_no_priority_before_a_smaller_one(
    drawn: list[tuple[int, int]], random: Random
) -> None:
    servers = [srv(priority, weight, str(index)) for index, (priority, weight) in enumerate(drawn)]
    ordered = order_servers(servers, random.random)
    assert sorted(server.target for server in ordered) == sorted(server.target for server in servers)
    assert [server.priority for server in ordered] == sorted(server.priority for server in servers)
