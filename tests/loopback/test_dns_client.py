"""The DNS client at a server of our own: records, how long answers count, and servers that fail."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest

from holdfast.voice.runtime.sip.names import dns_client
from holdfast.voice.runtime.sip.names.dns_client import RETRY_S, STALE_S, DnsClient, NameUnresolved
from holdfast.voice.sip.server_location import NaptrRecord, SrvRecord
from tests.loopback.dns_server import NEGATIVE_TTL_S, DnsServer, dns_server

pytestmark = pytest.mark.anyio

HOST = "gw.carrier.example"


@dataclass(slots=True)
class Time:
    now: float = 1000.0


@pytest.fixture
async def dns() -> AsyncIterator[DnsServer]:
    async with dns_server() as server:
        yield server


@pytest.fixture
def time() -> Time:
    return Time()


@pytest.fixture
async def client(dns: DnsServer, time: Time) -> AsyncIterator[DnsClient]:
    async with asyncio.TaskGroup() as tasks:
        yield DnsClient(tasks, now=lambda: time.now, nameservers=[dns.address])


async def test_records_are_read_as_they_are_written(dns: DnsServer, client: DnsClient) -> None:
    dns.put(HOST, "NAPTR", '10 20 "s" "SIP+D2U" "" _sip._udp.carrier.example.', '1 2 "u" "E2U+sip" "!^.*$!sip:a@b!" .')
    dns.put(HOST, "SRV", "1 2 5070 gw.carrier.example.", "3 0 5060 .")
    dns.put(HOST, "AAAA", "2001:db8::1")
    assert set((await client.naptr(HOST)).records) == {
        NaptrRecord(order=10, preference=20, flags="s", service="SIP+D2U", replacement="_sip._udp.carrier.example"),
        NaptrRecord(order=1, preference=2, flags="u", service="E2U+sip", replacement="."),
    }
    assert set((await client.srv(HOST)).records) == {
        SrvRecord(priority=1, weight=2, port=5070, target=HOST),
        SrvRecord(priority=3, weight=0, port=5060, target="."),
    }
    assert (await client.addresses(HOST, 6)).records == ("2001:db8::1",)
    assert (await client.addresses(HOST, 4)).records == ()


async def test_an_answer_counts_as_long_as_its_ttl_says(dns: DnsServer, client: DnsClient, time: Time) -> None:
    dns.put("alias.example", "CNAME", f"{HOST}.", ttl_s=20)
    dns.put(HOST, "A", "192.0.2.1", ttl_s=300)
    answer = await client.addresses("alias.example", 4)
    assert (answer.records, answer.expires_at) == (("192.0.2.1",), time.now + 20)
    dns.put(HOST, "A", "192.0.2.2", ttl_s=300)
    time.now += 19
    assert await client.addresses("ALIAS.example.", 4) == answer
    assert dns.queries["alias.example", "A"] == 1
    time.now += 1
    assert (await client.addresses("alias.example", 4)).records == ("192.0.2.2",)


@pytest.mark.parametrize("name_exists", [True, False])
async def test_that_there_is_no_record_counts_as_long_as_the_domain_says(
    dns: DnsServer, client: DnsClient, time: Time, name_exists: bool
) -> None:
    if name_exists:
        dns.put(HOST, "A", "192.0.2.1")
    answer = await client.srv(HOST)
    assert (answer.records, answer.expires_at) == ((), time.now + NEGATIVE_TTL_S)
    dns.put(HOST, "SRV", "1 0 5060 gw.carrier.example.")
    time.now += NEGATIVE_TTL_S - 1
    assert (await client.srv(HOST)).records == ()
    time.now += 1
    assert len((await client.srv(HOST)).records) == 1
    assert dns.queries[HOST, "SRV"] == 2


async def test_the_last_answer_counts_for_a_day_while_the_name_servers_fail(
    dns: DnsServer, client: DnsClient, time: Time
) -> None:
    dns.put(HOST, "A", "192.0.2.1", ttl_s=10)
    await client.addresses(HOST, 4)
    dns.failing.add("A")
    time.now += 10
    stale = await client.addresses(HOST, 4)
    assert (stale.records, stale.expires_at) == (("192.0.2.1",), time.now + RETRY_S)
    asked = dns.queries[HOST, "A"]
    time.now += RETRY_S - 1
    assert (await client.addresses(HOST, 4)).records == ("192.0.2.1",)
    assert dns.queries[HOST, "A"] == asked, "the name servers are left alone for a while"
    time.now += STALE_S
    with pytest.raises(NameUnresolved, match=f"look-up of A {HOST} failed"):
        await client.addresses(HOST, 4)
    with pytest.raises(NameUnresolved):
        await client.addresses(HOST, 4)
    dns.failing.clear()
    time.now += RETRY_S
    assert (await client.addresses(HOST, 4)).expires_at == time.now + 10


async def test_name_servers_that_are_silent_are_given_up(
    dns: DnsServer, client: DnsClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dns_client, "LOOKUP_S", 0.2)
    dns.silent = True
    with pytest.raises(NameUnresolved, match="failed"):
        await client.addresses(HOST, 4)


async def test_the_next_name_server_is_asked(dns: DnsServer, time: Time) -> None:
    dns.put(HOST, "A", "192.0.2.1")
    async with dns_server() as failing, asyncio.TaskGroup() as tasks:
        failing.failing.add("A")
        client = DnsClient(tasks, now=lambda: time.now, nameservers=[failing.address, dns.address])
        assert (await client.addresses(HOST, 4)).records == ("192.0.2.1",)


async def test_look_ups_at_the_same_time_are_one(dns: DnsServer, client: DnsClient) -> None:
    dns.put(HOST, "A", "192.0.2.1")
    answers = await asyncio.gather(*(client.addresses(HOST, 4) for _ in range(10)))
    assert len(set(answers)) == 1
    assert dns.queries[HOST, "A"] == 1


async def test_a_caller_that_hangs_up_does_not_end_the_look_up_of_another(dns: DnsServer, client: DnsClient) -> None:
    dns.put(HOST, "A", "192.0.2.1")
    first, second = (asyncio.create_task(client.addresses(HOST, 4)) for _ in range(2))
    await asyncio.sleep(0)
    first.cancel()
    assert (await second).records == ("192.0.2.1",)


@pytest.mark.parametrize("name", ["a..b", "x" * 64 + ".example", "\udce9.example"])
async def test_a_name_that_dns_cannot_hold_is_unresolved(client: DnsClient, name: str) -> None:
    with pytest.raises(NameUnresolved):
        await client.addresses(name, 4)


async def test_only_so_many_answers_are_kept(
    dns: DnsServer, client: DnsClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dns_client, "MAX_ANSWERS", 2)
    for name in ("a.example", "b.example", "c.example", "a.example"):
        await client.addresses(name, 4)
    assert dns.queries["a.example", "A"] == 2
    assert len(client._answers) == 2
