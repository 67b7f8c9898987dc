"""An ear says what was heard when, when a sound began, and whether the stream was whole."""

from collections.abc import Iterable
from dataclasses import replace

import numpy as np
import pytest

from holdfast.testing.audio.ears import (
    NO_PACKETS,
    SILENCE,
    Ear,
    Heard,
    Interval,
    Packet,
    foreign,
    frames,
    stream,
    window,
)
from holdfast.testing.signals import ALICE, BOB, FRAME_S, FRAME_SAMPLES, RATE_HZ
from holdfast.voice.media.codec.g711 import ALAW, encode

HUM = {hum.name: encode(hum.frame()) for hum in (ALICE, BOB)}
QUIET = b"\xff" * FRAME_SAMPLES
ONLY_ALICE, ONLY_BOB = frozenset({"alice"}), frozenset({"bob"})


def spoken(*payloads: bytes, start_s: float = 100.0, first: int = 0) -> list[Packet]:
    """One packet per payload, 20 ms apart."""
    return [
        Packet(
            at_s=start_s + number * FRAME_S,
            payload_type=0,
            marker=False,
            sequence=(65_530 + first + number) % 65_536,
            timestamp=((first + number) * FRAME_SAMPLES - 400) % 2**32,
            ssrc=7,
            payload=payload,
        )
        for number, payload in enumerate(payloads)
    ]


def ear_of(packets: Iterable[Packet]) -> Ear:
    ear = Ear()
    for packet in packets:
        ear.take(packet)
    return ear


def spans(intervals: Iterable[Interval]) -> list[tuple[float, float, Heard]]:
    return [(round(i.start_s, 3), round(i.end_s, 3), i.heard) for i in intervals]


def test_a_switch_from_one_party_to_another_is_two_intervals() -> None:
    ear = ear_of(spoken(*[HUM["alice"]] * 10, *[HUM["bob"]] * 10))

    assert spans(ear.intervals()) == [(100.0, 100.2, ONLY_ALICE), (100.2, 100.4, ONLY_BOB)]
    assert ear.first("bob") == pytest.approx(100.2)
    assert ear.last("alice") == pytest.approx(100.18)


def test_an_edge_between_two_sounds_is_no_interval_of_its_own() -> None:
    torn = HUM["alice"][:80] + HUM["bob"][80:]
    ear = ear_of(spoken(*[HUM["alice"]] * 5, torn, *[HUM["bob"]] * 5))

    assert [interval.heard for interval in ear.intervals()] == [ONLY_ALICE, ONLY_BOB]


def test_a_blip_neither_cuts_a_sound_nor_begins_it() -> None:
    ear = ear_of(spoken(*[HUM["alice"]] * 5, HUM["bob"], *[HUM["alice"]] * 5))

    assert [interval.heard for interval in ear.intervals()] == [ONLY_ALICE]
    assert ear.first("bob") is None
    assert ear.last("bob") == pytest.approx(100.1)
    assert ear.last("carol") is None


def test_no_packets_are_another_thing_than_silence() -> None:
    before, after = spoken(*[QUIET] * 5), spoken(*[QUIET] * 5, start_s=101.0, first=5)
    ear = ear_of([*before, *after])

    assert spans(ear.intervals()) == [(100.0, 100.1, SILENCE), (100.1, 101.0, NO_PACKETS), (101.0, 101.1, SILENCE)]


def test_an_ear_without_a_packet_has_heard_nothing() -> None:
    assert Ear().intervals() == []
    assert Ear().now(5.0) == NO_PACKETS


def test_the_sound_heard_now_follows_the_last_windows() -> None:
    ear = ear_of(spoken(*[HUM["alice"]] * 5, *[HUM["bob"]] * 2))

    assert ear.now(100.13) == ONLY_BOB
    assert ear.now(100.9) == NO_PACKETS


def test_a_part_of_the_time_can_be_asked_for() -> None:
    ear = ear_of(spoken(*[HUM["alice"]] * 10, *[HUM["bob"]] * 10))

    assert [packet.at_s for packet in ear.packets(since_s=100.05, until_s=100.1)] == pytest.approx([100.06, 100.08])
    assert [interval.heard for interval in ear.intervals(since_s=100.25)] == [ONLY_BOB]
    assert ear.first("alice", since_s=100.3) is None


def test_a_whole_stream_and_one_with_faults() -> None:
    whole = spoken(*[QUIET] * 20)
    stranger = replace(whole[10], ssrc=8)
    torn = [*whole[:10], stranger, *whole[12:]]

    assert (stream(whole).sources, stream(whole).holes, stream(whole).leaps) == (1, 0, 0)
    assert stream(whole).longest_gap_s == pytest.approx(FRAME_S)
    assert (stream(torn).sources, stream(torn).holes, stream(torn).leaps) == (2, 1, 1)
    assert stream(torn).longest_gap_s == pytest.approx(2 * FRAME_S)
    assert stream([]).longest_gap_s == 0.0


def test_foreign_payloads_are_found_byte_for_byte() -> None:
    music = b"\x10" * 200
    packets = spoken(*frames(music), QUIET, HUM["alice"])

    assert frames(music)[1] == b"\x10" * 40 + b"\xff" * 120
    assert foreign(packets, {*frames(music), QUIET}) == packets[-1:]


def test_audio_is_laid_out_as_a_player_would() -> None:
    jittered = [
        replace(packet, at_s=packet.at_s + 0.007 * (packet.sequence % 2)) for packet in spoken(*[HUM["alice"]] * 10)
    ]

    audio = ear_of(jittered).samples(since_s=100.0, until_s=100.3)

    assert len(audio) == 0.3 * RATE_HZ
    assert np.array_equal(audio[: 9 * 160], np.tile(window(jittered[0]), 9))
    assert not audio[10 * 160 :].any()


def test_audio_after_a_long_pause_is_where_it_was_heard() -> None:
    late = spoken(*[HUM["bob"]] * 2, start_s=101.0, first=2)
    ear = ear_of([*spoken(*[HUM["alice"]] * 2), *late])

    audio = ear.samples(since_s=100.0, until_s=101.02)

    assert np.array_equal(audio[RATE_HZ:], window(late[0]))
    assert len(ear.samples(since_s=100.0, until_s=99.0)) == 0


def test_a_short_payload_and_one_of_another_law_are_heard_too() -> None:
    alaw = replace(spoken(b"")[0], payload_type=8, payload=encode(ALICE.frame(), ALAW))
    other = replace(alaw, payload_type=96)
    short = replace(alaw, payload_type=0, payload=b"\xff" * 80)

    assert [heard for _, heard in ear_of([alaw, other, short]).heard()] == [ONLY_ALICE, SILENCE, SILENCE]


def test_an_interval_prints_as_a_line() -> None:
    line = str(Interval(start_s=1.0, end_s=2.5, heard=frozenset({"bob", "alice"})))

    assert line.split() == ["1.000-", "2.500", "alice", "+", "bob"]
    assert Interval(start_s=1.0, end_s=2.5, heard=SILENCE).length_s == 1.5
