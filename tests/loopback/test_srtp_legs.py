"""SRTP over real sockets: an SRTP phone and an RTP phone, held and resumed, each heard by the other."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from holdfast.testing.calls import CallFailed
from holdfast.testing.phone import Phone
from holdfast.testing.server import HOST, Server, free_port

pytestmark = pytest.mark.anyio

LOCALHOST = Path(__file__).with_name("localhost.pem")
ROOM = '<Response><Dial><Conference beep="false" waitUrl="">sealed</Conference></Dial></Response>'


@dataclass(frozen=True, kw_only=True)
class SrtpServer:
    server: Server
    tls_address: tuple[str, int]


@pytest.fixture
async def srtp_server() -> AsyncIterator[SrtpServer]:
    tls_address = free_port(socket.SOCK_STREAM)
    settings = {
        "sip_tls_certificate": str(LOCALHOST),
        "sip_tls_port": str(tls_address),
        "sip_srtp": "offer",
        "default_voice_url": "http://127.0.0.1:9/voice",
    }
    async with Server(lines={"alice": "wonderland", "bob": "builder"}, settings=settings) as server:
        yield SrtpServer(server=server, tls_address=(HOST, tls_address))


def srtp_phone(srtp_server: SrtpServer) -> Phone:
    return Phone(
        "alice",
        server=srtp_server.tls_address,
        password="wonderland",
        transport="TLS",
        certificate=LOCALHOST,
        srtp="required",
    )


async def test_an_srtp_phone_and_an_rtp_phone_hear_each_other_through_a_hold(srtp_server: SrtpServer) -> None:
    server = srtp_server.server
    client = server.sdk()
    async with (
        srtp_phone(srtp_server) as alice,
        Phone("bob", server=server.sip, password="builder") as bob,
    ):
        await alice.register()
        await bob.register()
        for name in ("alice", "bob"):
            await asyncio.to_thread(client.calls.create, to=f"client:{name}", from_="+15550100", twiml=ROOM)
        await alice.hears("bob", within_s=10)
        await bob.hears("alice", within_s=10)
        call = await alice.called()
        await call.hold()
        await call.unhold()
        await alice.hears("bob")
        await bob.hears("alice")


async def test_srtp_keys_over_udp_are_refused_with_a_reason(srtp_server: SrtpServer) -> None:
    async with Phone("bob", server=srtp_server.server.sip, password="builder", srtp="offered") as bob:
        call = await bob.call("+15550123")
        with pytest.raises(CallFailed, match="488"):
            await call.answered()
    (refused,) = [message.data for message in bob.messages if message.start_line.startswith("SIP/2.0 488")]
    assert b"use TLS" in refused
