"""From which host each leg's sound is believed beside the address that it names: what the media plane is told."""

from __future__ import annotations

import socket
import time
from collections.abc import AsyncIterator
from contextlib import closing
from dataclasses import dataclass, replace

import pytest

from holdfast.testing.phone import Phone
from holdfast.voice.model.effects import AnswerLeg, HangUpLeg
from holdfast.voice.model.facts import LegAnswered
from holdfast.voice.runtime.directory.records import LineRecord, RouteRecord
from holdfast.voice.runtime.sip.sip_legs import SipSettings
from holdfast.voice.sip.effects import Address
from holdfast.voice.sip.registrar.registrar import Binding
from tests.loopback.test_sip_legs import CALL, FakeDirectory, LegsHarness, opened

pytestmark = pytest.mark.anyio

OURS, PHONE, TRUNK, PROXY = "127.0.0.1", "127.0.0.5", "127.0.0.2", "127.0.0.6"


@dataclass(slots=True)
class Lines(FakeDirectory):
    """A directory whose line bob is believed wherever his sound comes from."""

    def line(self, name: str) -> LineRecord | None:
        found = FakeDirectory.line(self, name)
        return found if found is None or name != "bob" else replace(found, rtp_source="any")


@pytest.fixture
async def bench() -> AsyncIterator[LegsHarness]:
    settings = SipSettings(address=(OURS, 0), trust_loopback=True, trusted_proxies=(f"{PROXY}/32",))
    async with opened(settings, Lines()) as made:
        yield made


async def answered(bench: LegsHarness) -> None:
    """Answer the call in."""
    bench.legs.carry_out(AnswerLeg(call=(await bench.received()).call))
    await bench.until(lambda: bool(bench.rows.sources))


@pytest.mark.parametrize(
    ("name", "password", "rule"), [("alice", "secret-a", "signalling"), ("bob", "secret-b", "any")]
)
async def test_rtp_of_a_caller_is_accepted_from_where_its_invite_comes_from(
    name: str, password: str, rule: str
) -> None:
    async with (
        opened(SipSettings(address=(OURS, 0), trust_loopback=False), Lines()) as bench,
        Phone(name, server=bench.legs.address, host=PHONE, password=password) as phone,
    ):
        await phone.register()
        call = await phone.call("+15550100")
        await answered(bench)
        await call.answered()
        await call.hold()
        assert set(bench.rows.sources) == {(PHONE, rule)}
        assert len(bench.rows.sources) > 1, "a change of the call says it again"
        await call.hang_up()


@pytest.mark.parametrize("rule", [None, "named"])
async def test_rtp_of_a_call_by_a_trunk_is_accepted_from_where_its_answer_comes_from(
    bench: LegsHarness, rule: str | None
) -> None:
    async with Phone("trunk", host=TRUNK) as far:
        bench.book.routes = (
            RouteRecord(prefix="+44", host=TRUNK, port=far.address.port, rtp_source="named" if rule else None),
        )
        bench.place("+442079460000")
        await bench.fact(LegAnswered)
        assert set(bench.rows.sources) == {(TRUNK, rule or "signalling")}
        bench.legs.carry_out(HangUpLeg(call=CALL))


async def test_rtp_of_a_trunks_call_is_accepted_as_its_route_says(bench: LegsHarness) -> None:
    bench.book.routes = (RouteRecord(prefix="+44", host=TRUNK, port=5060, sources=(f"{TRUNK}/32",), rtp_source="any"),)
    async with Phone("trunk", server=bench.legs.address, host=TRUNK) as far:
        call = await far.call("+15550100")
        await answered(bench)
        await call.answered()
        assert set(bench.rows.sources) == {(TRUNK, "any")}
        await call.hang_up()


async def test_rtp_of_a_called_line_is_accepted_from_where_its_answer_comes_from(bench: LegsHarness) -> None:
    async with Phone("bob", server=bench.legs.address, host=PHONE, password="secret-b") as bob:
        await bob.register()
        bench.place("client:bob")
        await bench.fact(LegAnswered)
        assert set(bench.rows.sources) == {(PHONE, "any")}
        bench.legs.carry_out(HangUpLeg(call=CALL))


async def test_rtp_of_a_called_line_behind_a_proxy_is_accepted_from_where_it_registered(bench: LegsHarness) -> None:
    """All that comes from the proxy's host, the answer too; of the phone the REGISTER alone said where it is."""
    async with Phone("alice", server=bench.legs.address, host=PROXY) as alice:
        now = time.time()
        contact = Binding(
            uri=alice.uri,
            to=alice.address,
            registered_at=now,
            expires_at=now + 100,
            call_id="one",
            cseq=1,
            preference=1.0,
            instance=None,
            behind=PHONE,
        )
        bench.legs._context.agent.contacts.restore("alice", {("alice", ""): contact}, now)
        bench.place("client:alice")
        await bench.fact(LegAnswered)
        assert set(bench.rows.sources) == {(PHONE, "signalling")}
        bench.legs.carry_out(HangUpLeg(call=CALL))


async def test_a_loopback_call_accepts_rtp_from_its_own_row_alone(bench: LegsHarness) -> None:
    bench.place("+15560100")
    await answered(bench)
    await bench.fact(LegAnswered)
    assert {rule for _, rule in bench.rows.sources} == {"named"}
    assert len(bench.rows.sources) == 2
    bench.legs.carry_out(HangUpLeg(call=CALL))


@pytest.mark.parametrize(("host", "expected"), [(PROXY, PHONE), (TRUNK, TRUNK)], ids=["trusted", "not trusted"])
async def test_only_a_trusted_proxy_may_name_the_host_it_forwards_for(
    bench: LegsHarness, host: str, expected: str
) -> None:
    """Of several Via that of who sent to the last trusted proxy counts."""
    below = f"Via: SIP/2.0/UDP 10.0.0.9;received={PHONE};branch=z9hG4bKb\r\nVia: SIP/2.0/UDP 127.0.0.7;branch=z9hG4bKc"
    with closing(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as sock:
        sock.bind((host, 0))
        sock.sendto(invite(host, sock.getsockname()[1], below, bench.legs.address), bench.legs.address[:2])
        await answered(bench)
        assert bench.rows.sources == [(expected, "signalling")]
        bench.legs.carry_out(HangUpLeg(call=(await bench.received()).call))


def invite(host: str, port: int, below: str, to: Address) -> bytes:
    sdp = f"v=0\r\no=- 1 1 IN IP4 {host}\r\ns=-\r\nc=IN IP4 {host}\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0\r\n"
    return "\r\n".join(
        [
            f"INVITE sip:+15550100@{to.host} SIP/2.0",
            f"Via: SIP/2.0/UDP {host}:{port};branch=z9hG4bK{host}",
            below,
            "Max-Forwards: 70",
            f"From: <sip:raw@{host}>;tag=one",
            f"To: <sip:+15550100@{to.host}>",
            f"Call-ID: {host}",
            "CSeq: 1 INVITE",
            f"Contact: <sip:raw@{host}:{port}>",
            "Content-Type: application/sdp",
            f"Content-Length: {len(sdp)}",
            "",
            sdp,
        ]
    ).encode()
