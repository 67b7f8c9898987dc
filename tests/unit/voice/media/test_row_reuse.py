"""A leg that is given the row of an earlier leg behaves as if the row had never been used."""

from __future__ import annotations

import struct
from collections.abc import Callable

import numpy as np
import pytest
from G722 import G722
from hypothesis import given
from hypothesis import strategies as st

from holdfast.voice.media.codec.g711 import ALAW, ENCODE, SILENCE, ULAW
from holdfast.voice.media.dtmf.tone_generator import tone
from holdfast.voice.media.mix.beeps import FRAMES, TONES
from holdfast.voice.media.rtp import rtp
from holdfast.voice.media.rtp.receiver_stats import ReceiverStats
from holdfast.voice.media.tick import MixEngine
from tests.unit.voice.media.test_tick import route

LISTENER, REUSED = 0, 1
CLIP = bytes(range(0x10, 0xB0)) + bytes(range(0x20, 0xC0))
LOUD = bytes(range(0x10, 0xB0))
DIGIT = [
    ENCODE[ULAW][np.rint(32767 * tone("5")[160 * k : 160 * k + 160]).astype(np.intp) + 32768].tobytes()
    for k in range(5)
]
TICKS = 14


def put(engine: MixEngine, k: int, payload: bytes, *, ssrc: int = 5) -> None:
    """Put packet k of the party's stream into the row."""
    data = np.zeros((1, rtp.DATAGRAM), dtype=np.uint8)
    datagram = struct.pack("!BBHII", 0x80, 0, k % 2**16, 160 * k % 2**32, ssrc) + payload
    data[0, : len(datagram)] = np.frombuffer(datagram, dtype=np.uint8)
    packets = rtp.parse(data, np.full(1, len(datagram), dtype=np.intp))
    engine.put(packets, data, np.array([REUSED]), packets.valid)


def play(engine: MixEngine, *, loops: int = 1000) -> None:
    clip = engine.clips.get("clip")
    assert clip is not None
    engine.players.start(REUSED, clip, loops=loops)
    route(engine, {REUSED: None})


def tick(engine: MixEngine) -> list[int]:
    ended = engine.tick(2, skipped=0)
    engine.streams.advance(2, np.array([LISTENER, REUSED]), skipped=0)
    return [int(row) for row in ended]


def talk(engine: MixEngine) -> None:
    for k in range(100, 106):
        put(engine, k, LOUD)
        tick(engine)


def talk_late(engine: MixEngine) -> None:
    """Speak with packets that come too late, and with lost ones, so that the delay grows and audio is concealed."""
    for k in (300, 302, 303, 304, 306, 305, 301, 307, 310, 311):
        put(engine, k, LOUD)
        tick(engine)


def press(engine: MixEngine) -> None:
    for k in range(5):
        put(engine, 200 + k, DIGIT[k])
        tick(engine)


EARLIER: dict[str, Callable[[MixEngine], object]] = {
    "speaks": talk,
    "speaks with late and lost packets": talk_late,
    "sends a frame that waits": lambda engine: put(engine, 106, LOUD),
    "presses a digit": press,
    "hears an entry beep": lambda engine: engine.beeps.start([REUSED], tone="entry"),
    "hears an exit beep": lambda engine: engine.beeps.start([REUSED], tone="exit"),
    "hears a digit": lambda engine: engine.tone_generator.add(REUSED, "1"),
    "hears a clip": play,
    "hears a clip that ends": lambda engine: play(engine, loops=1),
    "hears the other": lambda engine: route(engine, {REUSED: (LISTENER,)}),
    "is A-law": lambda engine: engine.describe(REUSED, companding=ALAW, receive=True),
    "is G.722": lambda engine: engine.describe(REUSED, companding=ULAW, receive=True, g722=True),
    "is sent nothing": lambda engine: engine.set_sending(REUSED, sending=False),
    "is watched for digits": lambda engine: engine.tone_detector.set_enabled(REUSED, enabled=True),
    "is watched for speech": lambda engine: engine.voice_activity.set_enabled(REUSED, enabled=True),
    "has its audio dropped": lambda engine: engine.drop(REUSED),
    "a tick passes": tick,
}


def engine_with_listener() -> MixEngine:
    engine = MixEngine(rows=2, clip_frames=10)
    engine.open(LISTENER, ssrc=1, sequence=1, timestamp=1)
    engine.describe(LISTENER, companding=ULAW, receive=True)
    engine.clips.put("clip", CLIP, offset=0, total=len(CLIP))
    open_row(engine)
    return engine


def open_row(engine: MixEngine) -> None:
    engine.open(REUSED, ssrc=9, sequence=7, timestamp=11)


def later_life(engine: MixEngine, *, codec: str, watched: bool, plays: bool, lost: set[int]) -> list[object]:
    """Live through a new leg, and return all that it and its listener hear, and all that is reported about it."""
    noticed: list[object] = []
    put(engine, 0, LOUD)
    noticed.append((engine.jitter.late[REUSED], engine.jitter.depth[REUSED], engine.streams.sent[REUSED]))
    if codec != "unknown":
        engine.describe(REUSED, companding=ALAW if codec == "A-law" else ULAW, receive=True, g722=codec == "G.722")
    if watched:
        engine.tone_detector.set_enabled(REUSED, enabled=True)
        engine.voice_activity.set_enabled(REUSED, enabled=True)
    route(engine, {LISTENER: (REUSED,)} if not plays else {LISTENER: (REUSED,), REUSED: (LISTENER,)})
    if plays:
        play(engine, loops=2)
    wideband = G722(8000, 64_000)
    for k in range(TICKS):
        payload = LOUD if k < TICKS - 5 else DIGIT[k - TICKS + 5]
        if codec == "G.722":
            payload = bytes(wideband.encode(np.arange(0, 16000, 100, dtype=np.int16)))
        if k not in lost:
            put(engine, k, payload)
        ended = tick(engine)
        noticed.append((ended, list(engine.digits), list(engine.speech_changes)))
        noticed.append([bytes(packet[: rtp.PACKET]) for packet in engine.streams.packets[[REUSED]]])
        noticed.append([bytes(engine.tx[row]) for row in (LISTENER, REUSED)])
        noticed.append((engine.jitter.missed[REUSED], engine.jitter.late[REUSED], engine.jitter.depth[REUSED]))
        noticed.append((engine.concealment.concealed[REUSED], engine.streams.sent[REUSED]))
    return noticed


@given(
    earlier=st.lists(st.sampled_from(sorted(EARLIER)), max_size=8),
    codec=st.sampled_from(["unknown", "µ-law", "A-law", "G.722"]),
    watched=st.booleans(),
    plays=st.booleans(),
    lost=st.sets(st.integers(0, TICKS - 1), max_size=4),
)
def test_a_reused_row_behaves_as_a_fresh_one(
    earlier: list[str], codec: str, watched: bool, plays: bool, lost: set[int]
) -> None:
    fresh, reused = engine_with_listener(), engine_with_listener()
    for what in earlier:
        EARLIER[what](reused)
    reused.close(REUSED)
    open_row(reused)
    expected = later_life(fresh, codec=codec, watched=watched, plays=plays, lost=lost)
    assert later_life(reused, codec=codec, watched=watched, plays=plays, lost=lost) == expected


@pytest.mark.parametrize("codec", ["unknown", "A-law", "G.722"])
@pytest.mark.parametrize("what", sorted(EARLIER))
def test_a_leg_changes_nothing_for_the_next_leg_of_its_row(what: str, codec: str) -> None:
    fresh, reused = engine_with_listener(), engine_with_listener()
    EARLIER[what](reused)
    reused.close(REUSED)
    open_row(reused)
    expected = later_life(fresh, codec=codec, watched=True, plays=True, lost={3, 9})
    assert later_life(reused, codec=codec, watched=True, plays=True, lost={3, 9}) == expected


@pytest.mark.parametrize("what", sorted(EARLIER))
def test_nothing_that_began_before_a_leg_closes_reaches_the_next_leg_of_its_row(what: str) -> None:
    """The next leg hears silence from its first packet on, for longer than any beep or digit lasts."""
    engine = engine_with_listener()
    EARLIER[what](engine)
    engine.close(REUSED)
    open_row(engine)
    engine.describe(REUSED, companding=ULAW, receive=True)
    route(engine, {LISTENER: (REUSED,)})
    silent = bytes([SILENCE[ULAW]]) * 160
    for _ in range(2 * FRAMES + 30):
        assert tick(engine) == []
        assert (engine.digits, engine.speech_changes) == ([], [])
        for row in (LISTENER, REUSED):
            assert engine.streams.packets[row, rtp.HEADER : rtp.PACKET].tobytes() == silent


@pytest.mark.parametrize("tone_name", TONES)
def test_a_row_may_hear_a_beep_again_after_its_leg_closed_during_one(tone_name: str) -> None:
    fresh, reused = engine_with_listener(), engine_with_listener()
    reused.beeps.start([REUSED], tone=tone_name)  # type: ignore[arg-type]
    tick(reused)
    reused.close(REUSED)
    open_row(reused)
    heard = []
    for engine in (fresh, reused):
        engine.beeps.start([REUSED], tone=tone_name)  # type: ignore[arg-type]
        for _ in range(FRAMES + 1):
            tick(engine)
            heard.append(bytes(engine.tx[REUSED]))
    assert heard[: FRAMES + 1] == heard[FRAMES + 1 :]
    assert len(set(heard)) > 2, "the beep is heard"


def test_receiver_statistics_of_a_reused_row_begin_again() -> None:
    """Even where the next leg's stream has the same source and continues its numbers."""
    fresh, reused = ReceiverStats(1), ReceiverStats(1)

    def count(stats: ReceiverStats, sequence: int, timestamp: int, arrival: int) -> None:
        numbers = {name: np.array([value]) for name, value in (("ssrc", 3), ("sequence", sequence))}
        stats.count(np.array([0]), **numbers, timestamp=np.array([timestamp]), arrival=arrival)

    for k in (1, 2, 5, 40_000):
        count(reused, k, 160 * k, 170 * k)
    reused.open(0)
    assert reused.report(0) is None
    for stats in (fresh, reused):
        for k in (6, 7, 9):
            count(stats, k, 160 * k, 165 * k)
    assert reused.report(0) == fresh.report(0) is not None


@pytest.mark.parametrize("what", sorted(EARLIER))
def test_a_closed_row_takes_no_part_in_a_tick(what: str) -> None:
    engine = engine_with_listener()
    EARLIER[what](engine)
    engine.close(REUSED)
    for k in range(4):
        assert (tick(engine), engine.digits, engine.speech_changes) == ([], [], []), k
        assert bytes(engine.tx[REUSED]) == bytes([SILENCE[int(engine.companding[REUSED])]]) * 160
    assert (engine.players.in_play(), engine.g722_legs.rows.tolist()) == (set(), []), "its clip may be removed"
