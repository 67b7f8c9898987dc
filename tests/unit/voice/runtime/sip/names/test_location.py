"""Where a SIP domain leads, by every shape of its DNS records."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest

from holdfast.voice.runtime.sip.names.dns_client import DnsAnswer, NameUnresolved
from holdfast.voice.runtime.sip.names.location import Domain, Location, Locator
from holdfast.voice.sip.effects import Address, Transport
from holdfast.voice.sip.server_location import NaptrRecord, SrvRecord

pytestmark = pytest.mark.anyio

NAME = "carrier.example"


@dataclass(slots=True)
class Zone:
    """DNS records by type and name, each with the time when it expires; a type in `failing` has no answer."""

    records: Mapping[str, list[Any]]
    failing: tuple[str, ...] = ()
    asked: list[str] = field(default_factory=list)

    async def _answer(self, key: str) -> DnsAnswer[Any]:
        self.asked.append(key)
        if key in self.failing:
            raise NameUnresolved(f"no answer for {key}")
        return DnsAnswer(records=tuple(self.records.get(key, ())), expires_at=float(len(self.asked)))

    async def naptr(self, name: str) -> DnsAnswer[NaptrRecord]:
        return await self._answer(f"NAPTR {name}")

    async def srv(self, name: str) -> DnsAnswer[SrvRecord]:
        return await self._answer(f"SRV {name}")

    async def addresses(self, name: str, version: int) -> DnsAnswer[str]:
        return await self._answer(f"{'AAAA' if version == 6 else 'A'} {name}")


def naptr(order: int, service: str, name: str) -> NaptrRecord:
    return NaptrRecord(order=order, preference=1, flags="s", service=service, replacement=name)


def srv(target: str, port: int = 5060, priority: int = 1) -> SrvRecord:
    return SrvRecord(priority=priority, weight=0, port=port, target=target)


async def locate(
    zone: Zone,
    *,
    port: int | None = None,
    transport: Transport | None = None,
    spoken: tuple[Transport, ...] = ("UDP", "TCP"),
    version: int = 4,
) -> Location:
    locator = Locator(zone, spoken=spoken, version=version, random=lambda: 0.0)
    return await locator.locate(Domain(name=NAME, port=port, transport=transport))


async def test_with_a_port_only_the_host_is_looked_up() -> None:
    zone = Zone({f"A {NAME}": ["192.0.2.1", "192.0.2.2"]})
    found = await locate(zone, port=5070)
    assert found.addresses == (Address("192.0.2.1", 5070), Address("192.0.2.2", 5070))
    assert zone.asked == [f"A {NAME}"]
    assert (await locate(zone, port=5070, transport="TCP")).addresses[0] == Address("192.0.2.1", 5070, "TCP")


async def test_with_a_transport_no_naptr_record_is_looked_up() -> None:
    zone = Zone({f"SRV _sips._tcp.{NAME}": [srv("b.example", 5071, 2), srv("a.example")], "A a.example": ["192.0.2.1"]})
    found = await locate(zone, transport="TLS", spoken=("UDP", "TCP", "TLS"))
    assert found.addresses == (Address("192.0.2.1", 5060, "TLS"),)
    assert zone.asked == [f"SRV _sips._tcp.{NAME}", "A a.example", "A b.example"]


@pytest.mark.parametrize(
    ("transport", "expected"),
    [
        (None, Address("192.0.2.1", 5060)),
        ("TCP", Address("192.0.2.1", 5060, "TCP")),
        ("TLS", Address("192.0.2.1", 5061, "TLS")),
    ],
)
async def test_without_any_record_of_a_service_the_host_itself_is_called(
    transport: Transport | None, expected: Address
) -> None:
    zone = Zone({f"A {NAME}": ["192.0.2.1"]})
    assert (await locate(zone, transport=transport, spoken=("UDP", "TCP", "TLS"))).addresses == (expected,)


async def test_without_naptr_records_the_services_of_every_transport_are_tried_in_turn() -> None:
    zone = Zone(
        {
            f"SRV _sip._tcp.{NAME}": [srv("a.example")],
            f"SRV _sips._tcp.{NAME}": [srv("a.example", 5061)],
            f"SRV _sip._udp.{NAME}": [srv("a.example", 5070)],
            "A a.example": ["192.0.2.1"],
        }
    )
    found = (await locate(zone, spoken=("UDP", "TCP", "TLS"))).addresses
    assert [(address.port, address.transport) for address in found] == [(5070, "UDP"), (5060, "TCP"), (5061, "TLS")]
    assert len((await locate(zone)).addresses) == 2, "TLS is not spoken"


async def test_a_larger_order_is_used_only_where_a_smaller_one_leads_to_no_server() -> None:
    records: dict[str, list[Any]] = {
        f"NAPTR {NAME}": [naptr(10, "SIP+D2T", "tcp.example"), naptr(20, "SIP+D2U", "udp.example")],
        "SRV tcp.example": [srv("a.example")],
        "SRV udp.example": [srv("b.example")],
        "A a.example": ["192.0.2.1"],
        "A b.example": ["192.0.2.2"],
    }
    assert (await locate(Zone(records))).addresses == (Address("192.0.2.1", 5060, "TCP"),)
    del records["SRV tcp.example"]
    assert (await locate(Zone(records))).addresses == (Address("192.0.2.2", 5060),)


async def test_a_domain_that_offers_only_what_is_not_spoken_here_is_not_called_otherwise() -> None:
    zone = Zone({f"NAPTR {NAME}": [naptr(1, "SIPS+D2T", "tls.example")], f"A {NAME}": ["192.0.2.1"]})
    with pytest.raises(NameUnresolved, match=r"carrier\.example offers only SIPS\+D2T"):
        await locate(zone)
    with pytest.raises(NameUnresolved, match="over TLS, which is not set up here"):
        await locate(zone, transport="TLS")


async def test_naptr_records_of_other_services_say_nothing_about_sip() -> None:
    zone = Zone({f"NAPTR {NAME}": [naptr(1, "H323+D2U", "h.example")], f"A {NAME}": ["192.0.2.1"]})
    assert (await locate(zone)).addresses == (Address("192.0.2.1", 5060),)


async def test_a_domain_that_says_it_has_no_service_is_not_called_at_its_host() -> None:
    zone = Zone({f"SRV _sip._udp.{NAME}": [srv(".")], f"A {NAME}": ["192.0.2.1"]})
    with pytest.raises(NameUnresolved, match="says that it has no SIP server"):
        await locate(zone, transport="UDP")


async def test_ipv6_hosts_are_looked_up_only_where_ipv6_is_spoken() -> None:
    zone = Zone({f"A {NAME}": ["192.0.2.1"], f"AAAA {NAME}": ["2001:db8::1"]})
    assert (await locate(zone, version=6)).addresses == (Address("2001:db8::1", 5060),)
    assert (await locate(zone)).addresses == (Address("192.0.2.1", 5060),)
    assert [key for key in zone.asked if key.startswith("A")] == [f"AAAA {NAME}", f"A {NAME}"]
    with pytest.raises(NameUnresolved, match=r"no AAAA record of carrier\.example"):
        await locate(Zone({f"A {NAME}": ["192.0.2.1"]}), version=6)


@pytest.mark.parametrize("failing", [f"NAPTR {NAME}", f"SRV _sip._tcp.{NAME}", "A b.example"])
async def test_a_part_that_cannot_be_looked_up_is_passed_over_and_asked_for_again_soon(failing: str) -> None:
    records: dict[str, list[Any]] = {
        f"SRV _sip._udp.{NAME}": [srv("a.example"), srv("b.example", priority=2)],
        "A a.example": ["192.0.2.1"],
    }
    found = await locate(Zone(records, failing=(failing,)))
    assert found.addresses == (Address("192.0.2.1", 5060),)
    assert (found.expires_at == 0.0) == (not failing.startswith("NAPTR"))


async def test_a_failure_of_all_is_a_failure_and_no_missing_record() -> None:
    for failing in ((f"SRV _sip._udp.{NAME}",), ("A a.example",)):
        zone = Zone({f"SRV _sip._udp.{NAME}": [srv("a.example")], f"A {NAME}": ["192.0.2.9"]}, failing=failing)
        with pytest.raises(NameUnresolved, match="no answer for"):
            await locate(zone, transport="UDP")


async def test_a_location_lasts_as_long_as_the_shortest_answer() -> None:
    zone = Zone({f"SRV _sip._udp.{NAME}": [srv("a.example")], "A a.example": ["192.0.2.1"]})
    assert (await locate(zone, transport="UDP")).expires_at == 1.0
