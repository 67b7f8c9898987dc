"""G.722 from phone to phone: what lies above the telephone's band gets through, untouched, and nothing clicks."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import pairwise
from pathlib import Path

import numpy as np
from G722 import G722
from numpy.typing import NDArray

from holdfast.voice.media.codec.g711 import decode
from holdfast.voice.media_process.control_link import protocol as m
from holdfast.voice.model.effects import StopSound
from tests.loopback.media_process import TICK_S, WAIT_S, Packet, Phone, phones, rtp, running, seated, sound_of

RATE_HZ, FRAME = 16_000, 320
HIGH_HZ, LOW_HZ = 5210.0, 707.0
"""No frame holds whole waves of both, so that no two frames of what is said are alike."""
PART, IN_A_ROW = 500, 35
"""Frames that are said at most, and those in a row that must be heard as they were said, however busy the machine."""


def frames(count: int) -> list[bytes]:
    """A low tone, and one that no telephone carries, in G.722."""
    time = np.arange(count * FRAME) / RATE_HZ
    sound = 5000 * np.sin(2 * np.pi * LOW_HZ * time) + 4000 * np.sin(2 * np.pi * HIGH_HZ * time)
    coder, samples = G722(RATE_HZ, 64_000), sound.astype(np.int16)
    return [bytes(coder.encode(samples[k : k + FRAME])) for k in range(0, len(samples), FRAME)]


def level(heard: NDArray[np.int16], hz: float, *, rate_hz: int = RATE_HZ) -> float:
    """The amplitude of a tone."""
    wave = np.exp(-2j * np.pi * hz * np.arange(len(heard)) / rate_hz)
    return float(2 * np.abs(np.mean(heard * wave)))


def decoded(packets: list[Packet]) -> NDArray[np.int16]:
    decoder = G722(RATE_HZ, 64_000)
    return np.concatenate([np.frombuffer(decoder.decode(each.payload), dtype=np.int16) for each in packets])


def untouched(packets: list[Packet], said: list[bytes]) -> list[Packet]:
    """The longest run of packets that are frames as they were said, each the one after the one before."""
    run: list[Packet] = []
    longest: list[Packet] = []
    number = {payload: at for at, payload in enumerate(said)}
    for each in packets:
        follows = run and number.get(each.payload) == number[run[-1].payload] + 1
        run = [*run, each] if follows else [each] if each.payload in number else []
        longest = max(longest, run, key=len)
    return longest


@asynccontextmanager
async def talking(phone: Phone, port: int, said: list[bytes]) -> AsyncIterator[None]:
    """While within, a phone says this, a frame every 20 ms."""

    async def talk() -> None:
        clock = asyncio.get_running_loop()
        began = clock.time()
        for k, payload in enumerate(said):
            phone.send(rtp(phone.sent, payload, payload_type=9), port)
            phone.sent += 1
            await asyncio.sleep(began + (k + 1) * TICK_S - clock.time())

    async with asyncio.TaskGroup() as tasks:
        task = tasks.create_task(talk(), name="talk")
        yield
        task.cancel()


async def test_a_tone_above_4_khz_gets_through_before_and_after_a_hold(tmp_path: Path) -> None:
    async with running(tmp_path) as media, phones(0x21, 0x31) as (alice, bob):
        to_alice = await media.leg("alice", alice, codec="G722")
        await media.leg("bob", bob, codec="G722")
        await media.client.put_clip("music", bytes([0x90, 0x10]) * 1600)
        said = frames(2 * PART)
        assert len(set(said)) == len(said), "each frame is known again"
        for part in (said[:PART], said[PART:]):
            media.client.send(seated({"alice": ("bob",), "bob": ("alice",)}))
            await media.client.applied()
            mark = bob.read()
            async with talking(alice, to_alice, part), asyncio.timeout(WAIT_S):
                while len(passed := untouched(bob.received[mark : bob.read()], part)) < IN_A_ROW:
                    await bob.hears_more(5)
            sound = decoded(passed)[10 * FRAME :]
            assert level(sound, HIGH_HZ) > 2000
            assert level(sound, LOW_HZ) > 3500
            # Held, it hears the music, which lies in the telephone's band alone.
            media.client.send(m.PlayClip(token=sound_of("bob", "hold"), clip_id="music", loops=0))
            media.client.send(seated({"bob": None, "alice": ()}))
            await media.client.applied()
            mark = bob.read()
            await bob.hears_more(20)
            held = bob.received[mark + 2 :]
            assert not {each.payload for each in held} & set(said)
            assert level(decoded(held)[5 * FRAME :], HIGH_HZ) < 200
            media.client.send(StopSound(token=sound_of("bob", "hold")))
        assert {each.payload_type for each in bob.received} == {9}
        assert {(after.sequence - before.sequence) % 2**16 for before, after in pairwise(bob.received)} == {1}


async def test_to_a_phone_of_another_codec_the_telephones_band_goes(tmp_path: Path) -> None:
    async with running(tmp_path) as media, phones(0x21, 0x31) as (alice, bob):
        to_alice = await media.leg("alice", alice, codec="G722")
        await media.leg("bob", bob, codec="PCMU")
        media.client.send(seated({"alice": ("bob",), "bob": ("alice",)}))
        said = frames(PART)

        def narrow() -> NDArray[np.int16]:
            """The latest ten frames, read as what was agreed."""
            return decode(b"".join(each.payload for each in bob.received[-10:]))

        async with talking(alice, to_alice, said), asyncio.timeout(WAIT_S):
            await bob.hears_more(10)
            while level(narrow(), LOW_HZ, rate_hz=8000) < 3500:
                await bob.hears_more(1)
        assert {each.payload_type for each in bob.received} == {0}
        assert not {each.payload for each in bob.received} & set(said)
        # What lay above the band is not folded into it.
        assert level(narrow(), 8000 - HIGH_HZ, rate_hz=8000) < 200
