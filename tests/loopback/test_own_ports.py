"""Descriptions that name a port of the engine, or many hosts at once, are refused in every message."""

from __future__ import annotations

import re
import socket
import time
from collections.abc import AsyncIterator, Callable
from ipaddress import IPv4Interface
from typing import Literal

import pytest

from holdfast.cli.run_file import find_run_file
from holdfast.testing.server import Server
from holdfast.voice.model.effects import AnswerLeg, HangUpLeg
from holdfast.voice.model.facts import LegAnswered, LegEnded, LegRefused, LegRinging, PhoneHeld
from holdfast.voice.runtime.directory.records import RouteRecord
from holdfast.voice.runtime.interface_addresses import interface_addresses
from holdfast.voice.runtime.sip.own_ports import OwnPorts
from holdfast.voice.runtime.sip.sip_legs import SipSettings
from holdfast.voice.sip.effects import (
    Accepted,
    Address,
    EndCause,
    Ended,
    Invited,
    Refused,
    ReofferAnswered,
    ReofferRefused,
    SessionId,
)
from holdfast.voice.sip.session_commands import AcceptInvite, AcknowledgeOffer, SendReoffer, SendRinging
from tests.loopback.media_process import free_ports
from tests.loopback.test_sip_legs import CALL, FAR_SDP, FakeDirectory, LegsHarness, RemotePeer, opened

pytestmark = pytest.mark.anyio

MACHINE = tuple(IPv4Interface(text) for text in ("127.0.0.1/8", "192.0.2.2/24", "192.0.2.3/24", "10.1.2.3/31"))
PUBLIC = "203.0.113.7"
ROWS = 4


def sends_to(host: str, port: int) -> bytes:
    """Return a description of a phone that receives RTP there."""
    return FAR_SDP.replace(b"c=IN IP4 127.0.0.1", f"c=IN IP4 {host}".encode()).replace(b"40000", str(port).encode())


# --- what is ours -----------------------------------------------------------------------------------------


def ours(*, listening: str, rtp_ip: str | None = None, rows: range = range(16384, 16392)) -> OwnPorts:
    """Return the ports of an engine with SIP at 5060 and HTTP at 8080; the row at 16386 is in use."""
    return OwnPorts(
        advertised_ip=PUBLIC,
        rtp_ip=rtp_ip or listening,
        rows=rows,
        open_rows={16386},
        listening=[(listening, 5060), (listening, 8080)],
        interfaces=lambda: MACHINE,
    )


@pytest.mark.parametrize("host", ["192.0.2.2", PUBLIC, "::ffff:192.0.2.2"])
@pytest.mark.parametrize("port", [5060, 5059, 8080, 8079, 16385, 16386, 16387])
def test_own_ports_are_refused_at_the_listening_and_the_advertised_address(host: str, port: int) -> None:
    assert "of this server" in str(ours(listening="192.0.2.2").refusal(host, port))


@pytest.mark.parametrize("host", ["127.0.0.1", "127.9.9.9", "192.0.2.2", "192.0.2.3", "10.1.2.3", PUBLIC])
@pytest.mark.parametrize("port", [5060, 8080, 16386])
def test_an_engine_that_listens_everywhere_is_reached_at_every_address(host: str, port: int) -> None:
    assert "of this server" in str(ours(listening="0.0.0.0").refusal(host, port))


@pytest.mark.parametrize(
    ("host", "port"),
    [
        *((PUBLIC, port) for port in (5058, 5061, 8081, 16382, 16392)),
        *(("192.0.2.9", port) for port in (5060, 8080, 16386)),
        *(("192.0.2.3", port) for port in (5060, 16386)),
        ("10.1.2.2", 16386),
        ("2001:db8::1", 5060),
    ],
)
def test_other_ports_and_other_hosts_are_accepted(host: str, port: int) -> None:
    assert ours(listening="192.0.2.2").refusal(host, port) is None


@pytest.mark.parametrize(
    "host", ["255.255.255.255", "192.0.2.255", "192.0.2.0", "127.255.255.255", "224.0.0.1", "239.255.255.250"]
)
def test_broadcast_and_multicast_are_refused(host: str) -> None:
    assert "is many hosts" in str(ours(listening="127.0.0.1").refusal(host, 4000))


def test_the_port_of_a_closed_row_is_refused_unless_a_local_program_has_it() -> None:
    base = free_ports(ROWS)
    made = ours(listening="127.0.0.1", rows=range(base, base + 2 * ROWS))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as softphone:
        softphone.bind(("127.0.0.1", base + 2))
        assert made.refusal("127.0.0.1", base + 2) is None
        assert made.refusal(PUBLIC, base + 2) is not None
        assert made.refusal("127.0.0.1", base + 4) is not None
    assert made.refusal("127.0.0.1", base + 2) is not None


@pytest.mark.parametrize("host", ["127.0.0.1", PUBLIC])
@pytest.mark.parametrize("row", range(ROWS))
def test_a_port_just_below_a_closed_row_is_refused_because_its_rtcp_reaches_that_row(host: str, row: int) -> None:
    base = free_ports(ROWS)
    made = ours(listening="127.0.0.1", rows=range(base, base + 2 * ROWS))
    below = base + 2 * row - 1
    assert f"port {below} is a port of this server" in str(made.refusal(host, below))


def test_a_program_just_below_a_closed_row_is_reached_once_the_port_of_the_row_has_a_program_too() -> None:
    base = free_ports(ROWS)
    made = ours(listening="127.0.0.1", rows=range(base, base + 2 * ROWS))
    with (
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as rtp,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as rtcp,
    ):
        rtp.bind(("127.0.0.1", base + 1))
        assert made.refusal("127.0.0.1", base + 1) is not None
        rtcp.bind(("127.0.0.1", base + 2))
        assert made.refusal("127.0.0.1", base + 1) is None


def test_the_kernel_lists_the_addresses_of_this_machine() -> None:
    told = interface_addresses()
    assert IPv4Interface("127.0.0.1/8") in told
    for address in told:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as here:
            here.bind((str(address.ip), 0))


# --- whatever message brings it -----------------------------------------------------------------------------


@pytest.fixture
async def bench() -> AsyncIterator[LegsHarness]:
    async with opened(SipSettings(address=("127.0.0.1", 0), trust_loopback=True)) as made:
        yield made


def sip_port(bench: LegsHarness) -> bytes:
    return sends_to("127.0.0.1", bench.legs.address.port)


def row_of_another_call(bench: LegsHarness) -> bytes:
    """The row of a call that rings somewhere."""
    return sends_to("127.0.0.1", bench.rows.bound[CALL].getsockname()[1])


def limited_broadcast(bench: LegsHarness) -> bytes:
    return sends_to("255.255.255.255", 4000)


def loopback_broadcast(bench: LegsHarness) -> bytes:
    return sends_to("127.255.255.255", 4000)


def trusting() -> FakeDirectory:
    """Return a directory of a trunk on loopback, whose calls come in wherever we listen."""
    return FakeDirectory(routes=(RouteRecord(prefix="+999", host="127.0.0.1", port=9, sources=("127.0.0.1/32",)),))


UNUSABLE = [sip_port, row_of_another_call, limited_broadcast, loopback_broadcast]
Describes = Callable[[LegsHarness], bytes]


async def rings_somewhere(bench: LegsHarness, far: RemotePeer) -> None:
    """A call out has a row, and is not answered."""
    bench.place(f"sip:far@{far.sip.address.host}:{far.sip.address.port}")
    await far.event(Invited)


@pytest.mark.parametrize("listening", ["127.0.0.1", "0.0.0.0"])
@pytest.mark.parametrize("describes", UNUSABLE)
async def test_a_call_in_that_names_a_port_of_ours_is_refused(listening: str, describes: Describes) -> None:
    settings = SipSettings(address=(listening, 0), rtp_ip="127.0.0.1", advertised_ip="127.0.0.1")
    async with opened(settings, trusting()) as bench, RemotePeer() as other, RemotePeer() as far:
        await rings_somewhere(bench, other)
        far.call(Address("127.0.0.1", bench.legs.address.port), describes(bench))
        assert (await far.event(Refused)).status == 488
        assert list(bench.rows.bound) == [CALL]
        bench.legs.carry_out(HangUpLeg(call=CALL))
    assert bench.facts == []


REFUSED_CALLS = 40


async def test_a_call_that_is_refused_for_its_description_takes_no_row(bench: LegsHarness) -> None:
    unusable = (sip_port(bench), limited_broadcast(bench), FAR_SDP.replace(b"RTP/AVP 8", b"RTP/AVP 3"))
    async with RemotePeer() as far:
        for number in range(REFUSED_CALLS):
            sdp = unusable[number % len(unusable)]
            target = f"sip:+15550123@127.0.0.1:{bench.legs.address.port}"
            session = SessionId(f"far{number}")
            far.sip.carry_out(far.sip.agent.invite(session, target, now=time.time(), sdp=sdp, caller="far"))
            assert (await far.event(Refused)).status == 488
    assert bench.rows.opened == 0
    assert bench.rows.requests == []


async def test_a_server_with_two_rows_still_takes_a_call_after_many_that_name_a_port_of_it() -> None:
    settings: dict[str, str | int] = {"default_voice_url": "http://127.0.0.1:9/voice", "rtp_rows": 2}
    async with Server(settings=settings) as server, RemotePeer() as far:
        target = f"sip:+15550123@{server.sip[0]}:{server.sip[1]}"
        for number in range(REFUSED_CALLS):
            session, sdp = SessionId(f"far{number}"), sends_to("127.0.0.1", server.sip[1])
            far.sip.carry_out(far.sip.agent.invite(session, target, now=time.time(), sdp=sdp, caller="far"))
            assert (await far.event(Refused)).status == 488
        far.sip.carry_out(far.sip.agent.invite(SessionId("good"), target, now=time.time(), sdp=FAR_SDP, caller="far"))
        await far.event(Accepted)  # No voice URL answers, which the caller hears: a row was free.


@pytest.mark.parametrize("method", ["INVITE", "UPDATE"])
@pytest.mark.parametrize("describes", UNUSABLE)
async def test_a_change_that_names_a_port_of_ours_is_refused_and_the_call_goes_on(
    bench: LegsHarness, describes: Describes, method: Literal["INVITE", "UPDATE"]
) -> None:
    async with RemotePeer() as other, RemotePeer() as far:
        await rings_somewhere(bench, other)
        session = far.call(bench.legs.address, FAR_SDP)
        came = await bench.received()
        bench.legs.carry_out(AnswerLeg(call=came.call))
        await far.event(Accepted)
        far.sip.command(session, SendReoffer(sdp=describes(bench), method=method))
        assert (await far.event(ReofferRefused)).status == 488
        assert bench.rows.remotes == {came.call: ("127.0.0.1", 40000)}
        # The hold of old, which names no host, is one still.
        far.sip.command(session, SendReoffer(sdp=sends_to("0.0.0.0", 40000)))
        await far.event(ReofferAnswered)
        assert await bench.fact(PhoneHeld) == PhoneHeld(call=came.call)
        bench.legs.carry_out(HangUpLeg(call=CALL))


@pytest.mark.parametrize("describes", UNUSABLE)
async def test_an_answer_in_an_ack_that_names_a_port_of_ours_ends_the_call(
    bench: LegsHarness, describes: Describes
) -> None:
    async with RemotePeer() as other, RemotePeer() as far:
        await rings_somewhere(bench, other)
        session = far.call(bench.legs.address, None)
        came = await bench.received()
        bench.legs.carry_out(AnswerLeg(call=came.call))
        await far.event(Accepted)
        far.sip.command(session, AcknowledgeOffer(sdp=describes(bench)))
        assert await bench.fact(LegEnded) == LegEnded(call=came.call, cause="lost", sip_code=488)
        assert (await far.event(Ended)).cause is EndCause.HUNG_UP
        assert bench.rows.remotes == {}
        bench.legs.carry_out(HangUpLeg(call=CALL))


@pytest.mark.parametrize("describes", UNUSABLE)
async def test_a_called_phone_that_names_a_port_of_ours_is_acknowledged_and_hung_up_on(
    bench: LegsHarness, describes: Describes
) -> None:
    async with RemotePeer() as far:
        bench.place(f"sip:far@{far.sip.address.host}:{far.sip.address.port}")
        invited = await far.event(Invited)
        wrong = describes(bench)
        far.sip.command(invited.session, SendRinging(status=183, sdp=wrong))
        assert await bench.fact(LegRinging) == LegRinging(call=CALL, early_media=False)
        far.sip.command(invited.session, AcceptInvite(sdp=wrong))
        refused = await bench.fact(LegRefused)
        assert isinstance(refused, LegRefused)
        assert refused.sip_code == 488
        assert (await far.event(Ended)).cause is EndCause.HUNG_UP  # which needs our ACK before our BYE
    assert bench.rows.remotes == {}
    assert not any(isinstance(fact, LegAnswered) for fact in bench.facts)


async def test_a_server_knows_its_own_ports() -> None:
    async with Server(settings={"default_voice_url": "http://127.0.0.1:9/voice"}) as server, RemotePeer() as far:
        running = find_run_file(server.store)
        assert running is not None
        found = re.search(r"(\d+)-(\d+)", running.rtp)
        assert found is not None
        for number, port in enumerate((server.sip[1], server.http[1], int(found[1]) - 1, int(found[1]), int(found[2]))):
            target = f"sip:+15550123@{server.sip[0]}:{server.sip[1]}"
            session, sdp = SessionId(f"far{number}"), sends_to("127.0.0.1", port)
            far.sip.carry_out(far.sip.agent.invite(session, target, now=time.time(), sdp=sdp, caller="far"))
            refused = await far.event(Refused)
            assert refused.status == 488
            assert f"port {port} is a port of this server" in dict(refused.headers)["Warning"]
