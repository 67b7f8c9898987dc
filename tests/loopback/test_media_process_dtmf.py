"""DTMF through the real media process: as events and as tones, in and out."""

from __future__ import annotations

import struct
from itertools import pairwise
from pathlib import Path

import numpy as np

from holdfast.voice.media.dtmf import event_receiver
from holdfast.voice.media.dtmf.tone_detector import ToneDetector
from holdfast.voice.media_process.control_link import protocol as m
from holdfast.voice.model.effects import StopSound
from holdfast.voice.model.facts import DigitPressed, SoundEnded
from holdfast.voice.model.payload_types import PayloadTypes
from holdfast.voice.runtime.sounds.generated import dtmf_tones
from tests.loopback.media_process import (
    SILENT,
    Packet,
    Phone,
    assert_one_stream,
    phones,
    rtp,
    running,
    seated,
    sound_of,
)


def heard(last: event_receiver.DigitPress | None, each: Packet) -> tuple[event_receiver.DigitPress | None, str | None]:
    return event_receiver.receive(last, each.payload, timestamp=each.timestamp, marker=each.marker, ssrc=each.ssrc)


def tones(digits: str) -> bytes:
    sound = dtmf_tones(digits)
    assert sound is not None
    return sound.audio


async def test_digits_are_sent_as_events_where_those_were_agreed(tmp_path: Path) -> None:
    async with running(tmp_path) as media, phones(0x21) as (alice,):
        await media.leg("alice", alice)
        await media.client.put_clip("digits:1w#", tones("1w#"))
        media.client.send(seated({"alice": None}))
        media.client.send(m.PlayClip(token=sound_of("alice", "t"), clip_id="digits:1w#", loops=2, digits="1w#"))
        await media.wait_fact(SoundEnded)
        await alice.hears_more(2)
        told, last = "", None
        for each in alice.received:
            if each.payload_type == 101:
                last, digit = heard(last, each)
                told += digit or ""
            else:
                assert each.payload == SILENT, "the tones themselves are not sent"
        assert told == "1#1#"
        sequence = [each.sequence for each in alice.received]
        assert {(after - before) % 65536 for before, after in pairwise(sequence)} == {1}
        sound = [each for each in alice.received if each.payload_type == 0]
        assert len({each.ssrc for each in alice.received}) == 1
        assert all((b.timestamp - a.timestamp) % 2**32 % 160 == 0 for a, b in pairwise(sound))


async def test_digits_are_sent_as_tones_where_no_events_were_agreed(tmp_path: Path) -> None:
    async with running(tmp_path) as media, phones(0x21) as (alice,):
        await media.client.open_row("alice")
        media.client.send(m.DescribeRow(leg="alice", remote=alice.address))
        await media.client.put_clip("digits:5", tones("5"))
        media.client.send(seated({"alice": None}))
        media.client.send(m.PlayClip(token=sound_of("alice", "t"), clip_id="digits:5", digits="5"))
        first = await alice.hears_audio(tones("5")[:160])
        await media.wait_fact(SoundEnded)
        await alice.hears_more(1)
        sound = b"".join(each.payload for each in alice.received[first:])
        assert sound.startswith(tones("5")[: len(sound)])
        assert_one_stream(alice.received)


async def test_sending_no_digit_sends_no_event(tmp_path: Path) -> None:
    async with running(tmp_path) as media, phones(0x21) as (alice,):
        await media.leg("alice", alice)
        await media.client.put_clip("digits:x", tones("1"))
        media.client.send(seated({"alice": None}))
        media.client.send(m.PlayClip(token=sound_of("alice", "t"), clip_id="digits:x", digits="x"))
        await media.wait_fact(SoundEnded)
        await alice.hears_more(1)
        assert {each.payload_type for each in alice.received} == {0}


async def test_stopped_digits_send_no_more_events(tmp_path: Path) -> None:
    async with running(tmp_path) as media, phones(0x21) as (alice,):
        await media.leg("alice", alice)
        await media.client.put_clip("digits:12345", tones("12345"))
        media.client.send(seated({"alice": None}))
        media.client.send(m.PlayClip(token=sound_of("alice", "t"), clip_id="digits:12345", digits="12345"))
        await alice.hears(lambda each: each.payload_type == 101)
        media.client.send(StopSound(token=sound_of("alice", "t")))
        await media.client.applied()
        mark = alice.read()
        await alice.hears_more(30)
        assert {each.payload_type for each in alice.received[mark + 1 :]} == {0}


async def test_digits_are_received_by_our_number_and_sent_by_the_partys(tmp_path: Path) -> None:
    """Source: RFC 3264 §5.1, §6.1."""
    async with running(tmp_path) as media, phones(0x21, 0x31) as (alice, bob):
        to_alice = (await media.client.open_row("alice")).port
        media.client.send(
            m.DescribeRow(
                leg="alice",
                remote=alice.address,
                dtmf_payload_type=110,
                payload_types=PayloadTypes(receive=((101, "telephone-event"),)),
            )
        )
        to_bob = await media.leg("bob", bob)
        media.client.send(seated({"alice": ("bob",), "bob": ("alice",)}))
        await media.client.applied()
        for number, digit, payload_type in ((1, "3", 101), (9, "4", 110), (17, "5", 102), (25, "6", 101)):
            event = struct.pack("!BBHII", 0x80, 128 | payload_type, number, 160 * number, 7)
            alice.send(event + bytes([int(digit), 0x80, 0, 160]), to_alice)
        await media.wait_fact(DigitPressed, lambda fact: fact.digit == "6")
        assert [fact.digit for fact in media.facts if isinstance(fact, DigitPressed)] == ["3", "4", "6"]
        bob.send(digit_event(1, 7), to_bob)
        await alice.hears(lambda each: each.payload_type == 110)
        await bob.hears(lambda each: each.payload_type == 101)
        assert {each.payload_type for each in alice.received} <= {0, 110}


async def test_tones_in_the_audio_of_a_phone_without_events_are_digits(tmp_path: Path) -> None:
    async with running(tmp_path) as media, phones(0x21, 0x31) as (alice, bob):
        address = await media.client.open_row("alice")
        media.client.send(m.DescribeRow(leg="alice", remote=alice.address))
        to_bob = await media.leg("bob", bob)
        audio = tones("2580#")
        for k in range(0, len(audio), 160):
            for phone, port in ((alice, address.port), (bob, to_bob)):
                phone.send(rtp(k // 160, audio[k : k + 160].ljust(160, b"\xff")), port)
            await alice.hears_more(1)
        # Bob agreed to events: his tones are sound, and none of our business.
        bob.send(struct.pack("!BBHII", 0x80, 128 | 101, 900, 0, 7) + bytes([9, 0x80, 0, 160]), to_bob)
        await media.wait_fact(DigitPressed, lambda fact: fact.call == "bob")
        await media.wait_fact(DigitPressed, lambda fact: fact.digit == "#")
        pressed = [(fact.call, fact.digit) for fact in media.facts if isinstance(fact, DigitPressed)]
        assert [digit for leg, digit in pressed if leg == "alice"] == list("2580#")
        assert [digit for leg, digit in pressed if leg == "bob"] == ["9"]


def digit_event(number: int, code: int) -> bytes:
    """Return the one packet of a whole digit."""
    return struct.pack("!BBHII", 0x80, 128 | 101, number, 160 * number, 7) + bytes([code, 0x80, 0, 160])


def sent_digits(phone: Phone, after: int = 0) -> str:
    """Return the digits that a phone received as events."""
    told, last = "", None
    for each in phone.received[after:]:
        if each.payload_type == 101:
            last, digit = heard(last, each)
            told += digit or ""
    return told


async def test_digits_of_one_of_two_legs_are_relayed_to_the_other(tmp_path: Path) -> None:
    async with running(tmp_path) as media, phones(0x21, 0x31, 0x41) as (alice, bob, carol):
        to_alice, _ = await media.leg("alice", alice), await media.leg("bob", bob)
        await media.leg("carol", carol)
        media.client.send(seated({"alice": ("bob",), "bob": ("alice",), "carol": ()}))
        await media.client.applied()
        for number, code in enumerate((1, 2, 11)):
            alice.send(digit_event(100 + number, code), to_alice)
        await bob.hears(lambda each: each.payload_type == 101 and each.payload[0] == 11 and each.payload[1] >= 128)
        await bob.hears_more(3)
        assert sent_digits(bob) == "12#"
        assert_numbered(bob)
        # With three legs there is no single peer, and a held party is not heard.
        media.client.send(seated({"alice": ("bob", "carol"), "bob": ("alice", "carol"), "carol": ("alice", "bob")}))
        await media.client.applied()
        alice.send(digit_event(200, 5), to_alice)
        await media.wait_fact(DigitPressed, lambda fact: fact.digit == "5")
        media.client.send(seated({"alice": None, "bob": (), "carol": ()}))
        await media.client.applied()
        alice.send(digit_event(300, 6), to_alice)
        await media.wait_fact(DigitPressed, lambda fact: fact.digit == "6")
        mark = bob.read()
        await bob.hears_more(10)
        assert (sent_digits(bob, mark), sent_digits(carol), sent_digits(alice)) == ("", "", "")
        pressed = [fact.digit for fact in media.facts if isinstance(fact, DigitPressed)]
        assert pressed == list("12#56")


async def test_digits_are_relayed_as_tones_where_no_events_were_agreed_and_not_after_a_hold(
    tmp_path: Path,
) -> None:
    async with running(tmp_path) as media, phones(0x21, 0x31) as (alice, bob):
        to_alice = await media.leg("alice", alice)
        await media.client.open_row("bob")
        media.client.send(m.DescribeRow(leg="bob", remote=bob.address))
        media.client.send(seated({"alice": ("bob",), "bob": ("alice",)}))
        await media.client.applied()
        for number, code in enumerate((1, 2, 11)):
            alice.send(digit_event(100 + number, code), to_alice)
        await bob.hears_more(35)
        assert received_tones(bob) == "12#"
        assert_one_stream(bob.received)
        for number in range(5):
            alice.send(digit_event(200 + number, 5), to_alice)
        await bob.hears_audio(tones("5")[:160])
        media.client.send(seated({"alice": None, "bob": None}))
        await media.client.applied()
        mark = bob.read()
        await bob.hears_more(20)
        assert {each.payload for each in bob.received[mark + 1 :]} == {SILENT}


async def test_digits_from_signalling_are_relayed_like_others(tmp_path: Path) -> None:
    async with running(tmp_path) as media, phones(0x21, 0x31) as (alice, bob):
        await media.leg("alice", alice)
        await media.leg("bob", bob)
        media.client.send(seated({"alice": ("bob",), "bob": ("alice",)}))
        for digit in "4#":
            media.client.send(m.RelayDigit(leg="alice", digit=digit))
        media.client.send(m.RelayDigit(leg="unknown", digit="1"))
        await bob.hears(lambda each: each.payload_type == 101 and each.payload[0] == 11 and each.payload[1] >= 128)
        await bob.hears_more(3)
        assert (sent_digits(bob), sent_digits(alice)) == ("4#", "")
        assert [fact for fact in media.facts if isinstance(fact, DigitPressed)] == [], "control knows already"


def received_tones(phone: Phone) -> str:
    """Return the digits that a phone received as tones."""
    detector, told = ToneDetector(1), ""
    detector.set_enabled(0, enabled=True)
    for each in phone.received:
        frame = np.frombuffer(each.payload, dtype=np.uint8)[None, :]
        told += "".join(digit for _, digit in detector.detect(frame, np.zeros(1, dtype=np.intp)))
    return told


async def test_a_flood_of_digits_is_relayed_in_part_and_ends(tmp_path: Path) -> None:
    async with running(tmp_path) as media, phones(0x21, 0x31) as (alice, bob):
        to_alice, _ = await media.leg("alice", alice), await media.leg("bob", bob)
        media.client.send(seated({"alice": ("bob",), "bob": ("alice",)}))
        await media.client.applied()
        for number in range(100):
            alice.send(digit_event(100 + number, 8), to_alice)
            if number % 8 == 7:
                await bob.hears_more(1)
        sound = bob.read() + 130
        await bob.hears(lambda each: each.payload_type == 0, after=sound)
        assert 10 <= len(sent_digits(bob)) < 40
        assert_numbered(bob)


def assert_numbered(phone: Phone) -> None:
    """Assert one stream of events and audio together, without a gap."""
    assert len({each.ssrc for each in phone.received}) == 1
    sequence = [each.sequence for each in phone.received]
    assert {(after - before) % 65536 for before, after in pairwise(sequence)} == {1}
