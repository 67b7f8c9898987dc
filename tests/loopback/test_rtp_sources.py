"""Whose sound is believed: phones behind routers and proxies, and strangers who send to the ports of calls that begin.

Addresses of 127.0.0.0/8 stand for hosts.
"""

from __future__ import annotations

import asyncio
import base64
import socket
import struct
import urllib.request
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, closing, suppress
from pathlib import Path

import pytest

from holdfast.testing.file_server import FileServer
from holdfast.testing.server import Server
from holdfast.voice.media.rtp.latch import RtpSource
from holdfast.voice.media.rtp.rtcp import RECEIVER_REPORT
from holdfast.voice.media_process.control_link import protocol as m
from tests.loopback.media_process import (
    SILENT,
    TICK_S,
    WAIT_S,
    Media,
    Phone,
    assert_one_stream,
    fades,
    humming,
    phones,
    running,
    seated,
)
from tests.loopback.shared_server import client

pytestmark = pytest.mark.anyio

ROUTER, PROXY, STRANGER = "127.0.0.5", "127.0.0.6", "127.0.0.9"
INSIDE = ("127.0.0.77", 4000)
"""What a phone behind a router says of itself: nothing comes from there, and nothing arrives."""


@asynccontextmanager
async def at(*hosts: str) -> AsyncIterator[list[Phone]]:
    """A phone at each of these hosts."""
    each = [Phone(0x21 + 0x10 * k, host=host) for k, host in enumerate(hosts)]
    try:
        yield each
    finally:
        for phone in each:
            phone.close()


async def described(
    media: Media, *, remote: m.Address, host: str = ROUTER, rtp_source: RtpSource = "signalling"
) -> int:
    """A leg of a phone that signals from this host; the port its packets go to."""
    address = await media.client.open_row("alice")
    media.client.send(m.DescribeRow(leg="alice", remote=remote, signalled_from=host, rtp_source=rtp_source))
    await media.client.applied()
    return address.port


@asynccontextmanager
async def flooding(stranger: Phone, port: int, *, packets: int) -> AsyncIterator[None]:
    """So many packets of a stranger every 20 ms, and of RTCP too."""

    async def flood() -> None:
        while True:
            stranger.send_audio(port, packets)
            stranger.send(struct.pack("!BBHI", 0x80, RECEIVER_REPORT, 1, 7), port + 1)
            await asyncio.sleep(TICK_S)

    task = asyncio.create_task(flood(), name="flood")
    try:
        await asyncio.sleep(TICK_S)
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


@pytest.mark.parametrize("packets", [1, 6, 100], ids=["50 in a second", "300", "5000"])
@pytest.mark.parametrize("late_ticks", [3, 15], ids=["60 ms late", "300 ms late"])
@pytest.mark.parametrize("behind_router", [False, True], ids=["where it says", "behind a router"])
async def test_rtp_from_an_unknown_host_at_the_begin_of_a_call_is_dropped(
    tmp_path: Path, packets: int, late_ticks: int, behind_router: bool
) -> None:
    async with running(tmp_path) as media, at(ROUTER, STRANGER) as (alice, stranger), phones(0x61) as (bob,):
        remote = INSIDE if behind_router else alice.address
        port, to_bob = await described(media, remote=remote), await media.leg("bob", bob)
        media.client.send(seated({"bob": ("alice",), "alice": ("bob",)}))
        async with humming((bob, to_bob)), flooding(stranger, port, packets=packets):
            await bob.hears_more(late_ticks)
            async with humming((alice, port)):
                await bob.hears_audio(alice.hum)
                await alice.hears_audio(bob.hum)
                await bob.hears_more(25)
            told = await media.wait_fact(m.Statistics, lambda fact: fact.leg == "alice" and fact.strange > 0)
        assert stranger.read() == 0
        assert {each.payload for each in bob.received} <= fades(alice.hum)
        assert stranger.hum not in {each.payload for each in bob.received}
        assert_one_stream(alice.received)
        assert (told.stranger, told.rtp_source) == (stranger.address, "signalling")
        assert told.packets_refused >= told.strange
        sources = [fact.source for fact in media.facts if isinstance(fact, m.FirstPacket) and fact.leg == "alice"]
        assert sources == [alice.address]


async def test_a_nat_that_changes_the_port_in_mid_call_is_followed(tmp_path: Path) -> None:
    async with running(tmp_path) as media, at(ROUTER, ROUTER, STRANGER, "127.0.0.1") as four:
        before, after, stranger, bob = four
        port, to_bob = await described(media, remote=INSIDE), await media.leg("bob", bob)
        media.client.send(seated({"bob": ("alice",), "alice": ("bob",)}))
        async with humming((bob, to_bob)):
            async with humming((before, port)):
                await before.hears_audio(bob.hum)
                await bob.hears_audio(before.hum)
            async with flooding(stranger, port, packets=6), humming((after, port)):
                await after.hears_audio(bob.hum)
                await bob.hears_audio(after.hum)
        assert stranger.read() == 0
        assert {each.payload for each in bob.received} <= fades(before.hum) | fades(after.hum)


async def test_the_address_in_the_description_wins_at_any_time_in_the_call(tmp_path: Path) -> None:
    """Another phone behind the same router was first; the one that is named says so late."""
    async with running(tmp_path) as media, at("127.0.0.4", ROUTER) as (named, other), phones(0x61) as (bob,):
        port, to_bob = await described(media, remote=named.address), await media.leg("bob", bob)
        media.client.send(seated({"bob": ("alice",), "alice": ("bob",)}))
        async with humming((bob, to_bob), (other, port)):
            await other.hears_audio(bob.hum)
            await bob.hears_more(10)
            async with humming((named, port)):
                await named.hears_audio(bob.hum)
                mark = await bob.hears_audio(named.hum)
                heard = other.read()
                await bob.hears_more(20)
                assert other.read() == heard
        assert {each.payload for each in bob.received[mark + 10 :]} <= fades(named.hum)
        assert_one_stream(sorted(other.received + named.received, key=lambda each: each.sequence))


@pytest.mark.parametrize("rtp_source", ["named", "any"])
async def test_other_rtp_sources_are_accepted_by_setting(tmp_path: Path, rtp_source: RtpSource) -> None:
    async with running(tmp_path) as media, at(ROUTER, STRANGER) as (router, elsewhere), phones(0x61) as (bob,):
        port = await described(media, remote=INSIDE, rtp_source=rtp_source)
        await media.leg("bob", bob)
        media.client.send(seated({"bob": ("alice",)}))
        speaks = router if rtp_source == "named" else elsewhere
        async with humming((speaks, port)):
            if rtp_source == "any":
                await elsewhere.hears_more(1)
                await bob.hears_audio(elsewhere.hum)
            else:
                await bob.hears_more(20)
                assert (router.read(), {each.payload for each in bob.received}) == (0, {SILENT})


async def test_rtcp_from_an_unknown_host_is_dropped(tmp_path: Path) -> None:
    """Neither before anything came, nor while the party sends from elsewhere than it says."""
    report = struct.pack("!BBHII", 0x81, RECEIVER_REPORT, 7, 7, 0) + struct.pack("!IIIIII", 0, 99, 0, 0, 0, 0)
    async with running(tmp_path) as media, at(ROUTER, STRANGER) as (alice, stranger):
        port = await described(media, remote=INSIDE)
        for spoken in (0, 5):
            alice.send_audio(port, spoken)
            for _ in range(20):
                stranger.send(report, port + 1)
                await asyncio.sleep(TICK_S)
        media.client.send(m.CloseRow(leg="alice"))
        told = await media.wait_fact(m.Statistics, lambda fact: fact.final)
        assert told.reported_lost is None
        assert stranger.read() == 0


# --- the whole engine


NUMBER = "+15550100"


class RawPhone:
    """A phone that says of itself what a test wants: SIP by hand, from one host and by one way."""

    def __init__(self, host: str) -> None:
        self._sip = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._sip.bind((host, 0))
        self._sip.setblocking(False)
        self._to: tuple[str, int] = ("", 0)

    def close(self) -> None:
        self._sip.close()

    async def call(self, server: Server, *, vias: tuple[str, ...] = ()) -> tuple[int, str]:
        """Call, with these Via below its own; the port that sound is awaited at, and the call's SID."""
        host, port = self._sip.getsockname()
        self._to = server.sip
        name = f"{host}-{port}"
        sdp = (
            f"v=0\r\no=- 1 1 IN IP4 {INSIDE[0]}\r\ns=-\r\nc=IN IP4 {INSIDE[0]}\r\nt=0 0\r\n"
            f"m=audio {INSIDE[1]} RTP/AVP 0\r\na=rtpmap:0 PCMU/8000\r\n"
        )
        head = [
            f"INVITE sip:{NUMBER}@{server.sip[0]} SIP/2.0",
            f"Via: SIP/2.0/UDP {host}:{port};branch=z9hG4bK{name}",
            *(f"Via: {via}" for via in vias),
            "Max-Forwards: 70",
            f"From: <sip:raw@{host}>;tag=one",
            f"To: <sip:{NUMBER}@{server.sip[0]}>",
            f"Call-ID: {name}",
            "CSeq: 1 INVITE",
            f"Contact: <sip:raw@{host}:{port}>",
            "Content-Type: application/sdp",
            f"Content-Length: {len(sdp)}",
        ]
        self._sip.sendto("\r\n".join([*head, "", sdp]).encode(), self._to)
        answer = await self._final()
        self._ack(head, answer)
        (audio,) = [line for line in answer.splitlines() if line.startswith("m=audio")]
        calls = (await asyncio.to_thread(client(server).get, "/calls"))["calls"]
        (sid,) = [call["sid"] for call in calls if call["from"] == f"sip:raw@{host}"]
        return int(audio.split()[1]), str(sid)

    def _ack(self, head: list[str], answer: str) -> None:
        (to,) = [line for line in answer.splitlines() if line.startswith("To:")]
        changed = {
            "INVITE ": head[0].replace("INVITE", "ACK"),
            "Via: ": head[1] + "a",
            "To: ": to,
            "CSeq: ": "CSeq: 1 ACK",
            "Content-Length: ": "Content-Length: 0",
        }
        kept = [line for k, line in enumerate(head) if not (line.startswith("Via: ") and k != 1)]
        kept = [line for line in kept if not line.startswith("Content-Type")]
        lines = [next((new for start, new in changed.items() if line.startswith(start)), line) for line in kept]
        self._sip.sendto("\r\n".join([*lines, "", ""]).encode(), self._to)

    async def _final(self) -> str:
        async with asyncio.timeout(WAIT_S):
            while True:
                with suppress(BlockingIOError):
                    text = self._sip.recv(4000).decode()
                    status = int(text.split()[1])
                    assert status < 300, text
                    if status >= 200:
                        return text
                await asyncio.sleep(TICK_S / 4)


@pytest.fixture(scope="module")
def engine() -> Iterator[Server]:
    document = '<?xml version="1.0" encoding="UTF-8"?><Response><Enqueue>line</Enqueue></Response>'
    with FileServer() as files:
        url = files.put("queue.xml", document)
        with Server(numbers={NUMBER: url}, settings={"trusted_proxies": [PROXY]}) as server:
            yield server


async def ended(server: Server, call: str) -> None:
    await asyncio.to_thread(server.sdk().calls(call).update, status="completed")


async def said_of(server: Server, call: str, what: str) -> str:
    """What `explain` says of a call, once it says that."""
    async with asyncio.timeout(WAIT_S):
        while True:
            told = await asyncio.to_thread(client(server).get, f"/engine/explain/{call}")
            text = "\n".join(told["says"])
            if what in text:
                return text
            await asyncio.sleep(0.1)


async def test_rtp_through_the_nat_of_the_signalling_is_accepted_and_other_rtp_is_not(engine: Server) -> None:
    with closing(RawPhone(ROUTER)) as phone:
        async with at(ROUTER, STRANGER) as (sound, stranger):
            port, call = await phone.call(engine)
            async with flooding(stranger, port, packets=6):
                await asyncio.sleep(0.3)
                async with humming((sound, port)):
                    await sound.hears_more(20)
            assert stranger.read() == 0
            await ended(engine, call)


async def test_rtp_of_a_phone_behind_a_proxy_is_accepted_from_the_host_the_proxy_names(engine: Server) -> None:
    """The Via below that of the proxy, with what the proxy saw; and who is not trusted says what he likes."""
    with closing(RawPhone(PROXY)) as proxy, closing(RawPhone(STRANGER)) as liar:
        async with at(ROUTER, PROXY) as (sound, beside):
            below = f"SIP/2.0/UDP 10.0.0.7:5060;received={ROUTER};branch=z9hG4bKp"
            port, call = await proxy.call(engine, vias=(below,))
            async with humming((beside, port)):
                await asyncio.sleep(0.3)
                async with humming((sound, port)):
                    await sound.hears_more(20)
            assert beside.read() == 0, "the proxy is not the phone"
            await ended(engine, call)
        async with at(ROUTER, STRANGER) as (sound, own):
            port, call = await liar.call(engine, vias=(below,))
            async with humming((sound, port), (own, port)):
                await own.hears_more(20)
            assert sound.read() == 0
            await ended(engine, call)


async def test_a_third_address_is_refused_counted_and_explained_with_the_name_of_the_setting(engine: Server) -> None:
    before = await strange(engine)
    with closing(RawPhone(ROUTER)) as phone:
        async with at(STRANGER) as (third,):
            port, call = await phone.call(engine)
            async with humming((third, port)):
                text = await said_of(engine, call, 'rtp_source = "signalling"')
            host, its_port = third.address
            assert f"the newest from {host}:{its_port}" in text
            assert 'set rtp_source = "any" for its line or route' in text
            assert third.read() == 0
            assert await strange(engine) > before
            quality = await asyncio.to_thread(client(engine).get, f"/engine/quality/{call}")
            assert (quality["packets_received"], quality["stranger"]) == (0, [host, its_port])
            await ended(engine, call)


async def strange(server: Server) -> float:
    """How many packets of strangers the metrics count."""

    def get() -> str:
        word = base64.b64encode(f"{server.account_sid}:{server.auth_token}".encode()).decode()
        asked = urllib.request.Request(f"{server.url}/metrics", headers={"Authorization": f"Basic {word}"})
        with urllib.request.urlopen(asked) as answer:
            return str(answer.read().decode())

    text = await asyncio.to_thread(get)
    (line,) = [line for line in text.splitlines() if line.startswith("holdfast_media_packets_strange_total ")]
    return float(line.split()[1])
