"""Softphones whose users hold, come back and press keys, by each transport and codec; what both sides hear of it."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import pytest

from holdfast.testing.file_server import FileServer
from holdfast.testing.server import HOST, Server, free_port
from holdfast.testing.signals import ALICE, BOB
from tests.interop.baresip import Baresip

pytestmark = [pytest.mark.interop, pytest.mark.anyio]

LOCALHOST = Path(__file__).parents[1] / "loopback" / "localhost.pem"
FRONT = "+15550123"
SECURED = free_port(socket.SOCK_STREAM)
LISTEN_S = 1.5
"""Long enough for a stretch of sound to be recognised in a recording; nothing is timed."""


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    settings = {"sip_tls_certificate": str(LOCALHOST), "sip_tls_port": str(SECURED), "sip_srtp": "offer"}
    with FileServer() as files:
        document = '<Response><Play digits="ww42#"/><Dial><Client>alice</Client></Dial></Response>'
        numbers: dict[str, str | None] = {FRONT: files.put("front.xml", document)}
        lines = {"alice": "wonderland", "bob": "builder"}
        with Server(lines=lines, numbers=numbers, settings=settings) as server:
            yield server
            assert "Traceback" not in server.log()


@pytest.mark.parametrize(
    ("transport", "codec"),
    [("udp", "PCMU/8000"), ("tcp", "PCMA/8000"), ("tls", "G722/16000")],
    ids=["UDP, PCMU", "TCP, PCMA", "TLS, SRTP, G.722"],
)
async def test_a_softphone_holds_resumes_and_sends_a_digit(
    server: Server,
    tmp_path: Path,
    transport: Literal["udp", "tcp", "tls"],
    codec: Literal["PCMU/8000", "PCMA/8000", "G722/16000"],
) -> None:
    """Whom it holds hears music meanwhile, and it hears nothing; keys go both ways as telephone events."""
    sealed = transport == "tls"
    alice = Baresip(
        "alice",
        hum=ALICE,
        server=(HOST, SECURED) if sealed else server.sip,
        password="wonderland",
        folder=tmp_path / "alice",
        transport=transport,
        certificate=LOCALHOST if sealed else None,
        srtp=sealed,
        codec=codec,
    )
    bob = Baresip("bob", hum=BOB, server=server.sip, password="builder", folder=tmp_path / "bob")
    async with alice, bob:
        await bob.dial(FRONT)
        await alice.saw("CALL_ESTABLISHED")
        await asyncio.sleep(LISTEN_S)
        await alice.saw("CALL_RTCP")
        await alice.hold()
        await asyncio.sleep(LISTEN_S)
        await alice.resume()
        await asyncio.sleep(LISTEN_S)
        await alice.press("7")
        await bob.saw("CALL_DTMF_END", times=4)
        await bob.hang_up()
        await alice.saw("CALL_CLOSED")
    assert bob.pressed() == "42#7"
    assert [sound for sound in bob.heard() if sound != "silence"][-3:] == ["alice", "music of the engine", "alice"]
    assert [sound for sound in alice.heard() if sound != "silence"] == ["bob"]
