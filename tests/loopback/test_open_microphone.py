"""A phone that holds by itself and goes on sending, its microphone open, is not heard by any party.

While it holds, the phone hums something else than before and after, which must be in no ear and no recording but its
own, also not for a moment after the hold.
"""

from __future__ import annotations

import asyncio
import io
import wave
from collections.abc import AsyncIterator

import numpy as np
import pytest

from holdfast.testing.audio.recogniser import Recogniser
from holdfast.testing.calls import PhoneCall
from holdfast.testing.clock import now_s
from holdfast.testing.hold_forms import HoldForm
from holdfast.testing.phone import Phone
from holdfast.testing.server import Server
from holdfast.testing.signals import ALICE, BOB, DAVE, HUMS, Chord
from tests.loopback.shared_server import answers
from tests.loopback.test_hold_by_phone import hears_music
from tests.loopback.test_verbs import fetched, twiml
from tests.loopback.web_server import WebServer, reply

pytestmark = pytest.mark.anyio

FRONT, OTHER = "+15550103", "+15550104"
SECRET = DAVE
FORMS = (HoldForm.SENDONLY, HoldForm.NO_ADDRESS, HoldForm.INACTIVE)
LONG_S = 0.6


@pytest.fixture
async def web() -> AsyncIterator[WebServer]:
    async with WebServer() as server:
        yield server


async def holds_with_an_open_microphone(call: PhoneCall, phone: Phone, peer: Phone, own: Chord) -> None:
    """In each form the phone says a secret for as long as it holds; also where it was agreed that it says nothing."""
    for form in FORMS:
        await call.hold(form)
        phone.speak(SECRET)
        call.leave_microphone_open()
        sent = call.line.sent
        await asyncio.sleep(LONG_S)
        assert call.line.sent - sent > LONG_S / 0.02 / 2, "the microphone is open"
        phone.speak(own)
        assert await call.unhold(by="UPDATE") == "sendrecv"
        await asyncio.gather(peer.hears(phone.name), phone.hears(peer.name))


def said_to(peer: Phone) -> set[str]:
    """All that a phone ever heard, in any window of 20 ms."""
    return {name for _, names in peer.ear.heard(since_s=0.0, until_s=now_s()) for name in names}


def channels_of(wav: bytes) -> list[set[str]]:
    """All that is heard in each channel of a WAV file, in any window of 20 ms."""
    with wave.open(io.BytesIO(wav)) as file:
        samples = np.frombuffer(file.readframes(file.getnframes()), dtype="<i2").reshape(-1, file.getnchannels())
    recogniser = Recogniser(HUMS)
    return [
        {
            name
            for names in recogniser.recognise(channel[: len(channel) // 160 * 160].reshape(-1, 160))
            for name in names
        }
        for channel in samples.T.astype(np.int16)
    ]


async def test_in_a_conference_an_open_microphone_on_hold_is_not_heard_or_recorded(
    server: Server, web: WebServer
) -> None:
    room = (
        '<Dial><Conference record="record-from-start" recordingStatusCallback="/taped" beep="false" waitUrl="">'
        "open microphones</Conference></Dial>"
    )
    await answers(server, FRONT, web.on("/room", reply(twiml(room))))
    async with (
        Phone("alice", server=server.sip) as alice,
        Phone("bob", server=server.sip) as bob,
        Phone("carol", server=server.sip) as carol,
    ):
        call = await alice.call(FRONT)
        others = [await phone.call(FRONT) for phone in (bob, carol)]
        await asyncio.gather(*(each.answered() for each in (call, *others)))
        await asyncio.gather(bob.hears("alice", "carol"), carol.hears("alice", "bob"))
        await others[1].hang_up()
        await asyncio.gather(alice.hears("bob"), bob.hears("alice"))
        await holds_with_an_open_microphone(call, alice, bob, ALICE)
        for each in (call, others[0]):
            await each.hang_up()
        (taped,) = await asked(web, "/taped")
        _, _, sound = await asyncio.to_thread(fetched, server, taped)
        (all_of_them,) = channels_of(sound)
        assert {"alice", "bob"} <= all_of_them
        assert SECRET.name not in all_of_them
        assert SECRET.name not in said_to(bob)


async def test_in_a_call_of_two_an_open_microphone_on_hold_is_only_in_its_own_recording_channel(
    server: Server, web: WebServer
) -> None:
    """Either side holds: the recording is the caller's, with what it says and what it hears in a channel each."""
    async with Phone("alice", server=server.sip) as alice, Phone("bob") as bob:
        dial = f'<Dial record="record-from-answer-dual" recordingStatusCallback="/taped"><Sip>{bob.uri}</Sip></Dial>'
        await answers(server, FRONT, web.on("/dial", reply(twiml(dial))))
        for holds in (alice, bob):
            call = await alice.call(FRONT)
            await call.answered()
            called = await bob.called()
            await asyncio.gather(alice.hears("bob"), bob.hears("alice"))
            mine, peer = (call, bob) if holds is alice else (called, alice)
            await holds_with_an_open_microphone(mine, holds, peer, ALICE if holds is alice else BOB)
            await call.hang_up()
            taped = (await asked(web, "/taped", 1 if holds is alice else 2))[-1]
            _, _, sound = await asyncio.to_thread(fetched, server, taped)
            says, hears = channels_of(sound)
            assert (SECRET.name in says, SECRET.name in hears) == (holds is alice, False)
        assert SECRET.name not in said_to(alice) | said_to(bob)


async def test_a_phone_that_holds_while_it_is_dequeued_is_not_heard(server: Server, web: WebServer) -> None:
    waits = web.on("/wait", reply(twiml('<Play digits="w"/><Enqueue>open microphones</Enqueue>')))
    await answers(server, FRONT, waits)
    await answers(server, OTHER, web.on("/take", reply(twiml("<Dial><Queue>open microphones</Queue></Dial>"))))
    async with Phone("alice", server=server.sip) as alice, Phone("bob", server=server.sip) as bob:
        waiting = await alice.call(FRONT)
        await waiting.answered()
        await hears_music(alice)
        await waiting.hold()
        alice.speak(SECRET)
        agent = await bob.call(OTHER)
        await agent.answered()
        await asyncio.sleep(LONG_S)
        alice.speak(ALICE)
        assert await waiting.unhold() == "sendrecv"
        await asyncio.gather(alice.hears("bob"), bob.hears("alice"))
        await holds_with_an_open_microphone(waiting, alice, bob, ALICE)
        assert SECRET.name not in said_to(bob)


async def asked(web: WebServer, path: str, count: int = 1) -> list[str]:
    """The addresses of the recordings that were told, once there are so many. Raises: TimeoutError."""
    async with asyncio.timeout(20):
        while len(told := web.asked(path)) < count:  # noqa: ASYNC110
            await asyncio.sleep(0.02)
    return [request.form["RecordingUrl"] for request in told]
