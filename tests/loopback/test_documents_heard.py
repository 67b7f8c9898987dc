"""A call hears the sounds of its document, inbound and outbound."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest
from twilio.rest import Client
from twilio.twiml.voice_response import VoiceResponse

from holdfast.testing.audio.music import HOLD_MUSIC_MP3
from holdfast.testing.file_server import FileServer
from holdfast.testing.phone import Phone
from holdfast.testing.server import Server
from tests.loopback.shared_server import PASSWORD

NUMBER = "+15550124"


@dataclass(frozen=True, kw_only=True)
class Stage:
    server: Server
    client: Client
    files: FileServer
    alice: Phone

    def music(self) -> str:
        response = VoiceResponse()
        response.play(self.files.url("hold-music.mp3"), loop=0)
        return str(response)


@pytest.fixture
async def stage(server: Server) -> AsyncIterator[Stage]:
    client = server.sdk()
    with FileServer(HOLD_MUSIC_MP3) as files:
        async with Phone("alice", server=server.sip, password=PASSWORD) as alice:
            yield Stage(server=server, client=client, files=files, alice=alice)


async def test_an_inbound_call_hears_the_document_of_its_number(stage: Stage) -> None:
    stage.files.put("voice.xml", stage.music())
    await asyncio.to_thread(
        stage.client.incoming_phone_numbers.create,
        phone_number=NUMBER,
        voice_url=stage.files.url("voice.xml"),
        voice_method="GET",
    )
    call = await stage.alice.call(NUMBER)
    await call.answered()
    await stage.alice.hears("hold music")
    await call.hang_up()


async def test_an_outbound_call_hears_its_document(stage: Stage) -> None:
    await stage.alice.register()
    await asyncio.to_thread(stage.client.calls.create, to="client:alice", from_="+15550100", twiml=stage.music())
    call = await stage.alice.called()
    await call.answered()
    await stage.alice.hears("hold music")
    await call.hang_up()
