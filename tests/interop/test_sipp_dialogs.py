"""sipp scenarios of what may happen in a dialog: hold, PRACK, session timers, late offers, routes, ends that cross."""

from __future__ import annotations

import asyncio
import socket
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from twilio.rest import Client

from holdfast.testing.file_server import FileServer
from holdfast.testing.server import HOST, Server, free_port
from tests.interop.scenarios import alive
from tests.interop.scenes import Scene
from tests.interop.stage import plays
from tests.interop.test_sipp import finished, sipp

pytestmark = [pytest.mark.interop, pytest.mark.anyio]

AT_ONCE, LATER, NEVER = "+15550101", "+15550102", "+15550103"
"""Numbers that answer, that ring for a second before, and that ring on."""
CALLS = 3

CALLERS = {
    "hold_by_reinvite.xml": AT_ONCE,
    "hold_by_update.xml": AT_ONCE,
    "late_offer.xml": AT_ONCE,
    "session_timer.xml": AT_ONCE,
    "info_digits.xml": AT_ONCE,
    "prack.xml": LATER,
    "cancel.xml": NEVER,
}


def twiml(inside: str) -> str:
    return f'<?xml version="1.0" encoding="UTF-8"?><Response>{inside}</Response>'


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with FileServer() as files:
        numbers: dict[str, str | None] = {
            AT_ONCE: files.put("answer.xml", twiml('<Play digits="w"/><Pause length="60"/>')),
            LATER: files.put("ring.xml", twiml('<Pause length="1"/><Play digits="w"/><Pause length="60"/>')),
            NEVER: files.put("never.xml", twiml('<Pause length="60"/>')),
        }
        # A phone that says nothing for a second is asked whether it is there, and one must be heard every 4 seconds.
        with Server(numbers=numbers, settings={"keepalive_s": "1", "rtp_timeout_s": "4"}) as server:
            yield server
            assert "Traceback" not in server.log()


async def test_callers_hold_transfer_and_hang_up_in_their_dialogs(server: Server, tmp_path: Path) -> None:
    for scenario, number in CALLERS.items():
        folder = tmp_path / scenario.removesuffix(".xml")
        folder.mkdir()
        port = free_port(socket.SOCK_DGRAM)
        target = f"{server.sip[0]}:{server.sip[1]}"
        running = await sipp(folder, scenario, target, "-s", number, "-p", str(port), "-m", str(CALLS), "-r", "10")
        await finished(running, folder)
    for number, scenarios in Counter(CALLERS.values()).items():
        calls = await asyncio.to_thread(server.sdk().calls.list, to=number)
        assert len(calls) == CALLS * scenarios
        assert {str(call.status) for call in calls} <= {"completed", "canceled", "no-answer"}


@pytest.mark.parametrize("scenario", ["called_prack.xml", "called_route.xml"])
async def test_called_phones_are_acknowledged_and_followed(server: Server, tmp_path: Path, scenario: str) -> None:
    assert await called(server, tmp_path, scenario, twiml('<Play digits="w"/><Hangup/>')) == "completed"


async def test_a_phone_that_forgot_the_call_is_found_and_the_call_ends(server: Server, tmp_path: Path) -> None:
    assert await called(server, tmp_path, "called_forgets.xml", twiml('<Pause length="60"/>')) == "completed"


async def test_an_answer_that_crosses_the_cancel_is_ended(server: Server, tmp_path: Path) -> None:
    document = twiml('<Pause length="60"/>')
    assert await called(server, tmp_path, "called_crosses.xml", document, cancel=True) == "canceled"


@pytest.mark.parametrize("scene", [alive.IS_THERE, alive.FORGETS])
async def test_silent_callers_receive_options(server: Server, tmp_path: Path, scene: Scene) -> None:
    await plays(scene, tmp_path, to=server, called=AT_ONCE)


async def test_callers_without_rtp_are_hung_up_unless_they_hold(server: Server, tmp_path: Path) -> None:
    """Both answer whoever asks them by OPTIONS whether they are there."""
    scenes = (alive.SILENT, alive.SILENT_WHILE_IT_HOLDS)
    await asyncio.gather(*(plays(scene, tmp_path, "-aa", to=server, called=AT_ONCE) for scene in scenes))
    assert server.log().count("fact=Lost why=no sound") == len(scenes)


async def called(server: Server, folder: Path, scenario: str, document: str, *, cancel: bool = False) -> str:
    """Phones are called, one after the other, and do as the scenario says. Returns how all of them ended."""
    port = free_port(socket.SOCK_DGRAM)
    phone = await sipp(folder, scenario, "-p", str(port), "-m", str(CALLS))
    client: Client = server.sdk()
    sids = []
    for _ in range(CALLS):
        call = await asyncio.to_thread(
            lambda: client.calls.create(to=f"sip:called@{HOST}:{port}", from_="+15550100", twiml=document)
        )
        sids.append(str(call.sid))
        if cancel:
            await until_it_rings(client, str(call.sid))
            await asyncio.to_thread(client.calls(str(call.sid)).update, status="canceled")
    await finished(phone, folder)
    (status,) = {str((await asyncio.to_thread(client.calls(sid).fetch)).status) for sid in sids}
    return status


async def until_it_rings(client: Client, sid: str) -> None:
    """Wait until the called phone rings. Raises: TimeoutError."""
    async with asyncio.timeout(10):
        while True:
            if str((await asyncio.to_thread(client.calls(sid).fetch)).status) == "ringing":
                return
            await asyncio.sleep(0.05)
