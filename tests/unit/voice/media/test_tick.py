"""The tick: a held party hears its clip and is not heard, whatever else happens."""

from __future__ import annotations

import struct
from collections.abc import Mapping

import numpy as np
from G722 import G722
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule

from holdfast.voice.media.codec.g711 import (
    ALAW,
    DECODE,
    ENCODE,
    SILENCE,
    TRANSCODE,
    ULAW,
)
from holdfast.voice.media.rtp import rtp
from holdfast.voice.media.rtp.jitter import START_DEPTH
from holdfast.voice.media.tick import MixEngine

LEGS = 4
CLIP = b"\x11" * 160 + b"\x12" * 160


def packet(leg: int, k: int, payload: bytes) -> bytes:
    return struct.pack("!BBHII", 0x80, 0, k % 2**16, 160 * k, leg) + payload


def send_audio(engine: MixEngine, payloads: dict[int, bytes], k: int) -> None:
    """Put one packet of each of these legs."""
    data = np.zeros((len(payloads), rtp.DATAGRAM), dtype=np.uint8)
    for line, (leg, payload) in zip(data, payloads.items(), strict=True):
        datagram = packet(leg, k, payload)
        line[: len(datagram)] = np.frombuffer(datagram, dtype=np.uint8)
    packets = rtp.parse(data, np.full(len(payloads), 172, dtype=np.intp))
    engine.put(packets, data, np.array(list(payloads), dtype=np.intp), packets.valid)


def opened(compandings: list[int]) -> MixEngine:
    engine = MixEngine(rows=LEGS + 2, clip_frames=10)
    for leg, companding in enumerate(compandings):
        engine.open(leg, ssrc=leg + 1, sequence=100, timestamp=1000)
        engine.describe(leg, companding=companding, receive=True)
    engine.clips.put("clip", CLIP, offset=0, total=len(CLIP))
    return engine


def route(engine: MixEngine, hears: Mapping[int, tuple[int, ...] | None]) -> None:
    """Seat these legs in one room so that each hears these legs, or (None) its own player."""
    heard = {speaker for speakers in hears.values() for speaker in speakers or ()}
    for leg in heard | hears.keys():
        engine.seats.room[leg] = 0
        engine.seats.heard[leg], engine.seats.listens[leg] = leg in heard, hears.get(leg) is not None
    engine.reroute()


def sent(engine: MixEngine, leg: int) -> bytes:
    return engine.streams.packets[leg, rtp.HEADER : rtp.PACKET].tobytes()


def test_a_new_leg_is_sent_silence_in_its_companding() -> None:
    engine = opened([ULAW, ALAW])
    engine.tick(2, skipped=0)
    assert [sent(engine, leg) for leg in (0, 1)] == [bytes([SILENCE[companding]]) * 160 for companding in (ULAW, ALAW)]


def test_a_closed_leg_is_not_heard() -> None:
    engine = opened([ULAW] * 3)
    route(engine, {0: (1, 2), 1: (0, 2), 2: (0, 1)})
    for k in range(5):
        send_audio(engine, {1: b"\x21" * 160, 2: b"\x31" * 160}, k)
        engine.tick(3, skipped=0)
    engine.close(2)
    engine.tick(2, skipped=0)
    assert sent(engine, 0) == b"\x21" * 160


def test_a_leg_that_may_not_send_falls_silent_at_once() -> None:
    engine = opened([ULAW] * 2)
    route(engine, {0: (1,)})
    for k in range(5):
        send_audio(engine, {1: b"\x21" * 160}, k)
        engine.tick(2, skipped=0)
    assert sent(engine, 0) == b"\x21" * 160
    engine.describe(1, companding=ULAW, receive=False)
    engine.tick(2, skipped=0)
    assert sent(engine, 0) == b"\xff" * 160


def test_frames_between_two_g722_legs_pass_unchanged_and_recordings_get_8_khz_audio() -> None:
    engine = opened([ULAW] * 2)
    for leg in (0, 1):
        engine.describe(leg, companding=ULAW, receive=True, g722=True)
    route(engine, {0: (1,), 1: (0,)})
    coder = G722(16_000, 64_000)
    tone = (8000 * np.sin(2 * np.pi * 1000 * np.arange(320) / 16_000)).astype(np.int16)
    rx = [bytes(coder.encode(tone)) for _ in range(12)]
    for k, payload in enumerate(rx):
        send_audio(engine, {1: payload}, k)
        if k == 10:
            engine.beeps.start([0], tone="entry")
        engine.tick(2, skipped=0)
        if START_DEPTH <= k < 10:
            assert sent(engine, 0) == rx[k - START_DEPTH]
            if k > 6:
                heard = DECODE[ULAW][engine.tx[0]].astype(float)
                assert 0.9 < np.std(heard) / np.std(tone) < 1.1, "a recording gets µ-law audio"
    assert sent(engine, 0) != rx[-1 - START_DEPTH], "a beep is laid over it"


def test_skipped_ticks_delay_no_audio() -> None:
    engine = opened([ULAW] * 2)
    route(engine, {0: (1,)})
    for k in range(20):
        send_audio(engine, {1: bytes([0x20 + k]) * 160}, k)
        if k == 8:
            send_audio(engine, {1: bytes([0x20 + 9]) * 160}, 9)
            send_audio(engine, {1: bytes([0x20 + 10]) * 160}, 10)
        if k not in (9, 10):
            engine.tick(2, skipped=2 if k == 11 else 0)
        if k > 12:
            assert sent(engine, 0) == bytes([0x20 + k - START_DEPTH]) * 160


def test_concealment_forgets_the_old_companding_of_a_leg() -> None:
    fresh, changed = opened([ULAW] * 2), opened([ULAW] * 2)
    for k in range(10):
        send_audio(changed, {1: bytes(range(0x10, 0xB0))}, k)
        changed.tick(2, skipped=0)
    heard = []
    for engine in (fresh, changed):
        route(engine, {0: (1,)})
        engine.describe(1, companding=ALAW, receive=True)
        for k in range(20, 28):
            if k not in (22, 25):
                send_audio(engine, {1: bytes(range(0x30, 0xD0))}, k)
            engine.tick(2, skipped=0)
            heard.append(sent(engine, 0))
    assert heard[:8] == heard[8:]
    assert len(set(heard)) > 3, "something was made up"


def test_concealment_after_a_drop_uses_no_earlier_audio() -> None:
    """A leg whose audio was dropped is concealed like one that had been silent.

    Its packets come as late as possible, so that the first loss is close to the dropped audio.
    """
    quiet, spoke = opened([ULAW] * 2), opened([ULAW] * 2)
    heard = []
    for engine, before in ((quiet, b"\xff" * 160), (spoke, bytes(range(0x10, 0xB0)))):
        for k in range(10):
            send_audio(engine, {1: before}, k)
            engine.tick(2, skipped=0)
            if k in (4, 5):
                engine.tick(2, skipped=0)
        route(engine, {0: (1,)})
        engine.drop(1)
        for k in range(10, 20):
            if k not in (12, 15):
                send_audio(engine, {1: bytes(range(0x30, 0xD0))}, k)
            engine.tick(2, skipped=0)
            heard.append(sent(engine, 0))
    assert heard[:10] == heard[10:]
    assert heard[0] == b"\xff" * 160
    assert len(set(heard)) > 3, "something was made up"


def test_a_leg_that_is_sent_nothing_hears_nothing_and_its_player_goes_on() -> None:
    engine = opened([ULAW] * 2)
    route(engine, {0: (1,)})
    for k in range(8):
        send_audio(engine, {1: b"\x21" * 160}, k)
        engine.set_sending(0, sending=k != 5)
        engine.tick(2, skipped=0)
        if k >= START_DEPTH:
            assert bytes(engine.tx[0]) == (b"\xff" if k == 5 else b"\x21") * 160
    clip = engine.clips.get("clip")
    assert clip is not None
    engine.players.start(0, clip, loops=1)
    route(engine, {0: None})
    engine.set_sending(0, sending=False)
    assert [engine.tick(2, skipped=0).tolist() for _ in range(2)] == [[], [0]]


def test_the_player_of_a_leg_that_rings_is_heard_in_its_place_and_not_by_itself() -> None:
    engine = opened([ULAW, ALAW, ULAW])
    clip = engine.clips.get("clip")
    assert clip is not None
    engine.players.start(2, clip, loops=1000)
    route(engine, {0: (2,), 1: (2,), 2: None})
    engine.seats.rings[2] = True
    engine.seats.heard[0] = True
    for k in range(8):
        send_audio(engine, {0: b"\x21" * 160, 2: b"\x55" * 160}, k)
        engine.tick(3, skipped=0)
        ring = CLIP[k % 2 * 160 : k % 2 * 160 + 160]
        assert sent(engine, 0) == ring
        assert sent(engine, 2) == bytes([SILENCE[ULAW]]) * 160
        assert engine.frames[2].tobytes() == ring, "a recording of what it says has the ringing"
    both = DECODE[ULAW][0x21].astype(int) + DECODE[ULAW][0x12]
    assert sent(engine, 1) == bytes([ENCODE[ALAW][both + 32768]]) * 160
    engine.seats.rings[2] = False
    engine.reroute()
    engine.players.stop(2)
    send_audio(engine, {2: b"\x55" * 160}, 8)
    engine.tick(3, skipped=0)
    assert sent(engine, 0) == b"\x55" * 160, "nothing of the ringing is left"


def test_packets_carry_the_payload_type_of_their_payload() -> None:
    engine = opened([ULAW, ALAW, ULAW])
    engine.describe(2, companding=ULAW, receive=True, g722=True)
    engine.tick(3, skipped=0)
    assert (engine.streams.packets[:3, 1] & 0x7F).tolist() == [0, 8, 9]
    engine.describe(2, companding=ULAW, receive=True)
    engine.tick(3, skipped=0)
    assert (engine.streams.packets[2, 1] & 0x7F, sent(engine, 2)) == (0, bytes([SILENCE[ULAW]]) * 160)


def test_a_reused_row_has_nothing_of_its_earlier_leg() -> None:
    engine = opened([ULAW, ALAW])
    route(engine, {0: (1,)})
    for k in (0, 2, 3, 4, 1, 5):
        send_audio(engine, {1: b"\x21" * 160}, k)
        engine.tick(2, skipped=0)
    assert (int(engine.jitter.late[1]), int(engine.jitter.depth[1])) == (1, START_DEPTH + 1)
    clip = engine.clips.get("clip")
    assert clip is not None
    engine.players.start(1, clip, loops=1000)
    engine.close(1)
    engine.open(1, ssrc=7, sequence=1, timestamp=1)
    assert (int(engine.jitter.late[1]), int(engine.jitter.depth[1])) == (0, START_DEPTH)
    engine.tick(2, skipped=0)
    assert [sent(engine, leg) for leg in (0, 1)] == [bytes([SILENCE[ULAW]]) * 160] * 2
    assert engine.streams.packets[1, 1] & 0x7F == 0


def test_a_clip_that_ends_is_reported() -> None:
    engine = opened([ULAW])
    clip = engine.clips.get("clip")
    assert clip is not None
    engine.players.start(0, clip, loops=1)
    route(engine, {0: None})
    told = []
    heard = []
    for _ in range(4):
        told.append(engine.tick(1, skipped=0).tolist())
        heard.append(sent(engine, 0)[0])
    assert told == [[], [0], [], []]
    assert heard == [0x11, 0x12, 0xFF, 0xFF]


class Conference(RuleBasedStateMachine):
    """A conference of four whose members are held, resumed, muted and change companding at random, while all of them
    talk.

    The expected audio is derived from one plain model: a held listener's clip position, another listener's set of
    speakers.
    """

    def __init__(self) -> None:
        super().__init__()
        self.companding = [ULAW, ULAW, ALAW, ULAW]
        self.engine = opened(self.companding)
        self.held: dict[int, int] = {}
        self.muted: set[int] = set()
        self.k = 0
        self.voices = [0x30 + leg for leg in range(LEGS)]
        self.streams: list[tuple[int, int]] | None = None
        self.reroute()
        for _ in range(START_DEPTH + 1):
            self.pass_tick(0, check=False)

    def hears(self, listener: int) -> tuple[int, ...] | None:
        if listener in self.held:
            return None
        return tuple(leg for leg in range(LEGS) if leg != listener and leg not in self.held and leg not in self.muted)

    def reroute(self) -> None:
        route(self.engine, {listener: self.hears(listener) for listener in range(LEGS)})

    @rule(leg=st.integers(0, LEGS - 1))
    def hold(self, leg: int) -> None:
        clip = self.engine.clips.get("clip")
        assert clip is not None
        self.engine.players.start(leg, clip, loops=1000)
        self.held[leg] = 0
        self.reroute()

    @precondition(lambda self: self.held)
    @rule(data=st.data())
    def resume(self, data: st.DataObject) -> None:
        leg = data.draw(st.sampled_from(sorted(self.held)))
        self.engine.players.stop(leg)
        del self.held[leg]
        self.reroute()

    @rule(leg=st.integers(0, LEGS - 1))
    def mute_or_unmute(self, leg: int) -> None:
        self.muted ^= {leg}
        self.reroute()

    @rule(skipped=st.sampled_from([0, 0, 0, 0, 2]))
    def pass_tick(self, skipped: int, *, check: bool = True) -> None:
        for _ in range(skipped + 1):
            send_audio(self.engine, {leg: bytes([self.voices[leg]]) * 160 for leg in range(LEGS)}, self.k)
            self.k += 1
        before = [
            (int(self.engine.streams.sequence[leg]), int(self.engine.streams.timestamp[leg])) for leg in range(LEGS)
        ]
        assert self.engine.tick(LEGS, skipped=skipped).tolist() == []
        if check:
            for listener in range(LEGS):
                assert sent(self.engine, listener) == self.expected(listener) * 160
                header = struct.unpack_from("!BBHII", self.engine.streams.packets[listener].tobytes())
                assert header[2:] == (*before[listener], listener + 1)
        self.engine.streams.advance(LEGS, np.arange(LEGS), skipped=skipped)
        for leg, (sequence, timestamp) in enumerate(before):
            assert int(self.engine.streams.sequence[leg]) == sequence + 1
            assert int(self.engine.streams.timestamp[leg]) == timestamp + 160 * (1 + skipped)
        self.held = {leg: (position + 1) % 2 for leg, position in self.held.items()}

    def expected(self, listener: int) -> bytes:
        companding = self.companding[listener]
        heard = self.hears(listener)
        if heard is None:
            code = CLIP[160 * self.held[listener]]
            return bytes([code if companding == ULAW else TRANSCODE[ULAW][code]])
        if not heard:
            return bytes([SILENCE[companding]])
        if len(heard) == 1:
            code = self.voices[heard[0]]
            return bytes([code if self.companding[heard[0]] == companding else TRANSCODE[1 - companding][code]])
        total = sum(int(DECODE[self.companding[leg]][self.voices[leg]]) for leg in heard)
        return bytes([ENCODE[companding][np.clip(total, -32768, 32767) + 32768]])


Conference.TestCase.settings = settings(max_examples=40, stateful_step_count=30, deadline=None)
TestConference = Conference.TestCase
