"""Messages after RFC 4475 and 10,000 hostile packets at a server while a call is up, whose ears notice nothing."""

from __future__ import annotations

import asyncio
import socket

import pytest

from holdfast.testing.clock import now_s
from holdfast.testing.file_server import FileServer
from holdfast.testing.phone import Phone
from holdfast.testing.server import Server
from tests.conformance.test_rfc4475 import REQUESTS, Case
from tests.fuzz.hostile import packet
from tests.unit.voice.sip.wire import encode

pytestmark = pytest.mark.anyio

DOCUMENT = '<Response><Dial><Conference beep="false" waitUrl="">room</Conference></Dial></Response>'
SIP, RTP, RTCP = 6000, 3000, 1000
BURST = 50
QUIET = frozenset({"silence", "no packets"})
"""What an ear may hear for a moment beside its peer, when the machine itself stalls."""


async def test_a_call_does_not_notice_10_000_hostile_packets() -> None:
    with FileServer() as files:
        numbers: dict[str, str | None] = {"+15550101": files.put("room.xml", DOCUMENT)}
        async with (
            Server(numbers=numbers) as server,
            Phone("alice", server=server.sip) as alice,
            Phone("bob", server=server.sip) as bob,
        ):
            calls = [await phone.call("+15550101") for phone in (alice, bob)]
            for call in calls:
                await call.answered()
            await asyncio.gather(alice.hears("bob"), bob.hears("alice"))
            began_s = now_s()
            ports = [call.agreed.remote[1] for call in calls if call.agreed is not None and call.agreed.remote]
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
                stranger.bind(("127.0.0.1", 0))
                stranger.setblocking(False)
                for number, case in enumerate(REQUESTS):
                    stranger.sendto(torture(case, number, stranger), server.sip[:2])
                await is_alive(stranger, server, -1)
                for first in range(0, SIP, BURST):
                    for number in range(first, first + BURST):
                        stranger.sendto(packet("sip", number)[:60_000], server.sip[:2])
                    await is_alive(stranger, server, first)
                for first in range(0, RTP, BURST):
                    for number in range(first, first + BURST):
                        stranger.sendto(packet("rtp", number)[:1400], ("127.0.0.1", ports[number % 2]))
                        if number < RTCP:
                            stranger.sendto(packet("rtcp", number)[:1400], ("127.0.0.1", ports[number % 2] + 1))
                    await asyncio.sleep(0.005)
                await is_alive(stranger, server, SIP)
            await asyncio.gather(alice.hears("bob"), bob.hears("alice"))
            for phone, peer in ((alice, "bob"), (bob, "alice")):
                heard = frozenset().union(*(one.heard for one in phone.ear.intervals(since_s=began_s)))
                assert heard - QUIET == {peer}
            assert [call.state.value for call in calls] == ["talking", "talking"]
            log = server.log()
    assert "Traceback" not in log
    assert "ERROR" not in log


def torture(case: Case, number: int, sender: socket.socket) -> bytes:
    """A message of a section, in a transaction of its own, to be answered where it comes from."""
    host, port = sender.getsockname()
    data = case.message if isinstance(case.message, bytes) else encode(case.message)
    for was, now in (
        ("10.0.0.3:5060", f"{host}:{port}"),
        ("branch=z9hG4bKpeer1", f"branch=z9hG4bKt{number}"),
        ("Call-ID: call-1", f"Call-ID: torture-{number}"),
    ):
        data = data.replace(was.encode(), now.encode())
    return data


async def is_alive(stranger: socket.socket, server: Server, number: int) -> None:
    """A good OPTIONS is answered, so all before it was taken. Raises: TimeoutError."""
    host, port = stranger.getsockname()
    word = f"alive{number}"
    asked = (
        f"OPTIONS sip:us@127.0.0.1 SIP/2.0\r\nVia: SIP/2.0/UDP {host}:{port};branch=z9hG4bK{word}\r\n"
        f"From: <sip:stranger@127.0.0.1>;tag=1\r\nTo: <sip:us@127.0.0.1>\r\nCall-ID: {word}\r\n"
        "CSeq: 1 OPTIONS\r\nMax-Forwards: 70\r\nContent-Length: 0\r\n\r\n"
    ).encode()
    loop = asyncio.get_running_loop()
    async with asyncio.timeout(20):
        while True:
            stranger.sendto(asked, server.sip[:2])
            try:
                async with asyncio.timeout(1.0):
                    while True:
                        answer = await loop.sock_recv(stranger, 4096)
                        if word.encode() in answer and answer.startswith(b"SIP/2.0 200"):
                            return
            except TimeoutError:
                continue
