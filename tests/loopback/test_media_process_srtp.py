"""Encrypted legs through the real media process: audio in, audio out, and nothing plain in between."""

from __future__ import annotations

import socket
import struct
from pathlib import Path

import numpy as np
import pytest

from holdfast.voice.media.rtp import rtcp
from holdfast.voice.media.rtp.srtp import SrtpKeys, SrtpLegs, SrtpSession
from holdfast.voice.media_process.control_link import protocol as m
from holdfast.voice.model.facts import DigitPressed
from tests.loopback.media_process import (
    Media,
    Packet,
    Phone,
    assert_one_stream,
    humming,
    packet,
    phones,
    rtp,
    running,
    seated,
)

THEIRS, OURS, OTHER = bytes(range(30)), bytes(range(30, 60)), bytes(range(60, 90))


class EncryptedPhone(Phone):
    """A phone whose packets are encrypted."""

    def __init__(self, hum: int, keys: SrtpKeys, *, host: str = "127.0.0.1") -> None:
        super().__init__(hum, host=host)
        self.srtp = SrtpSession(keys)
        self.unreadable = 0
        self._line = np.zeros((1, 2400), dtype=np.uint8)
        self._legs = SrtpLegs(self._line)

    def send(self, data: bytes, port: int) -> None:
        """Send a packet encrypted; libsrtp's Python session takes 1,500 bytes at most, the arrays take any packet."""
        self._line[0, : len(data)] = np.frombuffer(data, dtype=np.uint8)
        self._legs.sizes[0] = len(data)
        self._legs.protect([0], [self.srtp])
        super().send(self._line[0, : self._legs.sizes[0]].tobytes(), port)

    def send_plain(self, data: bytes, port: int) -> None:
        super().send(data, port)

    def decode(self, data: bytes) -> Packet | None:
        opened = self.srtp.unprotect(data)
        if opened is None:
            self.unreadable += 1
            return None
        return packet(opened)


async def encrypted_leg(media: Media, leg: str, phone: Phone, keys: SrtpKeys) -> int:
    address = await media.client.open_row(leg)
    media.client.send(m.DescribeRow(leg=leg, remote=phone.address, dtmf_payload_type=101, srtp=keys))
    await media.client.applied()
    return address.port


async def test_an_encrypted_leg_and_a_plain_one_hear_each_other(tmp_path: Path) -> None:
    keys = SrtpKeys(send=THEIRS, receive=OURS)
    alice = EncryptedPhone(0x21, SrtpKeys(send=OURS, receive=THEIRS))
    async with running(tmp_path) as media, phones(0x31) as (bob,):
        to_alice = await encrypted_leg(media, "alice", alice, keys)
        to_bob = await media.leg("bob", bob)
        media.client.send(seated({"alice": ("bob",), "bob": ("alice",)}))
        for _ in range(30):
            alice.send_audio(to_alice)
            bob.send_audio(to_bob)
            await bob.hears_more(1)
        await alice.hears_audio(bob.hum)
        await bob.hears_audio(alice.hum)
        # The same keys in a new description change nothing; the rollover counter and the window go on.
        media.client.send(m.DescribeRow(leg="alice", remote=alice.address, dtmf_payload_type=101, srtp=keys))
        await media.client.applied()
        mark = bob.read()
        for _ in range(10):
            alice.send_audio(to_alice)
            await bob.hears_more(1)
        await bob.hears_audio(alice.hum, after=mark)
        assert alice.unreadable == 0
        assert_one_stream(alice.received)
        (row, _) = await media.client.rows()
        assert row.srtp == "AES_CM_128_HMAC_SHA1_80"
    alice.close()


@pytest.mark.parametrize("ms", [100, 200])
async def test_long_encrypted_packets_are_heard_and_longer_ones_show_that_the_party_is_there(
    ms: int, tmp_path: Path
) -> None:
    """By the process's own sockets, whichever the system has."""
    alice = EncryptedPhone(0x21, SrtpKeys(send=OURS, receive=THEIRS))
    async with running(tmp_path) as media, phones(0x31) as (bob,):
        to_alice = await encrypted_leg(media, "alice", alice, SrtpKeys(send=THEIRS, receive=OURS))
        await media.leg("bob", bob)
        media.client.send(seated({"alice": ("bob",), "bob": ("alice",)}))
        for k in range(0, 4 * ms // 20, ms // 20):
            alice.send(rtp(k, alice.hum[:1] * 8 * ms), to_alice)
            await bob.hears_more(ms // 20)
        await bob.hears_audio(alice.hum)
        alice.send(rtp(100, alice.hum[:1] * 8 * 230), to_alice)
        last = await media.wait_fact(m.Statistics, lambda fact: fact.packets_too_long > 0)
        assert (last.leg, last.packets_received, last.packets_too_long, last.packets_refused) == ("alice", 5, 1, 0)
    alice.close()


async def test_new_keys_apply_from_the_next_packet(tmp_path: Path) -> None:
    """Batches of the old keys that were kept from tick to tick encrypt and decrypt nothing more."""
    alice = EncryptedPhone(0x21, SrtpKeys(send=OURS, receive=THEIRS))
    async with running(tmp_path) as media, phones(0x31) as (bob,):
        to_alice = await encrypted_leg(media, "alice", alice, SrtpKeys(send=THEIRS, receive=OURS))
        to_bob = await media.leg("bob", bob)
        media.client.send(seated({"alice": ("bob",), "bob": ("alice",)}))
        for old, new in ((OURS, OTHER), (OTHER, OURS)):
            mark = bob.read()
            for _ in range(10):
                alice.send_audio(to_alice)
                bob.send_audio(to_bob)
                await bob.hears_more(1)
            await bob.hears_audio(alice.hum, after=mark)
            await alice.hears_audio(bob.hum)
            keys = SrtpKeys(send=new, receive=new)
            media.client.send(m.DescribeRow(leg="alice", remote=alice.address, dtmf_payload_type=101, srtp=keys))
            await media.client.applied()
            (before, _) = await media.client.rows()
            # Packets that were on their way have arrived; those encrypted with the old key are refused.
            await bob.hears_more(10)
            mark = bob.read()
            for _ in range(10):
                alice.send_audio(to_alice)
                await bob.hears_more(1)
            assert {each.payload for each in bob.received[mark:]} == {b"\xff" * 160}, old
            (after, _) = await media.client.rows()
            assert after.packets_received == before.packets_received
            alice.srtp = SrtpSession(keys)
            alice.received.clear()
    alice.close()


async def test_plain_and_forged_packets_of_an_encrypted_leg_are_refused(tmp_path: Path) -> None:
    keys = SrtpKeys(send=THEIRS, receive=OURS)
    alice = EncryptedPhone(0x21, SrtpKeys(send=OURS, receive=THEIRS))
    forger = EncryptedPhone(0x41, SrtpKeys(send=OTHER, receive=THEIRS))
    async with running(tmp_path) as media, phones(0x31) as (bob,):
        to_alice = await encrypted_leg(media, "alice", alice, keys)
        await media.leg("bob", bob)
        media.client.send(seated({"bob": ("alice",)}))
        for k in range(20):
            alice.send_plain(rtp(k, b"\x41" * 160), to_alice)
            forger.send_audio(to_alice)
            await bob.hears_more(1)
        (row, _) = await media.client.rows()
        assert (row.packets_received, row.latched) == (0, False)
        # A digit is pressed, encrypted like the rest.
        alice.send(struct.pack("!BBHII", 0x80, 128 | 101, 0, 0, 7) + bytes([5, 0x80, 0, 160]), to_alice)
        assert (await media.wait_fact(DigitPressed)).digit == "5"
        assert {each.payload for each in bob.received} == {b"\xff" * 160}
    alice.close()
    forger.close()


async def test_a_key_opens_no_other_address_unless_that_is_set(tmp_path: Path) -> None:
    """Copies of packets decrypt as well as the packets: their sender may be anyone."""
    keys = SrtpKeys(send=THEIRS, receive=OURS)
    alice = EncryptedPhone(0x21, SrtpKeys(send=OURS, receive=THEIRS))
    elsewhere = EncryptedPhone(0x22, SrtpKeys(send=OURS, receive=THEIRS), host="127.0.0.9")
    async with running(tmp_path) as media, phones(0x31) as (bob,):
        to_alice, to_bob = await encrypted_leg(media, "alice", alice, keys), await media.leg("bob", bob)
        media.client.send(seated({"bob": ("alice",), "alice": ("bob",)}))
        async with humming((bob, to_bob)):
            for _ in range(20):
                elsewhere.send_audio(to_alice)
                await bob.hears_more(1)
            assert (elsewhere.read(), {each.payload for each in bob.received}) == (0, {b"\xff" * 160})
            media.client.send(
                m.DescribeRow(leg="alice", remote=alice.address, dtmf_payload_type=101, srtp=keys, rtp_source="any")
            )
            await media.client.applied()
            for _ in range(5):
                elsewhere.send_audio(to_alice)
                await bob.hears_more(1)
            await elsewhere.hears_more(1)
    alice.close()
    elsewhere.close()


async def test_rtcp_is_encrypted_both_ways(tmp_path: Path) -> None:
    keys = SrtpKeys(send=THEIRS, receive=OURS, profile="AES_CM_128_HMAC_SHA1_32")
    alice = EncryptedPhone(0x21, SrtpKeys(send=OURS, receive=THEIRS, profile="AES_CM_128_HMAC_SHA1_32"))
    async with running(tmp_path) as media:
        port = await encrypted_leg(media, "alice", alice, keys)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as reports:
            reports.bind(("127.0.0.1", 0))
            reports.settimeout(0)
            alice.send_audio(port)
            await alice.hears_more(1)
            ssrc = alice.received[0].ssrc

            def view(lost: int) -> bytes:
                return struct.pack("!BBHI", 0x81, 201, 7, 7) + struct.pack("!IIIIII", ssrc, lost, 0, 80, 0, 0)

            reports.sendto(alice.srtp.protect_rtcp(view(3)), ("127.0.0.1", port + 1))
            # Packets that are not encrypted are refused, before and after.
            reports.sendto(view(99), ("127.0.0.1", port + 1))
            # Reports are read ten times a second, several packets at a time.
            await alice.hears_more(25)
            media.client.send(m.CloseRow(leg="alice"))
            told = await media.wait_fact(m.Statistics, lambda fact: fact.final)
            assert (told.reported_lost, told.reported_jitter_ms) == (3, 10.0)
            data = reports.recv(2000)
            opened = alice.srtp.unprotect_rtcp(data)
            assert opened is not None
            assert b"holdfast" in opened
            assert b"holdfast" not in data, "our reports are encrypted, the last one too"
            assert rtcp.parse(opened, our_ssrc=7) is not None
    alice.close()


async def test_a_key_of_the_wrong_length_is_refused_and_changes_nothing(tmp_path: Path) -> None:
    async with running(tmp_path) as media, phones(0x31) as (bob,):
        await media.leg("bob", bob)
        media.client.send(m.DescribeRow(leg="bob", remote=bob.address, srtp=SrtpKeys(send=THEIRS[:28], receive=OURS)))
        refused = await media.wait_fact(m.RequestRefused)
        assert "28 bytes" in refused.message
        await bob.hears_more(2)


async def test_an_encrypted_leg_that_cannot_be_reached_ends_no_other_audio(tmp_path: Path) -> None:
    """The system takes none of its packets: no number is encrypted twice, which the cipher would refuse."""
    keys = SrtpKeys(send=THEIRS, receive=OURS)
    async with running(tmp_path) as media, phones(0x31) as (bob,):
        await media.client.open_row("alice")
        media.client.send(m.DescribeRow(leg="alice", remote=("192.0.2.1", 4000), dtmf_payload_type=101, srtp=keys))
        await media.leg("bob", bob)
        await bob.hears_more(20)
        assert {row.leg for row in await media.client.rows()} == {"alice", "bob"}
