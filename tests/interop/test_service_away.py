"""A holds service of one's own that is away for longer than a minute while calls are held by two legs, in real time."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from holdfast.testing.audio.music import HOLD_MUSIC_MP3, SECOND_MUSIC_MP3
from holdfast.testing.file_server import FileServer
from holdfast.testing.server import HOST, Server, free_port
from tests.loopback.shared_server import PASSWORD
from tests.loopback.test_holds import ROOM, SUPPORT, Service, dial_document, talking

pytestmark = [pytest.mark.interop, pytest.mark.anyio, pytest.mark.timeout(240)]

AWAY_S = 75.0


@pytest.fixture
def files() -> Iterator[FileServer]:
    with FileServer(HOLD_MUSIC_MP3, SECOND_MUSIC_MP3) as files:
        files.put("room.xml", ROOM)
        yield files


async def test_a_service_that_is_away_for_75_s_loses_no_held_and_no_parked_call(
    files: FileServer, tmp_path: Path
) -> None:
    port = free_port(socket.SOCK_STREAM)
    url = files.put("dial.xml", dial_document(f"http://{HOST}:{port}/twiml/continue"))
    async with (
        Server(lines={"bob": PASSWORD}) as server,
        talking(server, files, number=SUPPORT, support_url=url) as talk,
    ):
        service = Service(server, port=port, store=tmp_path / "holds.db")
        async with service.running() as holds:
            await holds.adopt(talk.alice_call)
            held = await holds.hold(talk.bob_call, music=files.url(HOLD_MUSIC_MP3.name))
            await talk.hear(alice="silence", bob="hold music")
        await asyncio.sleep(AWAY_S)
        await talk.hear(alice="silence", bob="hold music")
        async with service.running() as holds:
            assert (await holds.resume(held)).status == "resumed"
            await talk.hear(alice="bob", bob="alice")
            both = [await holds.hold(call) for call in (talk.alice_call, talk.bob_call)]
        async with service.running() as holds:
            for hold in both:
                assert (await holds.resume(hold.id)).status == "resumed"
            await talk.hear(alice="bob", bob="alice")
