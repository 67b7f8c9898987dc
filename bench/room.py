"""The scene of the measurements: a server in its own process, two phones in a conference, music known byte for byte."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import soundfile
from twilio.twiml.voice_response import Dial, VoiceResponse

from bench.requests import RestConnection
from holdfast.testing.audio.ears import Ear, frames
from holdfast.testing.audio.music import MUSIC_BOX, play
from holdfast.testing.clock import now_s
from holdfast.testing.file_server import FileServer
from holdfast.testing.phone import Phone
from holdfast.testing.server import ROWS, Server
from holdfast.testing.signals import ALICE, BOB, FRAME_S, RATE_HZ, as_samples
from holdfast.voice.media.codec.g711 import decode, encode

NUMBER = "+15550100"
ROOM = "bench"
POLL_S = 0.002
TIMEOUT_S = 5.0

MUSIC_ULAW = encode(as_samples(play(MUSIC_BOX, rate_hz=RATE_HZ) / 2))
"""The music, soft enough that no server has a reason to change its level on the way."""
MUSIC = frozenset(frames(MUSIC_ULAW))
"""Every payload a held ear may receive, besides silence."""
SILENCE = b"\xff" * 160
CUSTOMER, AGENT = encode(ALICE.frame()), encode(BOB.frame())


@dataclass(frozen=True, slots=True, kw_only=True)
class Room:
    """A running conference of a customer and an agent."""

    server: Server
    rest: RestConnection
    customer: Phone
    agent: Phone
    customer_sid: str
    conference_sid: str
    music_url: str
    """The music as an audio file that may be cached."""

    @property
    def participant(self) -> str:
        """Return the path of the customer's participant."""
        account = f"/2010-04-01/Accounts/{self.server.account_sid}"
        return f"{account}/Conferences/{self.conference_sid}/Participants/{self.customer_sid}.json"


@asynccontextmanager
async def open_room(*, rows: int = ROWS) -> AsyncIterator[Room]:
    """Start everything, with this many rows for calls, and wait until both hear each other."""
    with TemporaryDirectory() as folder:
        music = Path(folder) / "music.wav"
        soundfile.write(music, decode(MUSIC_ULAW), RATE_HZ, subtype="PCM_16")
        with FileServer(music) as files:
            async with (
                Server(
                    numbers={NUMBER: files.put("voice.xml", conference_document(ROOM))}, settings={"rtp_rows": rows}
                ) as server,
                Phone("alice", server=server.sip) as customer,
                Phone("bob", server=server.sip) as agent,
            ):
                for phone in (customer, agent):
                    await (await phone.call(NUMBER)).answered()
                await asyncio.gather(customer.hears("bob"), agent.hears("alice"))
                client = server.sdk()
                (conference,) = await asyncio.to_thread(client.conferences.list, status="in-progress")
                calls = await asyncio.to_thread(client.calls.list, status="in-progress")
                with closing(RestConnection(server)) as rest:
                    yield Room(
                        server=server,
                        rest=rest,
                        customer=customer,
                        agent=agent,
                        customer_sid=str(next(call.sid for call in calls if "alice" in str(call._from))),
                        conference_sid=str(conference.sid),
                        music_url=files.url(music.name),
                    )


async def first_packet(ear: Ear, payloads: Collection[bytes], *, since_s: float) -> float:
    """Return when the first packet with one of these payloads arrived. Raises: TimeoutError."""
    while now_s() - since_s < TIMEOUT_S:
        for packet in ear.packets(since_s=since_s):
            if packet.payload in payloads:
                return packet.at_s
        await asyncio.sleep(POLL_S)
    raise TimeoutError(f"the audio did not arrive within {TIMEOUT_S} s")


async def pause() -> None:
    """Wait long enough for three packets, and a random part of a tick, so that requests meet every phase of it."""
    await asyncio.sleep(3 * FRAME_S + random.random() * FRAME_S)


def conference_document(name: str) -> str:
    """Return a document that enters a conference without beeps and music."""
    response, dial = VoiceResponse(), Dial()
    dial.conference(name, wait_url="", beep="false")
    response.append(dial)
    return str(response)
