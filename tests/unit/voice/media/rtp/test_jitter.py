"""Jitter buffers give out frames in the order and at the distance of their timestamps."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from holdfast.voice.media.codec.g711 import ALAW, SILENCE, ULAW
from holdfast.voice.media.rtp.jitter import (
    CALM_PACKETS,
    LONG_SILENCE,
    MARKED_SILENCE,
    MAX_CUT_WAIT,
    MAX_DEPTH,
    SLOTS,
    START_DEPTH,
    JitterBuffers,
)
from holdfast.voice.media.rtp.rtp import DATAGRAM, HEADER

SILENT = bytes([0xFF]) * 160
LOUD = 0x20


@dataclass(frozen=True, slots=True, kw_only=True)
class Packet:
    timestamp: int
    payload: bytes
    ssrc: int = 1
    marker: bool = False
    start: int = HEADER


class Bench:
    """Jitter buffers with their rows of frames."""

    def __init__(self, rows: int = 1, *, coding: int = ULAW) -> None:
        self.jitter = JitterBuffers(rows)
        self.frames = np.full((rows, 160), SILENCE[coding], dtype=np.uint8)
        for row in range(rows):
            self.jitter.open(row, coding=coding)

    def put(self, packets: dict[int, Packet]) -> None:
        data = np.full((len(packets), DATAGRAM), 0xA7, dtype=np.uint8)
        for k, packet in enumerate(packets.values()):
            end = packet.start + len(packet.payload)
            data[k, packet.start : end] = np.frombuffer(packet.payload, dtype=np.uint8)
        each = list(packets.values())
        self.jitter.put(
            np.array(list(packets), dtype=np.intp),
            timestamp=np.array([p.timestamp % 2**32 for p in each], dtype=np.int64),
            ssrc=np.array([p.ssrc for p in each], dtype=np.int64),
            marker=np.array([p.marker for p in each], dtype=np.bool_),
            data=data,
            start=np.array([p.start for p in each], dtype=np.intp),
            size=np.array([len(p.payload) for p in each], dtype=np.intp),
        )

    def play(self) -> list[bytes]:
        self.jitter.play(self.frames)
        return [frame.tobytes() for frame in self.frames]

    def tick(self, *packets: Packet) -> bytes:
        """Put these packets, then play one tick of row 0."""
        for packet in packets:
            self.put({0: packet})
        return self.play()[0]


def frame(k: int) -> bytes:
    """Return a frame that differs from all others and is loud, so that it never counts as quiet."""
    return bytes([LOUD + k % 64]) * 80 + bytes([LOUD + k // 64 % 64]) * 80


def voice(k: int, *, origin: int = 5000, ssrc: int = 1, marker: bool = False) -> Packet:
    return Packet(timestamp=origin + 160 * k, payload=frame(k), ssrc=ssrc, marker=marker)


def test_the_first_frame_comes_two_ticks_later_and_the_others_follow() -> None:
    bench = Bench()
    heard = [bench.tick(voice(k)) for k in range(50)]
    assert heard == [SILENT] * START_DEPTH + [frame(k) for k in range(50 - START_DEPTH)]


def test_timestamps_wrap() -> None:
    bench = Bench()
    heard = [bench.tick(voice(k, origin=2**32 - 1000)) for k in range(20)]
    assert heard[START_DEPTH:] == [frame(k) for k in range(20 - START_DEPTH)]


@given(st.permutations(range(4)))
def test_order_within_the_buffer_does_not_matter(order: list[int]) -> None:
    bench = Bench()
    bench.tick(voice(0))
    heard = [bench.tick(*(voice(1 + k) for k in order))] + [bench.tick() for _ in range(4)]
    assert heard == [SILENT, *(frame(k) for k in range(4))]


def test_a_duplicate_is_heard_once() -> None:
    bench = Bench()
    heard = [bench.tick(voice(k), voice(k)) for k in range(20)]
    assert heard[START_DEPTH:] == [frame(k) for k in range(18)]


@settings(max_examples=30)
@given(st.sampled_from([40, 80, 160, 240, 320, 480, 560, 800, 960, 1280, 1600]), st.integers(0, 400))
def test_packets_of_any_length_give_the_same_frames(size: int, drop_first: int) -> None:
    """5 to 200 ms a packet, and packets that begin in the middle of a frame."""
    stream = b"".join(frame(k) for k in range(80))[drop_first:]
    bench, sent, heard = Bench(), 0, b""
    for tick in range(50):
        while sent <= 160 * tick and sent + size <= len(stream):
            bench.put({0: Packet(timestamp=9000 + sent, payload=stream[sent : sent + size])})
            sent += size
        heard += bench.play()[0]
    assert heard == SILENT * START_DEPTH + stream[: 48 * 160]


def test_a_header_with_options_gives_the_same_frame() -> None:
    bench = Bench()
    heard = [bench.tick(Packet(timestamp=160 * k, payload=frame(k), start=HEADER + 4 * (k % 3))) for k in range(10)]
    assert heard[START_DEPTH:] == [frame(k) for k in range(8)]


def test_half_a_frame_is_filled_up_with_silence() -> None:
    for coding in (ULAW, ALAW):
        bench = Bench(coding=coding)
        bench.put({0: Packet(timestamp=0, payload=bytes(80))})
        heard = [bench.tick() for _ in range(3)]
        assert heard[-1] == bytes(80) + bytes([SILENCE[coding]]) * 80


def test_a_short_packet_is_not_extended_by_a_longer_one_of_another_row() -> None:
    bench = Bench(2)
    for k in range(3):
        bench.put({0: voice(k), 1: voice(k)})
        bench.play()
    bench.put({0: voice(4)})
    at = voice(3).timestamp
    long = Packet(timestamp=at, payload=frame(3) + frame(4) + frame(5))
    bench.put({0: Packet(timestamp=at, payload=frame(3)[:80]), 1: long})
    heard = [bench.play() for _ in range(5)]
    assert [row[0] for row in heard] == [frame(1), frame(2), frame(3)[:80] + SILENT[:80], frame(4), SILENT]
    assert [row[1] for row in heard] == [frame(k) for k in range(1, 6)]


def test_missing_frames_are_silent_and_counted() -> None:
    bench = Bench()
    for k in range(3):
        bench.tick(voice(k))
    heard, missed = [], []
    for _ in range(6):
        heard.append(bench.tick())
        missed.append((int(bench.jitter.missed_before[0]), int(bench.jitter.missed[0])))
    assert heard == [frame(1), frame(2)] + [SILENT] * 4
    assert missed == [(0, 0), (0, 0), (0, 1), (1, 2), (2, 3), (3, 4)]


def test_nothing_is_missing_while_dtmf_events_arrive() -> None:
    bench = Bench()
    for k in range(3):
        bench.tick(voice(k))
    for _ in range(6):
        bench.jitter.pause(np.array([0]))
        bench.tick()
        assert bench.jitter.missed[0] == 0 or bench.jitter.missed[0] > SLOTS


def test_a_telephone_event_leaves_no_hole() -> None:
    """During an event no audio is sent; the audio after it lies where its timestamp says."""
    bench = Bench()
    for k in range(4):
        bench.tick(voice(k))
    for _ in range(6):
        bench.tick()
    heard = [bench.tick(voice(k)) for k in range(10, 20)]
    assert heard[START_DEPTH:] == [frame(k) for k in range(10, 18)]


def test_late_packets_increase_the_delay_up_to_six_frames() -> None:
    bench = Bench()
    depths = []
    for first in range(0, 120, 12):
        # One packet of twelve is overtaken by ten others, more than the buffer ever waits for.
        order = [first, *range(first + 2, first + 12)]
        for k in order:
            bench.tick(voice(k))
        bench.tick(voice(first + 1))
        depths.append(int(bench.jitter.depth[0]))
    assert depths[: MAX_DEPTH - START_DEPTH] == list(range(START_DEPTH + 1, MAX_DEPTH + 1))
    assert set(depths[MAX_DEPTH - START_DEPTH :]) == {MAX_DEPTH}
    assert bench.jitter.late[0] == 10
    heard = [bench.tick(voice(k)) for k in range(120, 140)]
    assert heard[-10:] == [frame(k) for k in range(130 - MAX_DEPTH, 140 - MAX_DEPTH)]


def test_frames_that_wait_are_heard_though_an_earlier_one_comes_too_late() -> None:
    bench = Bench()
    heard = [bench.tick(voice(k)) for k in range(10)]
    heard += [bench.tick() for _ in range(3)]
    heard += [bench.tick(voice(11), voice(12), voice(10))]
    heard += [bench.tick(voice(k)) for k in range(13, 30)]
    assert bench.jitter.depth[0] == START_DEPTH + 1
    assert [audio for audio in heard if audio != SILENT] == [frame(k) for k in (*range(10), *range(11, 28))]


def deepened() -> Bench:
    """A buffer whose delay has grown, with frames 0 to 14 put."""
    bench = Bench()
    for k in range(10):
        bench.tick(voice(k))
    for _ in range(4):
        bench.tick()
    bench.tick(*[voice(k) for k in range(10, 15)])
    assert bench.jitter.depth[0] > START_DEPTH
    return bench


def test_the_delay_shrinks_at_a_quiet_frame_when_all_packets_are_early() -> None:
    bench = deepened()
    heard = []
    for k in range(15, 15 + 4 * CALM_PACKETS):
        quiet = k % 20 == 0
        heard.append(bench.tick(Packet(timestamp=voice(k).timestamp, payload=b"\xfe" * 160 if quiet else frame(k))))
    assert bench.jitter.depth[0] == START_DEPTH
    # Only quiet frames were left out: every loud one is heard, in order.
    loud = [audio for audio in heard if audio[0] not in (0xFE, 0xFF)][10:]
    first = next(k for k in range(60) if frame(k) == loud[0])
    assert loud == [frame(k) for k in range(first, first + 2 * len(loud)) if k % 20][: len(loud)]
    assert heard[-1] == frame(14 + 4 * CALM_PACKETS - START_DEPTH), "it is heard as soon as in the beginning"


def test_a_frame_with_one_loud_sample_is_not_quiet() -> None:
    """Each frame has its loud sample at another place."""
    bench = deepened()
    depth = int(bench.jitter.depth[0])
    for k in range(15, 15 + MAX_CUT_WAIT):
        audio = bytearray(b"\xfe" * 160)
        audio[k % 160] = 0x00
        bench.tick(Packet(timestamp=voice(k).timestamp, payload=bytes(audio)))
    assert bench.jitter.depth[0] == depth


def test_audio_that_is_never_quiet_is_cut_after_a_while_and_the_cut_is_reported() -> None:
    bench = deepened()
    depth, cuts = int(bench.jitter.depth[0]), []
    for k in range(15, 15 + 2 * CALM_PACKETS + MAX_CUT_WAIT):
        bench.put({0: voice(k)})
        cuts += bench.jitter.play(bench.frames).tolist()
    assert cuts == [0]
    assert bench.jitter.depth[0] == depth - 1


def test_loud_frames_are_not_left_out_to_catch_up_when_nothing_waits_too_long() -> None:
    bench = Bench()
    bench.put({0: voice(0)})
    # Everything comes four frames early from the start.
    bench.put({0: voice(1)})
    for k in range(2, 6):
        bench.put({0: voice(k)})
    heard = [bench.tick(voice(k)) for k in range(6, 6 + 2 * CALM_PACKETS)]
    assert heard[START_DEPTH:] == [frame(k) for k in range(len(heard) - START_DEPTH)]


def test_a_new_source_is_heard_at_once() -> None:
    bench = Bench()
    for k in range(10):
        bench.tick(voice(k))
    heard = [bench.tick(voice(k, origin=77_000_000, ssrc=2)) for k in range(20, 30)]
    assert heard[START_DEPTH:] == [frame(k) for k in range(20, 28)]


@pytest.mark.parametrize("ahead", [1, 5, -1])
def test_a_new_source_is_heard_at_once_though_its_timestamps_would_fit_the_ring(ahead: int) -> None:
    bench = Bench()
    for k in range(10):
        bench.tick(voice(k))
    heard = [bench.tick(voice(k, origin=5000 + 160 * ahead, ssrc=2)) for k in range(10, 20)]
    assert heard == [SILENT] * START_DEPTH + [frame(k) for k in range(10, 18)]


def test_one_wild_timestamp_changes_nothing() -> None:
    bench = Bench()
    for k in range(10):
        bench.tick(voice(k))
    heard = [bench.tick(voice(10), Packet(timestamp=2_000_000_000, payload=frame(63)))]
    heard += [bench.tick(voice(k)) for k in range(11, 20)]
    assert heard == [frame(k) for k in range(10 - START_DEPTH, 20 - START_DEPTH)]


@pytest.mark.parametrize(("ahead", "is_kept"), [(SLOTS - 1, True), (SLOTS, False)])
def test_a_frame_is_kept_in_its_own_place_of_the_ring_or_dropped(ahead: int, is_kept: bool) -> None:
    bench = Bench()
    for k in range(10):
        bench.tick(voice(k))
    far = 10 - START_DEPTH + ahead
    bench.put({0: voice(far)})
    heard = [bench.tick(voice(k)) for k in range(10, far)] + [bench.tick() for _ in range(START_DEPTH + 1)]
    assert heard[:-1] == [frame(k) for k in range(10 - START_DEPTH, far)]
    assert heard[-1] == (frame(far) if is_kept else SILENT)


@given(st.sampled_from([SLOTS * 160, 10**6, 2**31, -SLOTS * 160 - 3200, -(10**6)]))
def test_a_clock_jump_is_followed_at_its_second_packet(leap: int) -> None:
    bench = Bench()
    for k in range(10):
        bench.tick(voice(k))
    heard = [bench.tick(voice(k, origin=5000 + leap)) for k in range(10, 20)]
    assert heard[1 + START_DEPTH :] == [frame(k) for k in range(11, 18)]


def test_a_clock_that_stood_still_is_followed_at_its_fourth_packet() -> None:
    """The phone paused for ten frames and continued its timestamps where it stopped."""
    bench = Bench()
    for k in range(10):
        bench.tick(voice(k))
    for _ in range(10):
        bench.tick()
    heard = [bench.tick(voice(k)) for k in range(10, 30)]
    assert heard[-5:] == [frame(k) for k in range(25 - START_DEPTH, 30 - START_DEPTH)]


def test_after_a_silence_any_timestamp_restarts_the_buffer() -> None:
    for quiet_ticks, marker in ((LONG_SILENCE, False), (4, True)):
        bench = Bench()
        for k in range(10):
            bench.tick(voice(k))
        for _ in range(quiet_ticks):
            bench.tick()
        heard = [bench.tick(voice(k, origin=900_000, marker=marker)) for k in range(10, 20)]
        assert heard[START_DEPTH:] == [frame(k) for k in range(10, 18)]


@settings(max_examples=60)
@given(
    st.lists(st.tuples(st.integers(3, 12), st.integers(3, 40)), min_size=1, max_size=6),
    st.booleans(),
    st.booleans(),
)
def test_a_phone_that_suppresses_silence_is_heard_word_by_word(
    words: list[tuple[int, int]], marked: bool, clock_goes_on: bool
) -> None:
    """Words and pauses of any length; the clock goes on in the pauses, or with a marker stands still in them."""
    clock_goes_on |= not marked
    bench, heard, said, clock, number = Bench(), [], [], 0, 0
    for length, pause in words:
        for k in range(length):
            packet = Packet(timestamp=160 * clock, payload=frame(number), marker=marked and not k)
            heard.append(bench.tick(packet))
            said.append(frame(number))
            clock, number = clock + 1, number + 1
        # While a word is still to be heard, the next one does not begin: its end would be lost with the silence.
        heard += [bench.tick() for _ in range(pause)]
        clock += pause if clock_goes_on else 0
    assert [audio for audio in heard if audio != SILENT] == said


@settings(max_examples=20, deadline=None)
@given(st.sampled_from([-300, -100, -20, 20, 100, 300]))
def test_a_clock_that_runs_fast_or_slow_costs_a_frame_now_and_then(drift_ppm: int) -> None:
    """A minute of a phone whose clock differs: nothing is heard twice or out of order, and hardly a frame is lost.

    Units: parts per million; ordinary phones are within 50.
    """
    bench, sent, heard = Bench(), 0, []
    ticks = 50 * 60
    for tick in range(ticks):
        while sent <= tick * (1 + drift_ppm / 1e6):
            quiet = sent % 25 == 0
            audio = bytes([0xFE]) * 160 if quiet else sent.to_bytes(2, "big") * 80
            bench.put({0: Packet(timestamp=160 * sent, payload=audio)})
            sent += 1
        heard.append(bench.play()[0])
    numbers = [int.from_bytes(audio[:2], "big") for audio in heard if audio[0] not in (0xFE, 0xFF)]
    assert numbers == sorted(set(numbers))
    spoken = sum(1 for k in range(sent - MAX_DEPTH) if k % 25)
    assert len(numbers) >= spoken - 3


def test_a_phone_that_marks_every_packet_is_heard() -> None:
    bench = Bench()
    heard = [bench.tick(voice(k, marker=True)) for k in range(10)]
    assert heard[START_DEPTH:] == [frame(k) for k in range(8)]


def test_a_reset_drops_the_frames_that_wait() -> None:
    bench = Bench()
    for k in range(10):
        bench.tick(voice(k))
    bench.jitter.reset(0, coding=ALAW)
    assert {bench.tick() for _ in range(20)} == {bytes([SILENCE[ALAW]]) * 160}


@given(st.integers(1, 40))
def test_frames_of_skipped_ticks_are_dropped_and_later_ones_not_delayed(skipped: int) -> None:
    bench = Bench()
    for k in range(10):
        bench.tick(voice(k))
    for k in range(10, 10 + min(skipped, 8) + 1):
        bench.put({0: voice(k)})
    bench.jitter.skip(1, frames=skipped)
    first = bench.play()[0]
    if skipped <= 8:
        assert first == frame(10 + skipped - START_DEPTH)
    heard = [bench.tick(voice(k)) for k in range(11 + skipped, 60)]
    assert heard[3:] == [frame(k) for k in range(14 + skipped - START_DEPTH, 60 - START_DEPTH)]


# --- any number of legs in one buffer are that many buffers ------------------------------------------------------

packets = st.builds(
    lambda k, jitter, size, ssrc, marker: Packet(
        timestamp=1000 + 160 * k + jitter, payload=frame(k % 60)[:80] * (size // 80), ssrc=ssrc, marker=marker
    ),
    st.integers(0, 60) | st.integers(0, 2**20),
    st.sampled_from([0, 0, 0, 0, 80, 3]),
    st.sampled_from([160, 160, 160, 80, 240, 320, 480]),
    st.sampled_from([1, 1, 1, 1, 2]),
    st.booleans(),
)
moments = st.lists(
    st.tuples(st.integers(0, 2), packets) | st.sampled_from(["tick", "tick", "tick", "skip"]), min_size=5, max_size=80
)


@settings(max_examples=60)
@given(moments)
def test_no_leg_touches_another(walk: list[tuple[int, Packet] | str]) -> None:
    """Packets of other rows that arrive at the same time change nothing."""
    together, apart = Bench(3), [Bench() for _ in range(3)]
    waiting: dict[int, Packet] = {}

    def put_packets() -> None:
        together.put(waiting)
        waiting.clear()

    for moment in walk:
        if moment == "tick":
            put_packets()
            assert together.play() == [bench.play()[0] for bench in apart]
        elif moment == "skip":
            put_packets()
            together.jitter.skip(3, frames=2)
            for bench in apart:
                bench.jitter.skip(1, frames=2)
        elif not isinstance(moment, str):
            row, packet = moment
            if row in waiting:
                put_packets()
            waiting[row] = packet
            apart[row].put({0: packet})


@settings(max_examples=60)
@given(moments)
def test_every_frame_is_received_audio_or_silence(walk: list[tuple[int, Packet] | str]) -> None:
    bench = Bench()
    came: set[int] = {0xFF}
    for moment in walk:
        if moment == "tick":
            assert set(bench.play()[0]) <= came
        elif not isinstance(moment, str):
            came |= set(moment[1].payload)
            bench.put({0: moment[1]})


@settings(max_examples=40)
@given(st.lists(st.integers(0, 35), min_size=30, max_size=60))
def test_under_two_frames_of_jitter_everything_is_heard_in_order(delays_ms: list[int]) -> None:
    """Packets delayed by less than the start depth, in any order, come out whole."""
    bench = Bench()
    arrivals = sorted([(20 * (k + 1) + (delay if k else 0), k) for k, delay in enumerate(delays_ms)])
    heard = []
    for tick in range(1, len(delays_ms) + 6):
        while arrivals and arrivals[0][0] <= 20 * tick:
            bench.put({0: voice(arrivals.pop(0)[1])})
        heard.append(bench.play()[0])
    assert heard[START_DEPTH : START_DEPTH + len(delays_ms)] == [frame(k) for k in range(len(delays_ms))]


def test_a_frame_at_the_far_end_of_the_ring_is_not_heard_early_when_the_delay_grows() -> None:
    """The slot that comes before the head when the delay grows is also the one 15 frames ahead."""
    bench = Bench()
    for k in range(10):
        bench.tick(voice(k))
    far = 10 - START_DEPTH + SLOTS - 1
    bench.put({0: voice(far)})
    bench.put({0: voice(10 - START_DEPTH - 2)})
    assert bench.jitter.depth[0] == START_DEPTH + 1
    heard = [bench.tick(voice(k)) for k in range(10, 20)]
    assert heard[0] == SILENT, "the frame in its place was played before"
    assert heard[1:] == [frame(k) for k in range(10 - START_DEPTH, 19 - START_DEPTH)]


@pytest.mark.parametrize("size", [80, 160, 320])
@pytest.mark.parametrize("quiet_ticks", [0, 1, MARKED_SILENCE - 1])
def test_a_marker_without_a_silence_before_it_does_not_restart_the_buffer(quiet_ticks: int, size: int) -> None:
    """Frames that wait are heard, and the marked packet has the place of its timestamp."""
    bench = Bench()
    heard = [bench.tick(voice(k)) for k in range(10)]
    heard += [bench.tick() for _ in range(quiet_ticks)]
    at = 10 + quiet_ticks
    payload = (frame(at) + frame(at + 1))[:size]
    heard.append(bench.tick(Packet(timestamp=voice(at).timestamp, payload=payload, marker=True)))
    heard += [bench.tick() for _ in range(4)]
    expected = b"".join(frame(k) for k in range(10)) + SILENT * quiet_ticks + payload
    assert b"".join(heard[START_DEPTH:]).rstrip(b"\xff") == expected


def test_the_reported_delay_does_not_fall_below_the_start_delay() -> None:
    """All packets of a stream are early though the delay never grew: frames are cut, and the delay is as reported."""
    bench = Bench()
    quiet = b"\xfe" * 160
    bench.put({0: Packet(timestamp=0, payload=quiet)})
    for k in range(1, 4):
        bench.put({0: Packet(timestamp=160 * k, payload=quiet)})
    depths = []
    for k in range(4, 4 + 4 * CALM_PACKETS):
        bench.tick(Packet(timestamp=160 * k, payload=quiet))
        depths.append(int(bench.jitter.depth[0]))
    assert set(depths) == {START_DEPTH}


def in_packets(k: int, frames: int, *, marker: bool = False, payload: bytes | None = None) -> Packet:
    """Return packet number k of a stream with so many frames in a packet."""
    audio = b"".join(payload or frame(frames * k + each) for each in range(frames))
    return Packet(timestamp=160 * frames * k, payload=audio, marker=marker)


@pytest.mark.parametrize("frames", [3, 5, 10])
@pytest.mark.parametrize("marker", [False, True])
def test_a_long_stream_of_long_packets_loses_nothing(frames: int, marker: bool) -> None:
    """It is not taken for a stream that is early, nor a marker on each packet for the end of a silence."""
    bench, heard = Bench(), []
    for k in range(3 * CALM_PACKETS):
        heard.append(bench.tick(in_packets(k, frames, marker=marker)))
        heard += [bench.tick() for _ in range(frames - 1)]
    assert heard == [SILENT] * START_DEPTH + [frame(k) for k in range(3 * CALM_PACKETS * frames - START_DEPTH)]
    assert bench.jitter.depth[0] == START_DEPTH


def test_long_quiet_packets_are_not_cut() -> None:
    bench, quiet = Bench(), b"\xfe" * 160
    for k in range(3 * CALM_PACKETS):
        heard = [bench.tick(in_packets(k, 10, payload=quiet)), *(bench.tick() for _ in range(9))]
        assert k == 0 or heard == [quiet] * 10


def test_two_long_packets_at_once_are_both_heard() -> None:
    bench = Bench()
    heard = [bench.tick(in_packets(0, 10), in_packets(1, 10)), *(bench.tick() for _ in range(19))]
    heard += [bench.tick(in_packets(2, 10)), *(bench.tick() for _ in range(12))]
    assert heard[START_DEPTH : START_DEPTH + 30] == [frame(k) for k in range(30)]


@pytest.mark.parametrize("late_ticks", [3, 4, 5])
def test_a_long_packet_whose_beginning_is_late_increases_the_delay(late_ticks: int) -> None:
    """What is not late of it is heard, and packets as late as it are heard whole afterwards."""
    bench = Bench()
    for k in range(3):
        for tick in range(10):
            bench.tick(*([in_packets(k, 10)] if tick == 0 else []))
    heard = []
    for k in range(3, 9):
        for tick in range(10):
            heard.append(bench.tick(*([in_packets(k, 10)] if tick == late_ticks else [])))
    assert bench.jitter.depth[0] == late_ticks
    audio = [each for each in heard if each != SILENT]
    assert audio[-40:] == [frame(k) for k in range(50 - late_ticks, 90 - late_ticks)]
    growths = late_ticks - START_DEPTH
    assert len(heard) - len(audio) == sum(range(growths + 1)), "what was late of each packet is silent"
