"""Foreign softphones at `holdfast serve`: called, held and resumed by the examples, and what they recorded of it."""

import asyncio
import socket
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from twilio.rest import Client
from twilio.twiml.voice_response import Dial, VoiceResponse

from holdfast.testing.audio.music import HOLD_MUSIC_MP3
from holdfast.testing.file_server import FileServer
from holdfast.testing.phone import Phone
from holdfast.testing.server import HOST, Server, free_port
from holdfast.testing.signals import ALICE, BOB
from tests.interop.baresip import MUSIC, Baresip
from tests.loopback.web_server import Behaviour, WebServer, reply

pytestmark = [pytest.mark.interop, pytest.mark.anyio]

EXAMPLES = Path(__file__).parents[2] / "examples"
LOCALHOST = Path(__file__).parents[1] / "loopback" / "localhost.pem"
ROOM = "interop"
LISTEN_S = 1.5
"""Long enough for a stretch of sound to be recognised in a recording; nothing is timed."""


@dataclass(frozen=True, kw_only=True)
class Office:
    server: Server
    client: Client
    alice: Baresip
    bob: Baresip


@pytest.fixture
async def office(tmp_path: Path) -> AsyncIterator[Office]:
    async with Server(lines={"alice": "wonderland", "bob": "builder"}) as server:
        client = server.sdk()
        async with (
            Baresip("alice", hum=ALICE, server=server.sip, password="wonderland", folder=tmp_path / "alice") as alice,
            Baresip("bob", hum=BOB, server=server.sip, password="builder", folder=tmp_path / "bob") as bob,
        ):
            yield Office(server=server, client=client, alice=alice, bob=bob)


async def run_example(name: str, *arguments: str, server: Server) -> str:
    process = await asyncio.create_subprocess_exec(
        sys.executable, str(EXAMPLES / name), *arguments, env=server.environment, stdout=asyncio.subprocess.PIPE
    )
    async with asyncio.timeout(20.0):
        output, _ = await process.communicate()
    assert process.returncode == 0
    return output.decode()


def into_the_room() -> str:
    response, dial = VoiceResponse(), Dial()
    dial.conference(ROOM, wait_url="", beep="false")
    response.append(dial)
    return str(response)


async def test_two_softphones_hear_a_hold_and_a_resume_made_by_the_examples(office: Office) -> None:
    await held_and_resumed(office)


async def held_and_resumed(office: Office) -> None:
    """Both are called into a room; alice is held with music, and resumed."""
    calls = {}
    for phone in (office.alice, office.bob):
        call = await asyncio.to_thread(
            office.client.calls.create, to=f"client:{phone.name}", from_="+15550100", twiml=into_the_room()
        )
        calls[phone.name] = call.sid
        await phone.saw("CALL_ESTABLISHED")
    await asyncio.sleep(LISTEN_S)
    (conference,) = await asyncio.to_thread(office.client.conferences.list, friendly_name=ROOM, status="in-progress")

    with FileServer(HOLD_MUSIC_MP3) as files:
        await run_example(
            "a_hold_in_conference.py", conference.sid, calls["alice"], files.url("hold-music.mp3"), server=office.server
        )
        await asyncio.sleep(LISTEN_S)
        await run_example("b_resume_in_conference.py", conference.sid, calls["alice"], server=office.server)
        await asyncio.sleep(LISTEN_S)
    await office.alice.hang_up()
    await office.bob.hang_up()

    assert [sound for sound in office.alice.heard() if sound != "silence"] == ["bob", "hold music", "bob"]
    bob_heard = office.bob.heard()
    first, last = bob_heard.index("alice"), len(bob_heard) - bob_heard[::-1].index("alice")
    assert bob_heard[first:last] == ["alice", "silence", "alice"]


async def test_a_softphone_on_tls_with_srtp_and_one_on_tcp_hear_a_hold_and_a_resume(tmp_path: Path) -> None:
    secured = free_port(socket.SOCK_STREAM)
    settings = {
        "sip_tls_certificate": str(LOCALHOST),
        "sip_tls_port": str(secured),
        "sip_srtp": "require",
        "default_voice_url": "http://127.0.0.1:9/voice",
    }
    async with Server(lines={"alice": "wonderland", "bob": "builder"}, settings=settings) as server:
        client = server.sdk()
        alice = Baresip(
            "alice",
            hum=ALICE,
            server=(HOST, secured),
            password="wonderland",
            folder=tmp_path / "alice",
            transport="tls",
            certificate=LOCALHOST,
            srtp=True,
        )
        bob = Baresip("bob", hum=BOB, server=server.sip, password="builder", folder=tmp_path / "bob", transport="tcp")
        async with alice, bob:
            await held_and_resumed(Office(server=server, client=client, alice=alice, bob=bob))


async def test_a_softphone_calls_a_number_and_is_played_to(office: Office) -> None:
    with FileServer(HOLD_MUSIC_MP3) as files:
        answer = VoiceResponse()
        answer.play(files.url("hold-music.mp3"), loop=0)
        files.put("voice.xml", str(answer))
        await asyncio.to_thread(
            office.client.incoming_phone_numbers.create,
            phone_number="+15550123",
            voice_url=files.url("voice.xml"),
            voice_method="GET",
        )
        await office.alice.dial("+15550123")
        await office.alice.saw("CALL_ESTABLISHED")
        await asyncio.sleep(LISTEN_S)
        await office.alice.hang_up()

    assert [sound for sound in office.alice.heard() if sound != "silence"] == ["hold music"]


# --- transfers ----------------------------------------------------------------------------------------------------


def document(inside: str) -> Behaviour:
    return reply(f"<Response>{inside}</Response>")


async def answered_by(office: Office, url: str) -> str:
    """A number that this document answers."""
    number = "+15550123"
    await asyncio.to_thread(office.client.incoming_phone_numbers.create, phone_number=number, voice_url=url)
    return number


async def test_a_softphone_follows_a_refer_and_reports_the_outcome(office: Office) -> None:
    async with WebServer() as web, Phone("carol") as carol:
        web.on("/after", document('<Pause length="60"/>'))
        refer = f'<Refer action="/after"><Sip>{carol.uri}</Sip></Refer>'
        await office.alice.dial(await answered_by(office, web.on("/voice", document(refer))))
        await carol.called()
        await carol.hears("alice")
        await web.came(2)
        (after,) = web.asked("/after")
        told = {name: value for name, value in after.form.items() if name.startswith(("Refer", "Notify"))}
        assert told == {"ReferCallStatus": "in-progress", "ReferSipResponseCode": "202", "NotifySipResponseCode": "200"}


async def test_a_softphone_refers_its_caller(office: Office) -> None:
    """From a hold, as most phones do; the caller hears music until it is through."""
    async with WebServer() as web, Phone("carol") as carol:
        web.on("/refer", document(f"<Dial><Sip>{carol.uri}</Sip></Dial>"))
        dial = '<Dial referUrl="/refer"><Client>bob</Client></Dial>'
        await office.alice.dial(await answered_by(office, web.on("/voice", document(dial))))
        await office.bob.saw("CALL_ESTABLISHED")
        await asyncio.sleep(LISTEN_S)
        await office.bob.hold()
        await asyncio.sleep(LISTEN_S)
        await office.bob.transfer(carol.uri)
        await carol.called()
        await carol.hears("alice")
        await office.bob.saw("CALL_CLOSED")
        (refer,) = web.asked("/refer")
        assert refer.form["ReferTransferTarget"].strip("<>").startswith(f"sip:carol@{HOST}")
        await asyncio.sleep(LISTEN_S)
        await office.alice.hang_up()
    assert [sound for sound in office.alice.heard() if sound in ("bob", "carol", *MUSIC)] == ["bob", *MUSIC, "carol"]
