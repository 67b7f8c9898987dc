"""The UDP socket of SIP stays open whatever address it is asked to send to."""

from __future__ import annotations

import asyncio
import socket

import pytest

from holdfast.voice.runtime.sip.transport.bound_sockets import address_of, bind
from holdfast.voice.runtime.sip.transport.udp_socket import SipSocket
from holdfast.voice.sip.effects import Address

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize(
    ("to", "data"),
    [
        (Address("127.0.0.1", 65_536), b"x"),
        (Address("127.0.0.1", 10**9), b"x"),
        (Address("127.0.0.1", 0), b"x"),
        (Address("127.0.0.1", -1), b"x"),
        (Address("phone.example", 5060), b"x"),
        (Address("", 5060), b"x"),
        (Address("::1", 5060), b"x"),
        (Address("255.255.255.255", 5060), b"x"),
        (Address("127.0.0.1", 5060), b"x" * 70_000),
    ],
    ids=["65536", "a billion", "0", "-1", "a name", "nothing", "version 6", "broadcast", "too large"],
)
async def test_it_survives_every_address(to: Address, data: bytes) -> None:
    heard: asyncio.Queue[bytes] = asyncio.Queue()
    ours = SipSocket(lambda data, source: heard.put_nowait(data))
    theirs = SipSocket(lambda data, source: theirs.send(b"and to you", source))
    await ours.open(bind(socket.SOCK_DGRAM, "127.0.0.1", 0))
    bound = bind(socket.SOCK_DGRAM, "127.0.0.1", 0)
    await theirs.open(bound)
    ours.send(data, to)
    await asyncio.sleep(0)
    ours.send(b"hello", address_of(bound, "UDP"))
    async with asyncio.timeout(5):
        assert await heard.get() == b"and to you"
    ours.close()
    theirs.close()
