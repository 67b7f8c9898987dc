"""Invalid and unauthenticated packets at the ports of a call that goes on."""

from __future__ import annotations

import socket
import struct
from contextlib import closing
from pathlib import Path

import pytest

from holdfast.voice.media_process.control_link import protocol as m
from holdfast.voice.media_process.control_link.packing import LENGTHS
from holdfast.voice.model.effects import StopSound
from tests.loopback.media_process import (
    SILENT,
    assert_one_stream,
    fades,
    humming,
    phones,
    rtp,
    running,
    seated,
    sound_of,
)


def nonsense(hum: bytes) -> list[bytes]:
    """Return datagrams that are no packets of the call, and packets that are hard to believe."""
    good = rtp(0, hum)
    return [
        b"",
        b"\x80",
        good[:11],
        b"\x40" + good[1:],
        b"\xc0" + good[1:],
        b"\x8f" + good[1:40],
        b"\x90" + good[1:12],
        b"\x90" + good[1:12] + b"\xbe\xde\xff\xff",
        b"\xa0" + good[1:-1] + b"\x00",
        b"\xa0" + good[1:-1] + b"\xff",
        rtp(1, hum, payload_type=3),
        rtp(1, hum, payload_type=8),
        rtp(1, hum, payload_type=127),
        rtp(1, hum * 10 + b"x" * 30),
        rtp(1, hum * 300),
        # RTCP on the RTP port: SR, RR, BYE.
        *[struct.pack("!BBH", 0x80, kind, 6) + bytes(24) for kind in (200, 201, 203)],
        bytes(range(256)) * 8,
    ]


async def test_nonsense_changes_nothing(tmp_path: Path) -> None:
    """They may come from the phone itself: the audio of its valid packets is heard, and nothing else is."""
    async with running(tmp_path) as media, phones(0x21, 0x31) as (alice, bob):
        to_alice, to_bob = await media.leg("alice", alice), await media.leg("bob", bob)
        media.client.send(seated({"alice": ("bob",), "bob": ("alice",)}))
        for data in nonsense(b"\x51" * 160):
            alice.send(data, to_alice)
            alice.send(data, to_alice + 1)
        async with humming((alice, to_alice), (bob, to_bob)):
            await bob.hears_audio(alice.hum)
            for data in nonsense(b"\x51" * 160):
                alice.send(data, to_alice)
                alice.send(data, to_alice + 1)
            await bob.hears_more(10)
            await bob.hears_audio(alice.hum, after=bob.read())
        assert {packet.payload for packet in bob.received} <= fades(alice.hum)
        assert_one_stream(bob.received)
        (row,) = [row for row in await media.client.rows() if row.leg == "alice"]
        assert row.latched
        assert media.process.returncode is None


async def test_wild_timestamps_and_new_sources_make_no_gap_for_other_legs(tmp_path: Path) -> None:
    async with running(tmp_path) as media, phones(0x21, 0x31) as (alice, bob):
        to_alice, _ = await media.leg("alice", alice), await media.leg("bob", bob)
        media.client.send(seated({"bob": ("alice",)}))
        for k in (0, 1, 2**31, 5, 2**32 - 1, 2**20, 3):
            alice.send(struct.pack("!BBHII", 0x80, 0, k % 65536, k % 2**32, k % 3) + alice.hum, to_alice)
            await bob.hears_more(1)
        alice.sent = 10_000
        for _ in range(10):
            alice.send_audio(to_alice, ssrc=99)
            await bob.hears_more(1)
        await bob.hears_audio(alice.hum)
        assert {packet.payload for packet in bob.received} <= fades(alice.hum)
        assert_one_stream(bob.received)


async def test_an_unauthenticated_sender_is_neither_heard_nor_answered(tmp_path: Path) -> None:
    async with running(tmp_path) as media, phones(0x21, 0x31, 0x41) as (alice, bob, foreign_phone):
        to_alice, _ = await media.leg("alice", alice), await media.leg("bob", bob)
        media.client.send(seated({"bob": ("alice",), "alice": ("bob",)}))
        # Before the phone has spoken, two unauthenticated packets are not enough.
        foreign_phone.send_audio(to_alice, 2)
        async with humming((alice, to_alice)):
            await bob.hears_audio(alice.hum)
            for _ in range(10):
                foreign_phone.send_audio(to_alice, 5)
                await bob.hears_more(1)
        assert {packet.payload for packet in bob.received} <= fades(alice.hum)
        assert foreign_phone.read() == 0
        assert (await media.wait_fact(m.FirstPacket, lambda fact: fact.leg == "alice")).source == alice.address


THIEF = b"\x51" * 160


async def test_a_flood_at_one_port_is_not_heard_at_another(tmp_path: Path) -> None:
    async with running(tmp_path) as media, phones(0x21, 0x31, 0x41) as (alice, bob, foreign_phone):
        to_alice, to_bob = await media.leg("alice", alice), await media.leg("bob", bob)
        to_no_listener = (await media.client.open_row("empty")).port
        media.client.send(seated({"bob": ("alice",)}))
        async with humming((alice, to_alice), (bob, to_bob)):
            await bob.hears_audio(alice.hum)
            await media.wait_fact(m.FirstPacket, lambda fact: fact.leg == "bob")
            for _ in range(20):
                foreign_phone.send_audio(to_no_listener, 100)
                foreign_phone.send_audio(to_bob, 100)
                await bob.hears_more(1)
            await bob.hears_audio(alice.hum, after=bob.read())
        assert {packet.payload for packet in bob.received} <= fades(alice.hum)
        assert_one_stream(bob.received)


async def test_a_phone_that_moves_is_followed_when_its_sdp_moves(tmp_path: Path) -> None:
    async with running(tmp_path) as media, phones(0x21, 0x21, 0x31) as (desk, mobile, bob):
        port, _ = await media.leg("alice", desk), await media.leg("bob", bob)
        media.client.send(seated({"bob": ("alice",), "alice": ("bob",)}))
        async with humming((desk, port)):
            await bob.hears_audio(desk.hum)
        media.client.send(m.DescribeRow(leg="alice", remote=mobile.address))
        await media.client.applied()
        mark = desk.read()
        async with humming((mobile, port)):
            await mobile.hears_more(3)
            await bob.hears_audio(mobile.hum, after=bob.read())
        assert desk.read() == mark
        sources = [fact.source for fact in media.facts if isinstance(fact, m.FirstPacket) and fact.leg == "alice"]
        assert sources == [desk.address, mobile.address]
        assert_one_stream(desk.received + mobile.received)


async def test_a_phone_that_moves_is_followed_while_its_old_address_still_sends(tmp_path: Path) -> None:
    """Until our answer arrives the phone cannot know of it, and its old stream may never stop."""
    async with running(tmp_path) as media, phones(0x21, 0x41, 0x31) as (desk, mobile, bob):
        port, to_bob = await media.leg("alice", desk), await media.leg("bob", bob)
        media.client.send(seated({"bob": ("alice",), "alice": ("bob",)}))
        async with humming((desk, port), (bob, to_bob)):
            await bob.hears_audio(desk.hum)
            media.client.send(m.DescribeRow(leg="alice", remote=mobile.address))
            await media.client.applied()
            await mobile.hears_more(10)
            mark = desk.read()
            async with humming((mobile, port)):
                await bob.hears_audio(mobile.hum, after=bob.read())
                await mobile.hears_audio(bob.hum, after=mobile.read())
        assert desk.read() == mark
        sources = [fact.source for fact in media.facts if isinstance(fact, m.FirstPacket) and fact.leg == "alice"]
        assert sources == [desk.address, mobile.address]


async def test_a_muted_phone_is_not_replaced_by_an_unauthenticated_sender(tmp_path: Path) -> None:
    async with running(tmp_path) as media, phones(0x21, 0x31) as (alice, bob):
        port, to_bob = await media.leg("alice", alice), await media.leg("bob", bob)
        media.client.send(seated({"bob": ("alice",), "alice": ("bob",)}))
        async with humming((bob, to_bob)):
            alice.send_audio(port)
            await alice.hears_audio(bob.hum)
            await media.rows(lambda rows: not any(row.latched for row in rows if row.leg == "alice"))
            with closing(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as thief:
                thief.bind(("127.0.0.2", 0))
                thief.setblocking(False)
                for k in range(10):
                    thief.sendto(rtp(k, THIEF), ("127.0.0.1", port))
                    await alice.hears_more(1)
                with pytest.raises(BlockingIOError):
                    thief.recv(2000)
            async with humming((alice, port)):
                await bob.hears_audio(alice.hum, after=bob.read())
        assert THIEF not in {packet.payload for packet in bob.received}


async def test_a_silent_phone_may_return_from_another_port(tmp_path: Path) -> None:
    """After two seconds without a packet another port of the signalling host may be latched; it has to insist."""
    async with running(tmp_path) as media, phones(0x21, 0x22, 0x31) as (alice, again, bob):
        port, _ = await media.leg("alice", alice), await media.leg("bob", bob)
        media.client.send(
            m.DescribeRow(leg="alice", remote=alice.address, dtmf_payload_type=101, signalled_from="127.0.0.1")
        )
        media.client.send(seated({"bob": ("alice",)}))
        await media.client.applied()
        alice.send_audio(port)
        await media.wait_fact(m.FirstPacket, lambda fact: fact.leg == "alice")
        await media.rows(lambda rows: not any(row.latched for row in rows))
        await alice.hears_more(3)
        async with humming((again, port)):
            await bob.hears_audio(again.hum)
            await again.hears_more(1)


async def test_a_phone_whose_port_is_closed_disturbs_no_other_call(tmp_path: Path) -> None:
    async with running(tmp_path) as media, phones(0x21, 0x31, 0x41) as (alice, bob, carol):
        ports = [await media.leg(leg, phone) for leg, phone in zip("abc", (alice, bob, carol), strict=True)]
        media.client.send(seated({"a": ("b",), "b": ("a",)}))
        async with humming((alice, ports[0]), (bob, ports[1])):
            carol.send_audio(ports[2], 3)
            await media.wait_fact(m.FirstPacket, lambda fact: fact.leg == "c")
            carol.close()
            await alice.hears_audio(bob.hum, after=alice.read() + 5)
            await bob.hears_audio(alice.hum, after=bob.read() + 5)
        assert_one_stream(alice.received)


async def test_addresses_that_cannot_be_sent_to_are_refused(tmp_path: Path) -> None:
    async with running(tmp_path) as media:
        await media.client.open_row("alice")
        bad = [("phone.example", 4000), ("", 1), ("::1", 4000), ("127.0.0.1", 65536), ("239.1.1.1", 4000)]
        for remote in bad:
            media.client.send(m.DescribeRow(leg="alice", remote=remote))
        for remote in (("0.0.0.0", 4000), ("127.0.0.1", 0)):
            media.client.send(m.DescribeRow(leg="alice", remote=remote))
        media.client.send(m.PlayClip(token=sound_of("alice", "t"), clip_id="no such clip"))
        media.client.send(m.PlayClip(token=sound_of("unknown", "t"), clip_id="no such clip"))
        media.client.send(StopSound(token=sound_of("unknown", "t")))
        media.client.send(m.CloseRow(leg="unknown"))
        media.client.send(seated({"unknown": None, "alice": ("unknown",)}))
        await media.client.applied()
        (row,) = await media.client.rows()
        assert row.remote is None
        await media.wait_fact(m.RequestRefused, lambda fact: fact.leg == "unknown")
        refused = [(fact.leg, fact.command) for fact in media.facts if isinstance(fact, m.RequestRefused)]
        assert refused == [
            *[("alice", "DescribeRow")] * len(bad),
            ("alice", "PlayClip"),
            ("unknown", "PlayClip"),
        ]


async def test_an_impossible_command_in_a_batch_does_not_stop_the_others(tmp_path: Path) -> None:
    """A clip that is missing must not leave a held party in the conversation."""
    async with running(tmp_path) as media, phones(0x21, 0x31) as (alice, bob):
        to_alice, to_bob = await media.leg("alice", alice), await media.leg("bob", bob)
        media.client.send(seated({"alice": ("bob",), "bob": ("alice",)}))
        async with humming((alice, to_alice), (bob, to_bob)):
            await bob.hears_audio(alice.hum)
            with media.client.batch():
                media.client.send(m.PlayClip(token=sound_of("alice", "music"), clip_id="gone"))
                media.client.send(seated({"alice": None, "bob": ()}))
            await media.client.applied()
            mark = alice.read(), bob.read()
            await alice.hears_more(3)
            await bob.hears_more(3)
        assert {packet.payload for packet in alice.received[mark[0] :] + bob.received[mark[1] :]} == {SILENT}
        assert (await media.wait_fact(m.RequestRefused)).token == "alice/music"


async def test_invalid_messages_on_the_control_socket_end_its_connection(tmp_path: Path) -> None:
    """A control that sends invalid messages is disconnected; audio goes on, and the next control is served."""
    async with running(tmp_path) as media, phones(0x21) as (alice,):
        await media.leg("alice", alice)
        for text in (
            b"GET / HTTP/1.1\r\n\r\n",
            b"\0\0\0\x02\0\0\0\0{}",
            b"\0\0\0\x05\0\0\0\0[nul]",
            b"\xff" * 64,
            LENGTHS.pack(9, 0) + b'{"kind":1',
        ):
            with socket.socket(socket.AF_UNIX) as intruder:
                intruder.settimeout(10)
                intruder.connect(str(media.path))
                intruder.sendall(text)
                # The greeting comes first; then the end, by a close that a pending greeting may turn into a reset.
                try:
                    while intruder.recv(65536):
                        pass
                except ConnectionResetError:
                    pass
        await media.rows(lambda rows: [row.leg for row in rows] == ["alice"])
        alice.read()
        await alice.hears_more(3)
        assert_one_stream(alice.received)
