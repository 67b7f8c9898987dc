"""sipp in sessions that must be refreshed: by it, by us, by nobody; and changes of both sides that meet."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest
from twilio.rest import Client

from holdfast.testing.files import FileServer
from holdfast.testing.server import HOST, Server
from tests.interop.scenarios import alive
from tests.interop.scenes import Scene
from tests.interop.stage import play, plays

pytestmark = [pytest.mark.interop, pytest.mark.anyio]

FRONT = "+15550101"
DOCUMENT = '<Response><Play digits="w"/><Pause length="120"/></Response>'
WITHIN_S = 85.0


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    """Nobody is asked whether it is there, and nobody must send sound: sessions alone tell."""
    with FileServer() as files:
        numbers: dict[str, str | None] = {FRONT: files.put("front.xml", DOCUMENT)}
        with Server(numbers=numbers, settings={"keepalive_s": "0", "rtp_timeout_s": "0"}) as server:
            yield server
            assert "Traceback" not in server.log()


async def test_a_caller_refreshes_its_session(server: Server, tmp_path: Path) -> None:
    await plays(alive.REFRESHES, tmp_path, to=server)


@pytest.mark.timeout(120)
async def test_sessions_are_refreshed_by_us_or_end(server: Server, tmp_path: Path) -> None:
    """All at once, for the least session lasts 90 s: half of it until a refresh, two thirds of it until its end."""
    client = Client(server.account_sid, server.auth_token)
    client.api.base_url = server.url

    async def calls(scene: Scene) -> None:
        await (await play(scene, tmp_path, to=server)).ends_well(within_s=WITHIN_S)

    async def is_called(scene: Scene) -> str:
        phone = await play(scene, tmp_path)
        uri = f"sip:called@{HOST}:{phone.port}"
        call = await asyncio.to_thread(client.calls.create, to=uri, from_=FRONT, twiml=DOCUMENT)
        await phone.ends_well(within_s=WITHIN_S)
        return str((await asyncio.to_thread(client.calls(str(call.sid)).fetch)).status)

    statuses = await asyncio.gather(
        *(is_called(scene) for scene in (alive.CALLED_IS_REFRESHED, alive.CALLED_EXPIRES)),
        *(calls(scene) for scene in (alive.IS_REFRESHED_BY_UPDATE, alive.CROSSES, alive.EXPIRES)),
    )
    assert statuses[:2] == ["completed", "completed"]
    ended = await asyncio.to_thread(client.calls.list, to=FRONT)
    assert {str(call.status) for call in ended} == {"completed"}
