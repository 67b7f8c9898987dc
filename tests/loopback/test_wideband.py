"""G.722 from phone to phone: what lies above the telephone's band gets through, untouched, and nothing clicks."""

from __future__ import annotations

import asyncio
from itertools import pairwise
from pathlib import Path

import numpy as np
from G722 import G722
from numpy.typing import NDArray

from tests.loopback.mediaplane import Packet, Phone, phones, rtp, running

RATE_HZ, FRAME = 16_000, 320
HIGH_HZ, LOW_HZ = 5200.0, 700.0


def frames(count: int) -> list[bytes]:
    """A low tone, and one that no telephone carries, in G.722."""
    time = np.arange(count * FRAME) / RATE_HZ
    sound = 5000 * np.sin(2 * np.pi * LOW_HZ * time) + 4000 * np.sin(2 * np.pi * HIGH_HZ * time)
    coder, samples = G722(RATE_HZ, 64_000), sound.astype(np.int16)
    return [bytes(coder.encode(samples[k : k + FRAME])) for k in range(0, len(samples), FRAME)]


def level(heard: NDArray[np.int16], hz: float) -> float:
    """The amplitude of a tone."""
    wave = np.exp(-2j * np.pi * hz * np.arange(len(heard)) / RATE_HZ)
    return float(2 * np.abs(np.mean(heard * wave)))


def decoded(packets: list[Packet]) -> NDArray[np.int16]:
    decoder = G722(RATE_HZ, 64_000)
    return np.concatenate([np.frombuffer(decoder.decode(each.payload), dtype=np.int16) for each in packets])


async def talk(alice: Phone, port: int, said: list[bytes]) -> None:
    clock = asyncio.get_running_loop()
    began = clock.time()
    for k, payload in enumerate(said):
        alice.send(rtp(alice.sent, payload, payload_type=9), port)
        alice.sent += 1
        await asyncio.sleep(began + (k + 1) * 0.02 - clock.time())


async def hears_one_of(phone: Phone, frames_: list[bytes]) -> None:
    await phone.hears(lambda each: each.payload in frames_)


async def test_a_tone_above_4_khz_gets_through_before_and_after_a_hold(tmp_path: Path) -> None:
    async with running(tmp_path) as media, phones(0x21, 0x31) as (alice, bob):
        to_alice = await media.leg("alice", alice, codec="G722")
        await media.leg("bob", bob, codec="G722")
        await media.plane.put_clip("music", bytes([0x90, 0x10]) * 1600)
        said = frames(100)
        for part in (said[:50], said[50:]):
            media.plane.route({"alice": ("bob",), "bob": ("alice",)})
            await media.plane.applied()
            mark = bob.read()
            await talk(alice, to_alice, part)
            await hears_one_of(bob, part[-10:])
            heard = bob.got[mark : bob.read()]
            passed = [each for each in heard if each.payload in part]
            assert len(passed) > 25, "frames pass as they came"
            sound = decoded(passed)[10 * FRAME :]
            assert level(sound, HIGH_HZ) > 2000
            assert level(sound, LOW_HZ) > 3500
            # Held, it hears the music, which lies in the telephone's band alone.
            media.plane.play("bob", "hold", "music", loops=0)
            media.plane.route({"bob": None, "alice": ()})
            await media.plane.applied()
            mark = bob.read()
            await bob.hears_more(20)
            held = bob.got[mark + 2 :]
            assert not {each.payload for each in held} & set(said)
            assert level(decoded(held)[5 * FRAME :], HIGH_HZ) < 200
            media.plane.stop("bob", "hold")
        assert {each.payload_type for each in bob.got} == {9}
        assert {(after.sequence - before.sequence) % 2**16 for before, after in pairwise(bob.got)} == {1}


async def test_to_a_phone_of_another_codec_the_telephones_band_goes(tmp_path: Path) -> None:
    async with running(tmp_path) as media, phones(0x21, 0x31) as (alice, bob):
        to_alice = await media.leg("alice", alice, codec="G722")
        await media.leg("bob", bob, codec="PCMU")
        media.plane.route({"alice": ("bob",), "bob": ("alice",)})
        await talk(alice, to_alice, frames(40))
        await bob.hears_more(5)
        assert {each.payload_type for each in bob.got} == {0}
        assert not {each.payload for each in bob.got} & set(frames(40))
