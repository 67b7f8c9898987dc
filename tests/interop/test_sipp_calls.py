"""sipp as callers and called phones: routes, routers, sound before the answer, forks, codecs, digits, every hold."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from holdfast.cli.client import Client as HoldsClient
from holdfast.store.account_file import StoredAccount
from holdfast.testing.audio.ears import frames
from holdfast.testing.clock import now_s
from holdfast.testing.file_server import FileServer
from holdfast.testing.phone import Phone
from holdfast.testing.server import HOST, Server
from holdfast.testing.signals import BOB, as_samples
from holdfast.voice.media.codec.g711 import encode
from tests.interop.captured import capture
from tests.interop.scenarios import calling, holds
from tests.interop.scenes import Scene
from tests.interop.stage import play, plays
from tests.loopback.test_hold_by_phone import hears_music

# What lasts a minute is begun here, to be over when it is asked for.
pytestmark = [pytest.mark.interop, pytest.mark.anyio, pytest.mark.usefixtures("sessions")]

FRONT, SHORT, PATIENT, KEYS = "+15550101", "+15550102", "+15550103", "+15550104"
ROOM, TAKE = "+15550105", "+15550106"
"""Numbers that answer, that answer and hang up, that let another phone ring first, that wait for 2 and for 4,
that join a conference, and that take who waits in a queue."""
INTO_THE_QUEUE = '<Response><Play digits="w"/><Enqueue waitUrl="">line</Enqueue></Response>'
INTO_THE_ROOM = '<Response><Dial><Conference beep="false" waitUrl="">room</Conference></Dial></Response>'
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
        ROOM: files.put("room.xml", INTO_THE_ROOM),
        TAKE: files.put("take.xml", "<Response><Dial><Queue>line</Queue></Dial></Response>"),
        PATIENT: files.url("patient.xml"),
        KEYS: files.put("keys.xml", KEY.format("2", files.put("two.xml", KEY.format("4", files.url("four.xml"))))),
    }
    with Server(numbers=numbers, settings={"keepalive_s": "0", "rtp_timeout_s": "0"}) as server:
        yield server
        assert "Traceback" not in server.log()


async def call(server: Server, port: int, document: str) -> str:
    """Have the server call sipp; the SID of the call."""
    client = server.sdk()
    uri = f"sip:called@{HOST}:{port}"
    return str((await asyncio.to_thread(client.calls.create, to=uri, from_=FRONT, twiml=document)).sid)


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
    phone = await play(calling.rings_aloud(humming(tmp_path)), tmp_path)
    dial = f'<Dial answerOnBridge="true"><Sip>sip:called@{HOST}:{phone.port}</Sip></Dial>'
    files.put("patient.xml", f"<Response>{dial}</Response>")
    async with Phone("alice", server=server.sip) as alice:
        heard = await alice.call(PATIENT)
        await alice.hears("bob")
        await heard.answered()
        await heard.hang_up()
    await phone.ends_well()


@pytest.mark.parametrize("scene", [calling.HEARS_RINGING, calling.HEARS_RINGING_UNRELIABLY])
async def test_a_caller_receives_a_description_before_the_answer(
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


async def test_a_called_phone_changes_its_description_before_it_answers(server: Server, tmp_path: Path) -> None:
    await called(
        server, tmp_path, calling.CHANGES_BEFORE_IT_ANSWERS, '<Response><Play digits="w"/><Hangup/></Response>'
    )


async def test_a_cancel_that_comes_too_late_changes_nothing(server: Server, tmp_path: Path) -> None:
    await plays(calling.CANCELS_TOO_LATE, tmp_path, to=server)


@pytest.mark.parametrize("scene", [calling.PRESSES_KEYS, calling.PRESSES_KEYS_BY_INFO])
async def test_telephone_events_and_info_are_digits(
    server: Server, files: FileServer, tmp_path: Path, scene: Scene
) -> None:
    """sipp needs a raw socket for telephone events, which root has."""
    files.requested.clear()
    await plays(scene, tmp_path, to=server, called=KEYS)
    assert [path for path in files.requested if path in ("/four.xml", "/two.xml")] == ["/two.xml", "/four.xml"]


async def test_loss_and_jitter_are_concealed_counted_and_shown(server: Server, tmp_path: Path) -> None:
    """One packet of 20 is lost, and of the others most are late, by up to 40 ms. Root alone has the socket for it."""
    packets = [(number, 0.04 * (number % 4) / 3) for number in range(400) if number % 20 != 9]
    bob = capture(tmp_path / "bob.pcap", [encode(BOB.frame())] * 400, packets)
    phone = await play(calling.is_heard_badly(bob), tmp_path)
    async with Phone("alice", server=server.sip) as alice:
        sid = await call(server, phone.port, f"<Response><Dial><Sip>{alice.uri}</Sip></Dial></Response>")
        await alice.called()
        await alice.hears("bob")
        began_s = now_s()
        ask = HoldsClient(url=server.url, credentials=StoredAccount(sid=server.account_sid, token=server.auth_token))
        quality = {"packets_received": 0}
        async with asyncio.timeout(15):
            while quality["packets_received"] < 100:
                await asyncio.sleep(0.2)
                figures = (await asyncio.to_thread(ask.get, "/engine/quality"))["calls"]
                quality = next((one for one in figures if one["call"] == sid), quality)
        (sound,) = [one["sound"] for one in (await asyncio.to_thread(ask.get, "/calls"))["calls"] if one["sid"] == sid]
        heard = frozenset().union(*(one.heard for one in alice.ear.intervals(since_s=began_s)))
        assert heard - {"silence"} == {"bob"}
        assert min(quality["packets_lost"], quality["frames_concealed"]) >= 4
        assert 0.03 < sound["loss"] < 0.08
        assert 10 < sound["jitter_ms"] < 60
        assert 3 < sound["mos"] < 4.2
        assert 'holdfast_media_mos{of="worst"}' in await asyncio.to_thread(ask.text, "/metrics")
        await asyncio.to_thread(server.sdk().calls(sid).update, status="completed")
        await phone.ends_well()


async def test_a_hold_by_phone_and_one_by_rest_must_both_be_lifted(server: Server, tmp_path: Path) -> None:
    """The other party hears music meanwhile, and the holds service shows a phone's own hold."""
    client = server.sdk()
    phone = await play(holds.holds_until_told(humming(tmp_path)), tmp_path)
    async with Phone("alice", server=server.sip) as alice:
        listens = await alice.call(ROOM)
        await listens.answered()
        sid = await call(server, phone.port, INTO_THE_ROOM)
        await alice.hears("bob")
        (conference,) = await asyncio.to_thread(client.conferences.list, status="in-progress")
        party = client.conferences(str(conference.sid)).participants(sid)
        await phone.tell()
        await hears_music(alice)
        assert await by_phone(server, sid) == [("phone", "held")]
        await asyncio.to_thread(party.update, hold=True)
        await asyncio.to_thread(party.update, hold=False)
        await hears_music(alice)
        await asyncio.to_thread(party.update, hold=True)
        await phone.tell()
        await alice.hears("silence")
        await asyncio.to_thread(party.update, hold=False)
        await alice.hears("bob")
        await asyncio.to_thread(client.calls(sid).update, status="completed")
        await phone.ends_well()
        await listens.hang_up()


async def test_tones_are_digits_where_there_are_no_events(server: Server, files: FileServer, tmp_path: Path) -> None:
    """Each for 80 ms. Source: ITU-T Q.23 for the frequencies."""
    files.requested.clear()
    sound = [SILENCE] * 50
    for tone in (key_tone(697, 1336), key_tone(770, 1209)):
        sound += [*frames(tone), *[SILENCE] * 40]
    await plays(calling.presses_keys_as_tones(capture(tmp_path / "keys.pcap", sound)), tmp_path, to=server, called=KEYS)
    assert [path for path in files.requested if path in ("/four.xml", "/two.xml")] == ["/two.xml", "/four.xml"]


def key_tone(low_hz: int, high_hz: int) -> bytes:
    """80 ms of two tones."""
    turns = 2 * np.pi * np.arange(640) / 8000
    return encode(as_samples(0.2 * (np.sin(low_hz * turns) + np.sin(high_hz * turns))))


SILENCE = b"\xff" * 160


@pytest.mark.parametrize("where", ["a call of two", "a queue"])
async def test_a_party_held_by_a_phone_hears_music(server: Server, tmp_path: Path, where: str) -> None:
    client = server.sdk()
    phone = await play(holds.holds_until_told(humming(tmp_path)), tmp_path)
    async with Phone("alice", server=server.sip) as alice:
        if where == "a queue":
            await asyncio.to_thread(client.queues.create, friendly_name="line")
            await (await alice.call(TAKE)).answered()
            sid = await call(server, phone.port, INTO_THE_QUEUE)
        else:
            sid = await call(server, phone.port, f"<Response><Dial><Sip>{alice.uri}</Sip></Dial></Response>")
            await alice.called()
        await alice.hears("bob")
        await phone.tell()
        await hears_music(alice)
        await phone.tell()
        await alice.hears("bob")
        await asyncio.to_thread(client.calls(sid).update, status="completed")
        await phone.ends_well()


async def by_phone(server: Server, call: str) -> list[tuple[str, str]]:
    """Who holds a call, and how it is, once somebody does."""
    ask = HoldsClient(url=server.url, credentials=StoredAccount(sid=server.account_sid, token=server.auth_token))
    async with asyncio.timeout(15):
        while True:
            listed = (await asyncio.to_thread(ask.get, "/holds?active=true"))["holds"]
            found = [(one["by"], one["status"]) for one in listed if one["call"] == call]
            if found:
                return found
            await asyncio.sleep(0.1)


def humming(folder: Path) -> Path:
    """What bob says, as bare µ-law."""
    sound = folder / "bob.ulaw"
    sound.write_bytes(encode(BOB.frame()) * 50)
    return sound
