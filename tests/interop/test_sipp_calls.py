"""sipp as callers and called phones: routes, routers, sound before the answer, forks, codecs, digits, every hold."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest
from twilio.rest import Client

from holdfast.testing.files import FileServer
from holdfast.testing.phone import Phone
from holdfast.testing.server import HOST, Server
from holdfast.testing.signals import BOB
from holdfast.voice.media.codecs import encode
from tests.interop.scenarios import calling, holds
from tests.interop.scenes import Scene
from tests.interop.stage import play, plays

pytestmark = [pytest.mark.interop, pytest.mark.anyio]

FRONT, SHORT, PATIENT, KEYS = "+15550101", "+15550102", "+15550103", "+15550104"
"""Numbers that answer, that answer and hang up, that let another phone ring first, that wait for 2 and for 4."""
KEY = '<Response><Gather finishOnKey="{}" actionOnEmptyResult="true" timeout="20" action="{}"/></Response>'


@pytest.fixture(scope="module")
def files() -> Iterator[FileServer]:
    with FileServer() as files:
        yield files


@pytest.fixture(scope="module")
def server(files: FileServer) -> Iterator[Server]:
    """Nobody is asked whether it is there, and nobody must send sound."""
    files.put("four.xml", "<Response><Hangup/></Response>")
    numbers: dict[str, str | None] = {
        FRONT: files.put("front.xml", '<Response><Play digits="w"/><Pause length="120"/></Response>'),
        SHORT: files.put("short.xml", '<Response><Play digits="w"/><Hangup/></Response>'),
        PATIENT: files.url("patient.xml"),
        KEYS: files.put("keys.xml", KEY.format("2", files.put("two.xml", KEY.format("4", files.url("four.xml"))))),
    }
    with Server(numbers=numbers, settings={"keepalive_s": "0", "rtp_timeout_s": "0"}) as server:
        yield server
        assert "Traceback" not in server.log()


async def call(server: Server, port: int, document: str) -> None:
    """Have the server call sipp."""
    client = Client(server.account_sid, server.auth_token)
    client.api.base_url = server.url
    uri = f"sip:called@{HOST}:{port}"
    await asyncio.to_thread(client.calls.create, to=uri, from_=FRONT, twiml=document)


async def called(server: Server, folder: Path, scene: Scene, document: str) -> None:
    phone = await play(scene, folder)
    await call(server, phone.port, document)
    await phone.ends_well()


@pytest.mark.parametrize("method", ["INVITE", "UPDATE"])
async def test_callers_hold_in_every_form(server: Server, tmp_path: Path, method: str) -> None:
    scene = {"INVITE": holds.HELD_BY_REINVITE, "UPDATE": holds.HELD_BY_UPDATE}[method]
    await plays(scene, tmp_path, to=server)
    await plays(scene, tmp_path, "-t", "t1", to=server)


@pytest.mark.parametrize("scene", [holds.HELD_BOTH_WAYS, holds.UNANSWERABLE, holds.REFERS_WHILE_IT_HOLDS])
async def test_callers_hold_and_do_something_else(server: Server, tmp_path: Path, scene: Scene) -> None:
    await plays(scene, tmp_path, to=server)


async def test_called_phones_hold(server: Server, tmp_path: Path) -> None:
    await called(server, tmp_path, holds.CALLED_HOLDS, '<Response><Play digits="w"/><Pause length="60"/></Response>')


async def test_callers_behind_proxies_and_routers_are_followed(server: Server, tmp_path: Path) -> None:
    await plays(calling.ROUTED, tmp_path, to=server, called=SHORT)
    await plays(calling.BEHIND_A_ROUTER, tmp_path, to=server, called=SHORT)
    await plays(calling.MERGED, tmp_path, to=server, called=SHORT)


async def test_of_phones_that_a_proxy_calls_the_second_to_answer_is_ended(server: Server, tmp_path: Path) -> None:
    document = '<Response><Play digits="wwww"/><Hangup/></Response>'
    await called(server, tmp_path, calling.FORKED, document)


async def test_a_phone_is_heard_before_it_answers(server: Server, files: FileServer, tmp_path: Path) -> None:
    sound = tmp_path / "bob.ulaw"
    sound.write_bytes(encode(BOB.frame()) * 50)
    phone = await play(calling.rings_aloud(sound), tmp_path)
    dial = f'<Dial answerOnBridge="true"><Sip>sip:called@{HOST}:{phone.port}</Sip></Dial>'
    files.put("patient.xml", f"<Response>{dial}</Response>")
    async with Phone("alice", server=server.sip) as alice:
        heard = await alice.call(PATIENT)
        await alice.hears("bob")
        await heard.answered()
        await heard.hang_up()
    await phone.ends_well()


@pytest.mark.parametrize("scene", [calling.HEARS_RINGING, calling.HEARS_RINGING_UNRELIABLY])
async def test_a_caller_is_described_sound_before_the_answer(
    server: Server, files: FileServer, tmp_path: Path, scene: Scene
) -> None:
    phone = await play(calling.RINGS_A_WHILE, tmp_path)
    dial = f'<Dial answerOnBridge="true"><Sip>sip:called@{HOST}:{phone.port}</Sip></Dial>'
    files.put("patient.xml", f"<Response>{dial}</Response>")
    await plays(scene, tmp_path, to=server, called=PATIENT)
    await phone.ends_well()


async def test_codecs_are_agreed_or_refused(server: Server, tmp_path: Path) -> None:
    for scene in calling.SPEAKS.values():
        await plays(scene, tmp_path, to=server)
    await plays(calling.SPEAKS_OTHERWISE, tmp_path, to=server)


async def test_telephone_events_are_keys(server: Server, files: FileServer, tmp_path: Path) -> None:
    """sipp needs a raw socket for them, which root has."""
    await plays(calling.PRESSES_KEYS, tmp_path, to=server, called=KEYS)
    assert [path for path in files.asked if path in ("/four.xml", "/two.xml")] == ["/two.xml", "/four.xml"]
