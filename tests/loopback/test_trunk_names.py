"""Trunks by name over real sockets: a DNS server of our own says where a name leads, and calls go there."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest

from holdfast.cli.doctor.checks import Finding, Severity, check_trunks
from holdfast.testing.calls import CallFailed
from holdfast.testing.phone import Phone, Refuses
from holdfast.testing.server import Server, Value
from holdfast.voice.model.effects import HangUpLeg
from holdfast.voice.model.facts import LegAnswered, LegRefused
from holdfast.voice.model.ids import CallSid
from holdfast.voice.model.ports import SipMessageTrace
from holdfast.voice.runtime.directory.records import RouteRecord
from holdfast.voice.runtime.sip.config.tls import TlsFiles, load_tls
from holdfast.voice.runtime.sip.names import dns_client
from holdfast.voice.runtime.sip.sip_legs import SipSettings
from holdfast.voice.sip.effects import Transport
from tests.loopback.dns_server import DnsServer, dns_server
from tests.loopback.shared_server import client
from tests.loopback.test_sip_legs import CALL, LegsHarness, opened
from tests.loopback.test_trunks import LOCALHOST, OURS, Carrier, carrier, trunk, until

__all__ = ["carrier"]
pytestmark = pytest.mark.anyio

NAME = "carrier.example"
NUMBER = "+442079460000"
AGAIN = CallSid("CA" + "2" * 32)
"""A second call."""
BY_NAME = RouteRecord(prefix="+44", host=NAME, transport=None)


@pytest.fixture
async def dns() -> AsyncIterator[DnsServer]:
    async with dns_server() as server:
        yield server


@asynccontextmanager
async def legs(dns: DnsServer, *routes: RouteRecord, allow: str = "127.0.0.0/8") -> AsyncIterator[LegsHarness]:
    """Open SIP legs that look names up at this server."""
    settings = SipSettings(
        address=(OURS, 0),
        nameservers=(dns.address,),
        trunk_allow=(allow,) if allow else (),
        trunk_timeout_s=0.2,
    )
    async with opened(settings) as made:
        made.book.routes = routes
        made.legs.follow_trunks()
        yield made


def srv(*servers: tuple[int, int, Phone]) -> list[str]:
    """Return SRV records of phones, each at a host of its own name."""
    return [f"{priority} {weight} {phone.address.port} {phone.name}.example." for priority, weight, phone in servers]


async def answered(made: LegsHarness, call: CallSid = CALL) -> None:
    await made.fact(LegAnswered)
    made.legs.carry_out(HangUpLeg(call=call))


async def refused(made: LegsHarness) -> LegRefused:
    fact = await made.fact(LegRefused)
    assert isinstance(fact, LegRefused)
    return fact


async def test_a_call_leaves_by_the_services_and_servers_that_dns_names(dns: DnsServer) -> None:
    async with Phone("one", host="127.0.0.2", transport="TCP") as one:
        dns.put(NAME, "NAPTR", '10 20 "s" "SIP+D2U" "" udp.example.', '10 10 "S" "SIP+D2T" "" tcp.example.')
        dns.put("tcp.example", "SRV", *srv((1, 0, one)))
        dns.put("one.example", "CNAME", "other.example.")
        dns.put("other.example", "A", "127.0.0.2")
        async with legs(dns, BY_NAME) as made:
            made.place(NUMBER)
            await made.fact(LegAnswered)
            assert len(one.calls) == 1
            sent = [trace.summary for trace in made.traces if isinstance(trace, SipMessageTrace)]
            assert any(summary.startswith(f"INVITE sip:{NUMBER}@{NAME}") for summary in sent), sent
            made.legs.carry_out(HangUpLeg(call=CALL))
    assert ("other.example", "AAAA") not in dns.queries


@pytest.mark.parametrize("fault", ["silent", "refuses", "absent"])
async def test_the_next_server_of_a_name_is_tried_within_the_call(dns: DnsServer, fault: str) -> None:
    """The second priority is used when the first is silent, has no service or refuses connections."""
    kind: Transport = "TCP" if fault == "absent" else "UDP"
    async with (
        Phone("one", host="127.0.0.2", manner=Refuses(status=503)) as one,
        Phone("two", host="127.0.0.3", transport=kind) as two,
        Phone("three", host="127.0.0.4", transport=kind) as three,
    ):
        dns.put(f"_sip._{kind.lower()}.{NAME}", "SRV", *srv((1, 9, one), (3, 0, three), (2, 0, two)))
        for host, address in (("one", "127.0.0.2"), ("two", "127.0.0.3"), ("three", "127.0.0.4")):
            dns.put(f"{host}.example", "A", "127.0.0.9" if fault == "silent" and host == "one" else address)
        async with legs(dns, replace(BY_NAME, transport=kind)) as made:
            made.place(NUMBER)
            await answered(made)
        assert (len(two.calls), len(three.calls)) == (1, 0)


async def test_every_address_of_a_host_and_then_the_backup_are_tried(carrier: Carrier, dns: DnsServer) -> None:
    port = carrier.sip.address.port
    dns.put(NAME, "A", "127.0.0.41", "127.0.0.42")
    dns.put("second.example", "A", carrier.sip.address.host)
    backup = replace(trunk(carrier), host="second.example")
    async with legs(dns, replace(BY_NAME, port=port, backup=backup)) as made:
        made.place(NUMBER)
        await made.fact(LegAnswered)
        assert (await carrier.called()).user == "acme"
        messages = [trace for trace in made.traces if isinstance(trace, SipMessageTrace)]
        sent = {message.peer for message in messages if message.summary.startswith("INVITE ")}
        assert {f"127.0.0.41:{port}", f"127.0.0.42:{port}"} <= sent
        made.legs.carry_out(HangUpLeg(call=CALL))


async def test_a_call_waits_for_no_name_of_a_backup(
    carrier: Carrier, dns: DnsServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The name servers fall silent after the first look-up, for longer than the call would wait."""
    monkeypatch.setattr(dns_client, "LOOKUP_S", 60.0)
    dns.put(NAME, "A", "127.0.0.41", ttl_s=0)
    async with legs(dns, replace(trunk(carrier), backup=BY_NAME)) as made:
        await until(lambda: made.legs.trunk_location(BY_NAME) is not None)
        dns.silent = True
        made.place(NUMBER)
        await answered(made)


@pytest.mark.parametrize("to", ["sip:+442079460000@127.0.0.2:{port}", "client:alice"])
async def test_a_target_that_is_no_number_is_looked_up_nowhere(
    dns: DnsServer, to: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dns_client, "LOOKUP_S", 60.0)
    dns.silent = True
    async with Phone("one", host="127.0.0.2") as one, legs(dns, BY_NAME) as made:
        made.place(to.format(port=one.address.port))
        if to.startswith("sip:"):
            await answered(made)
        else:
            assert (await refused(made)).code == 32009


@pytest.mark.parametrize(("allow", "reachable"), [("", False), ("pbx.lan", False), (NAME, True)])
async def test_a_name_never_leads_to_a_private_address_that_is_not_allowed(
    dns: DnsServer, allow: str, reachable: bool
) -> None:
    async with Phone("one", host="127.0.0.2") as one:
        dns.put(NAME, "A", "127.0.0.2")
        async with legs(dns, replace(BY_NAME, port=one.address.port), allow=allow) as made:
            made.place(NUMBER)
            if reachable:
                await answered(made)
            else:
                fact = await refused(made)
                assert (fact.sip_code, fact.code) == (503, 0)
                assert "carrier.example is at 127.0.0.2, which is this machine; the setting trunk_allow" in fact.reason
        assert len(one.calls) == int(reachable)


async def test_of_several_addresses_only_those_that_are_allowed_are_used(dns: DnsServer) -> None:
    dns.put(NAME, "A", "127.0.0.2", "10.0.0.1", "192.168.1.1")
    async with legs(dns, BY_NAME, allow="10.0.0.0/8") as made:
        await until(lambda: made.legs.trunk_location(BY_NAME) is not None)
        located = made.legs.trunk_location(BY_NAME)
        assert located is not None
        assert [address.host for address in located.addresses] == ["10.0.0.1"]
        assert "trunk_allow" in located.problem
        assert made.legs._directory.trusts("10.0.0.1")
        assert not made.legs._directory.trusts("127.0.0.2")


async def test_a_name_without_an_address_fails_the_call_and_says_why(dns: DnsServer) -> None:
    async with legs(dns, BY_NAME) as made:
        made.place(NUMBER)
        fact = await refused(made)
        assert (fact.sip_code, fact.reason) == (503, "there is no A record of carrier.example")
        asked = dns.queries[NAME, "A"]
        made.facts.clear()
        made.place(NUMBER, AGAIN)
        await refused(made)
        assert dns.queries[NAME, "A"] == asked, "that there is no record is remembered"


async def test_a_name_server_that_fails_fails_the_call_and_not_those_that_it_answered_before(dns: DnsServer) -> None:
    async with Phone("one", host="127.0.0.2") as one:
        dns.put(NAME, "A", "127.0.0.2", ttl_s=0)
        async with legs(dns, replace(BY_NAME, port=one.address.port)) as made:
            made.place(NUMBER)
            await answered(made)
            made.facts.clear()
            dns.failing.add("A")
            made.place(NUMBER, AGAIN)
            await answered(made, AGAIN)
    async with legs(dns, BY_NAME) as made:
        made.place(NUMBER)
        assert (await refused(made)).sip_code == 503


async def test_a_long_answer_is_fetched_over_tcp(dns: DnsServer) -> None:
    async with Phone("one", host="127.0.0.2") as one:
        dns.put(NAME, "A", "127.0.0.2")
        dns.truncated = True
        async with legs(dns, replace(BY_NAME, port=one.address.port)) as made:
            made.place(NUMBER)
            await answered(made)
    assert dns.over_tcp > 0


async def test_the_sources_of_a_trunk_follow_its_name(dns: DnsServer) -> None:
    dns.put(NAME, "A", "127.0.0.8", ttl_s=1)
    book = replace(BY_NAME, port=5060)
    settings = SipSettings(
        address=(OURS, 0), nameservers=(dns.address,), trunk_allow=("127.0.0.0/8",), trust_loopback=False
    )
    async with opened(settings) as made:
        made.book.routes = (book,)
        made.legs.follow_trunks()
        await until(lambda: made.legs.trunk_location(book) is not None)
        async with Phone("carrier", server=made.legs.address, host="127.0.0.7") as moved:
            with pytest.raises(CallFailed, match="401"):
                await (await moved.call("+15550123")).answered()
            dns.put(NAME, "A", "127.0.0.7", ttl_s=1)
            await asyncio.sleep(1)  # as long as the old answer counts
            made.legs.follow_trunks()
            found = made.legs.trunk_location
            await until(lambda: "127.0.0.7" in str(found(book)))
            call = await moved.call("+15550123")
            await made.received()
            await call.hang_up()
        async with Phone("old", server=made.legs.address, host="127.0.0.8") as old:
            with pytest.raises(CallFailed, match="401"):
                await (await old.call("+15550123")).answered()


async def test_we_register_with_a_named_trunk_at_its_domain_and_go_where_it_moves(
    carrier: Carrier, dns: DnsServer
) -> None:
    host, port, _ = carrier.sip.address
    gone = "127.0.0.44"
    dns.put(f"_sip._tcp.{NAME}", "SRV", f"1 0 {port} gone.example.", f"2 0 {port} one.example.")
    dns.put("gone.example", "A", gone)
    dns.put("one.example", "A", host)
    wanted = replace(trunk(carrier, "TCP"), host=NAME, port=None, register=True, sources=())
    async with legs(dns, wanted) as made:
        await until(lambda: bool(carrier.contacts()))
        await until(lambda: made.trunk_state(wanted) == "registered")
        status = made.legs.trunk_status(wanted)
        assert status is not None
        assert status.label == "acme@carrier.example"
        made.book.routes = ()
        made.legs.follow_trunks()
        await until(lambda: not carrier.contacts())


async def test_the_certificate_of_a_trunk_must_have_the_name_that_the_operator_gave(dns: DnsServer) -> None:
    """The certificate is for localhost: not for the host that DNS named, whatever that host is called."""
    tls = load_tls(TlsFiles(certificate=LOCALHOST, authorities=LOCALHOST))
    async with Phone("one", transport="TLS", certificate=LOCALHOST, host="127.0.0.2") as one:
        for name in ("trunk.localhost", "localhost"):
            dns.put(f"_sips._tcp.{name}", "SRV", *srv((1, 0, one)))
        dns.put("one.example", "A", "127.0.0.2")
        settings = SipSettings(
            address=(OURS, 0), tls=tls, tls_port=0, nameservers=(dns.address,), trunk_allow=("127.0.0.0/8",)
        )
        async with opened(settings) as made:
            made.book.routes = (replace(BY_NAME, host="trunk.localhost"),)
            made.place(NUMBER)
            assert (await refused(made)).sip_code == 503
            assert one.calls == []
            made.facts.clear()
            made.book.routes = (replace(BY_NAME, host="localhost"),)
            made.place(NUMBER, AGAIN)
            await answered(made, AGAIN)
            assert len(one.calls) == 1


async def test_a_server_calls_by_a_name_and_says_where_it_leads(dns: DnsServer) -> None:
    """By the settings of a server process: the call, the doctor, and the reason of a call that failed."""
    host, port = dns.address
    settings: dict[str, Value] = {"nameservers": [f"{host}:{port}"], "trunk_allow": ["127.0.0.2"]}
    async with Phone("one", host="127.0.0.2") as one:
        dns.put(f"_sip._udp.{NAME}", "SRV", *srv((1, 0, one)))
        dns.put("one.example", "A", "127.0.0.2")
        dns.put("lan.example", "A", "127.0.0.3")
        routes = {"+44": {"host": NAME}, "+33": {"host": "lan.example"}}
        async with Server(routes=routes, numbers={"+15550100": None}, settings=settings) as server:
            ask, shown = client(server), list[Finding]()
            async with asyncio.timeout(10):
                while len(shown) < 2:
                    shown = list(check_trunks((await asyncio.to_thread(ask.get, "/engine/routes"))["routes"]))
            assert [finding.severity for finding in shown] == [Severity.BROKEN, Severity.OK]
            assert "lan.example is at 127.0.0.3, which is this machine; the setting trunk_allow" in shown[0].message
            assert shown[1].message == f"trunk {NAME} leads to 127.0.0.2:{one.address.port} by UDP"
            calls = server.sdk().calls
            made = await asyncio.to_thread(calls.create, to=NUMBER, from_="+15550100", twiml="<Response/>")
            await one.called()
            failed = await asyncio.to_thread(calls.create, to="+33170000000", from_="+15550100", twiml="<Response/>")
            for sid, status in ((str(made.sid), "completed"), (str(failed.sid), "failed")):
                async with asyncio.timeout(10):
                    while (await asyncio.to_thread(calls(sid).fetch)).status != status:  # noqa: ASYNC110
                        await asyncio.sleep(0.05)
            explained = await asyncio.to_thread(ask.get, f"/engine/explain/{failed.sid}")
            assert "trunk_allow" in str(explained)
