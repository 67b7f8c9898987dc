"""The scenes that last long, all at once: the least session is 90 s, refreshed after half, over after two thirds."""

from __future__ import annotations

import asyncio
from pathlib import Path

from holdfast.testing.file_server import FileServer
from holdfast.testing.server import HOST, Server
from tests.interop.scenarios import alive, lines
from tests.interop.scenes import Scene
from tests.interop.stage import play

FRONT = "+15550101"
DOCUMENT = '<Response><Play digits="w"/><Pause length="120"/></Response>'
WITHIN_S = 100.0


async def run(folder: Path) -> dict[str, str]:
    """Have them all played to their ends; the status each call ended with.

    Nobody is asked whether it is there, and nobody must send sound: sessions alone tell.
    Raises: AssertionError when one went another way.
    """
    with FileServer() as files:
        numbers: dict[str, str | None] = {FRONT: files.put("front.xml", DOCUMENT)}
        quiet = {"keepalive_s": "0", "rtp_timeout_s": "0"}
        async with Server(numbers=numbers, lines={"alice": "wonderland"}, settings=quiet) as server:
            async with asyncio.TaskGroup() as group:
                for calls in (alive.REFRESHES, alive.IS_REFRESHED_BY_UPDATE, alive.CROSSES, alive.EXPIRES):
                    group.create_task(_calls(server, calls, folder))
                for called in (alive.CALLED_IS_REFRESHED, alive.CALLED_EXPIRES):
                    group.create_task(_is_called(server, called, folder))
                group.create_task(_calls(server, lines.EXPIRES, folder))
            assert "Traceback" not in server.log()
            return {str(call.sid): str(call.status) for call in await asyncio.to_thread(server.sdk().calls.list)}


async def _calls(server: Server, scene: Scene, folder: Path) -> None:
    await (await play(scene, folder, to=server)).ends_well(within_s=WITHIN_S)


async def _is_called(server: Server, scene: Scene, folder: Path) -> None:
    phone = await play(scene, folder)
    uri = f"sip:called@{HOST}:{phone.port}"
    await asyncio.to_thread(server.sdk().calls.create, to=uri, from_=FRONT, twiml=DOCUMENT)
    await phone.ends_well(within_s=WITHIN_S)
