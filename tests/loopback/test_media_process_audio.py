"""Audio through the real media process: audio that enters at one socket leaves at those of its listeners."""

from __future__ import annotations

import asyncio
from pathlib import Path

import numpy as np

from holdfast.voice.media.codec.g711 import (
    ALAW,
    DECODE,
    ENCODE,
    TRANSCODE,
    ULAW,
)
from holdfast.voice.media_process.control_link import protocol as m
from holdfast.voice.media_process.control_link.packing import CLIP_PART
from holdfast.voice.model.effects import StopSound
from holdfast.voice.model.facts import DigitPressed, SoundEnded
from holdfast.voice.model.payload_types import Codec, PayloadTypes
from tests.loopback.media_process import (
    SILENT,
    assert_one_stream,
    fades,
    humming,
    phones,
    running,
    seated,
    sound_of,
)

MUSIC = [bytes([0x60 + k]) * 160 for k in range(5)]


async def test_fifty_holds_and_resumes(tmp_path: Path) -> None:
    """In each hold the held listener hears the clip alone, the other one silence alone: one SSRC, no gap."""
    async with running(tmp_path) as media, phones(0x21, 0x31) as (alice, bob):
        client = media.client
        to_alice, to_bob = await media.leg("alice", alice), await media.leg("bob", bob)
        await client.put_clip("music", b"".join(MUSIC))
        client.send(seated({"alice": ("bob",), "bob": ("alice",)}))
        async with humming((alice, to_alice), (bob, to_bob)):
            await alice.hears_audio(bob.hum)
            for k in range(50):
                held, other = ("alice", "bob") if k % 2 else ("bob", "alice")
                held_phone = alice if held == "alice" else bob
                asked = held_phone.read()
                with client.batch():
                    client.send(m.PlayClip(token=sound_of(held, f"hold-{k}"), clip_id="music", loops=0))
                    client.send(seated({held: None, other: ()}))
                await client.applied()
                marks = alice.read(), bob.read()
                await alice.hears_more(3)
                await bob.hears_more(3)
                begins = await held_phone.hears_audio(MUSIC[0], after=asked)
                heard = [packet.payload for packet in held_phone.received[begins:]]
                assert heard == [MUSIC[n % len(MUSIC)] for n in range(len(heard))]
                quiet = bob.received[marks[1] :] if held == "alice" else alice.received[marks[0] :]
                assert {packet.payload for packet in quiet} == {SILENT}
                with client.batch():
                    client.send(StopSound(token=sound_of(held, f"hold-{k}")))
                    client.send(seated({"alice": ("bob",), "bob": ("alice",)}))
                await client.applied()
                marks = alice.read(), bob.read()
                last_alice = await alice.hears_audio(bob.hum, after=marks[0])
                last_bob = await bob.hears_audio(alice.hum, after=marks[1])
                assert {packet.payload for packet in alice.received[marks[0] : last_alice]} <= fades(bob.hum)
                assert {packet.payload for packet in bob.received[marks[1] : last_bob]} <= fades(alice.hum)
        assert_one_stream(alice.received)
        assert_one_stream(bob.received)
        started = [fact.token for fact in media.facts if isinstance(fact, m.RowAudioStarted)]
        assert started == [sound_of("alice" if k % 2 else "bob", f"hold-{k}") for k in range(50)]
        assert not [fact for fact in media.facts if isinstance(fact, SoundEnded | m.RequestRefused)]


async def test_a_clip_is_heard_from_its_beginning_to_its_end_and_reported(tmp_path: Path) -> None:
    async with running(tmp_path) as media, phones(0x21) as (alice,):
        await media.leg("alice", alice)
        # Half a frame at the end is filled up with silence. The clip is longer than one message to the process.
        frames = [bytes([k % 100, k // 100]) * 80 for k in range(420)]
        audio = b"".join(frames)[:-80]
        assert len(audio) > CLIP_PART
        assert not await media.client.has_clip("long")
        await media.client.put_clip("long", audio)
        await media.client.put_clip("short", b"\x55" * 320)
        assert await media.client.has_clip("long")
        media.client.send(m.PlayClip(token=sound_of("alice", "one"), clip_id="short", loops=3))
        await media.wait_fact(SoundEnded, lambda fact: fact.token == "alice/one")
        media.client.send(m.PlayClip(token=sound_of("alice", "two"), clip_id="long"))
        await alice.hears_audio(frames[3])
        media.client.send(m.PlayClip(token=sound_of("alice", "three"), clip_id="short"))
        ended = await media.wait_fact(SoundEnded, lambda fact: fact.token == "alice/three")
        assert ended.token == "alice/three"
        await alice.hears_more(2)
        alice.read()
        heard = [packet.payload for packet in alice.received if packet.payload != SILENT]
        assert heard[:6] == [b"\x55" * 160] * 6
        assert heard[-2:] == [b"\x55" * 160] * 2
        assert heard[6:-2] == frames[: len(heard) - 8]
        assert [fact.token for fact in media.facts if isinstance(fact, m.RowAudioStarted)] == [
            "alice/one",
            "alice/two",
            "alice/three",
        ]
        assert [fact.token for fact in media.facts if isinstance(fact, SoundEnded)] == ["alice/one", "alice/three"]


async def test_the_last_frame_of_a_clip_is_filled_up_with_silence(tmp_path: Path) -> None:
    async with running(tmp_path) as media, phones(0x21) as (alice,):
        await media.leg("alice", alice)
        await media.client.put_clip("odd", b"\x55" * 200)
        await media.client.put_clip("empty", b"")
        media.client.send(seated({"alice": None}))
        media.client.send(m.PlayClip(token=sound_of("alice", "odd"), clip_id="odd"))
        await media.wait_fact(SoundEnded)
        index = await alice.hears_audio(b"\x55" * 160)
        await alice.hears(lambda _: True, after=index + 2)
        assert [packet.payload for packet in alice.received[index : index + 3]] == [
            b"\x55" * 160,
            b"\x55" * 40 + b"\xff" * 120,
            SILENT,
        ]
        media.client.send(m.PlayClip(token=sound_of("alice", "empty"), clip_id="empty", loops=0))
        await media.wait_fact(SoundEnded, lambda fact: fact.token == "alice/empty")


async def test_a_conference_of_three_hears_exact_sums(tmp_path: Path) -> None:
    """One of them speaks A-law: it is decoded, added and encoded like the others."""
    async with running(tmp_path) as media, phones(0x21, 0x31, 0x41) as each:
        names = ("a", "b", "c")
        codecs: tuple[Codec, ...] = ("PCMU", "PCMU", "PCMA")
        compandings = (ULAW, ULAW, ALAW)
        ports = [
            await media.leg(name, phone, codec=codec) for name, phone, codec in zip(names, each, codecs, strict=True)
        ]
        media.client.send(seated({name: tuple(other for other in names if other != name) for name in names}))
        for _ in range(60):
            for phone, port, companding in zip(each, ports, compandings, strict=True):
                phone.send_audio(port, payload_type=8 if companding == ALAW else 0)
            await each[0].hears_more(1)
        spoken = [int(DECODE[companding][phone.hum[0]]) for phone, companding in zip(each, compandings, strict=True)]
        for k, (phone, companding) in enumerate(zip(each, compandings, strict=True)):
            total = sum(spoken) - spoken[k]
            expected = bytes([ENCODE[companding][np.clip(total, -32768, 32767) + 32768]]) * 160
            index = await phone.hears_audio(expected)
            assert phone.received[index].payload_type == (8 if companding == ALAW else 0)


async def test_two_legs_with_different_companding_hear_each_other(tmp_path: Path) -> None:
    async with running(tmp_path) as media, phones(0x21, 0x31) as (alice, bob):
        to_alice = await media.leg("alice", alice)
        to_bob = await media.leg("bob", bob, codec="PCMA")
        media.client.send(seated({"alice": ("bob",), "bob": ("alice",)}))
        for _ in range(20):
            alice.send_audio(to_alice)
            bob.send_audio(to_bob, payload_type=8)
            await alice.hears_more(1)
        await alice.hears_audio(bytes([TRANSCODE[ALAW][0x31]]) * 160)
        await bob.hears_audio(bytes([TRANSCODE[ULAW][0x21]]) * 160)


async def test_a_party_may_send_any_codec_of_its_answer_and_is_sent_the_same(tmp_path: Path) -> None:
    async with running(tmp_path) as media, phones(0x21, 0x31) as (alice, bob):
        await media.client.open_row("alice")
        media.client.send(m.DescribeRow(leg="alice", remote=alice.address, codec="PCMU", also=("PCMA",)))
        to_alice = (await media.client.open_row("alice")).port
        to_bob = await media.leg("bob", bob)
        media.client.send(seated({"alice": ("bob",), "bob": ("alice",)}))
        async with humming((bob, to_bob)):
            for payload_type, companding in ((8, ALAW), (0, ULAW), (8, ALAW)):
                task = asyncio.create_task(alice.hum_to(to_alice, payload_type=payload_type))
                try:
                    heard = alice.hum if companding == ULAW else bytes([TRANSCODE[ALAW][0x21]]) * 160
                    await bob.hears_audio(heard, after=bob.read())
                    sent = bob.hum if companding == ULAW else bytes([TRANSCODE[ULAW][0x31]]) * 160
                    index = await alice.hears_audio(sent, after=alice.read())
                    assert alice.received[index].payload_type == payload_type
                    (row,) = (row for row in await media.client.rows() if row.leg == "alice")
                    assert row.codec == ("PCMU" if companding == ULAW else "PCMA")
                finally:
                    task.cancel()
                    await asyncio.wait([task])
            # G.722 was not in the answer.
            alice.send_audio(to_alice, 5, payload_type=9)
            await bob.hears_more(5)
            (row,) = (row for row in await media.client.rows() if row.leg == "alice")
            assert row.codec == "PCMA"
        assert_one_stream(alice.received)


async def test_a_codec_goes_by_the_number_of_each_description(tmp_path: Path) -> None:
    """Source: RFC 3264 §5.1, §6.1."""
    async with running(tmp_path) as media, phones(0x21, 0x31) as (alice, bob):
        to_alice = (await media.client.open_row("alice")).port
        numbers = PayloadTypes(send=(("PCMA", 97),), receive=((96, "PCMA"), (98, "PCMU")))
        media.client.send(
            m.DescribeRow(leg="alice", remote=alice.address, codec="PCMA", also=("PCMU",), payload_types=numbers)
        )
        to_bob = await media.leg("bob", bob)
        media.client.send(seated({"alice": ("bob",), "bob": ("alice",)}))
        async with humming((bob, to_bob)):
            for spoken, companding, sent in ((96, ALAW, 97), (98, ULAW, 0), (96, ALAW, 97)):
                task = asyncio.create_task(alice.hum_to(to_alice, payload_type=spoken))
                try:
                    heard = alice.hum if companding == ULAW else bytes([TRANSCODE[ALAW][0x21]]) * 160
                    await bob.hears_audio(heard, after=bob.read())
                    told = bob.hum if companding == ULAW else bytes([TRANSCODE[ULAW][0x31]]) * 160
                    index = await alice.hears_audio(told, after=alice.read())
                    assert alice.received[index].payload_type == sent
                finally:
                    task.cancel()
                    await asyncio.wait([task])
        assert_one_stream(alice.received)


async def test_audio_is_sent_and_accepted_only_as_agreed(tmp_path: Path) -> None:
    """Nothing is sent while the agreed direction forbids it; packets against it are not heard."""
    async with running(tmp_path) as media, phones(0x21, 0x31) as (alice, bob):
        client = media.client
        to_alice, to_bob = await media.leg("alice", alice), await media.leg("bob", bob)
        client.send(seated({"alice": ("bob",), "bob": ("alice",)}))
        async with humming((alice, to_alice), (bob, to_bob)):
            await bob.hears_audio(alice.hum)
            await alice.hears_audio(bob.hum)
            # The phone puts us on hold: inactive.
            client.send(m.DescribeRow(leg="alice", remote=alice.address, send=False, receive=False))
            await client.applied()
            mark = alice.read(), bob.read()
            await bob.hears_more(10)
            assert alice.read() == mark[0]
            assert {packet.payload for packet in bob.received[mark[1] :]} == {SILENT}
            # sendonly from us: it hears, and is not heard.
            client.send(m.DescribeRow(leg="alice", remote=alice.address, send=True, receive=False))
            await alice.hears_audio(bob.hum, after=mark[0])
            assert alice.received[mark[0]].marker
            bob.read()
            assert {packet.payload for packet in bob.received[mark[1] :]} == {SILENT}
            client.send(m.DescribeRow(leg="alice", remote=alice.address))
            await bob.hears_audio(alice.hum, after=mark[1])
        assert_one_stream(alice.received)
        assert_one_stream(bob.received)
        paused = (alice.received[mark[0]].timestamp - alice.received[mark[0] - 1].timestamp) % 2**32
        assert paused >= 160 * 10


async def test_without_an_address_packets_from_the_signalling_host_show_where_to_send(tmp_path: Path) -> None:
    async with running(tmp_path) as media, phones(0x21) as (alice,):
        address = await media.client.open_row("alice")
        media.client.send(m.DescribeRow(leg="alice", remote=None, signalled_from="127.0.0.1"))
        await media.client.applied()
        alice.send_audio(address.port, 3)
        await alice.hears_more(1)
        first = await media.wait_fact(m.FirstPacket)
        assert (first.leg, first.source) == ("alice", alice.address)


async def test_each_digit_is_reported_once(tmp_path: Path) -> None:
    async with running(tmp_path) as media, phones(0x21) as (alice,):
        port = await media.leg("alice", alice)
        alice.send_audio(port)
        for press, code in enumerate([1, 2, 2, 11, 0]):
            timestamp = 10_000 + 3200 * press
            for k in range(8):
                header = b"\x80" + bytes([101 | (128 if k == 0 else 0)]) + (100 + 8 * press + k).to_bytes(2, "big")
                header += timestamp.to_bytes(4, "big") + (7).to_bytes(4, "big")
                end = 0x80 if k > 4 else 0
                alice.send(header + bytes([code, end | 10]) + (160 * min(k + 1, 5)).to_bytes(2, "big"), port)
            await alice.hears_more(1)
        await media.wait_fact(DigitPressed, lambda fact: fact.digit == "0")
        assert [fact.digit for fact in media.facts if isinstance(fact, DigitPressed)] == list("122#0")
