"""The pass over all sound: a held party hears its clip and is heard by nobody, whatever else happens."""

from __future__ import annotations

import struct

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
from holdfast.voice.media.mix.routing import Hears
from holdfast.voice.media.rtp import rtp
from holdfast.voice.media.rtp.jitter import START_DEPTH
from holdfast.voice.media.tick import MixEngine

LEGS = 4
CLIP = b"\x11" * 160 + b"\x12" * 160


def packet(leg: int, k: int, payload: bytes) -> bytes:
    return struct.pack("!BBHII", 0x80, 0, k % 2**16, 160 * k, leg) + payload


def say(sound: MixEngine, payloads: dict[int, bytes], k: int) -> None:
    """One packet of each of these legs comes."""
    data = np.zeros((len(payloads), rtp.DATAGRAM), dtype=np.uint8)
    for line, (leg, payload) in zip(data, payloads.items(), strict=True):
        datagram = packet(leg, k, payload)
        line[: len(datagram)] = np.frombuffer(datagram, dtype=np.uint8)
    packets = rtp.parse(data, np.full(len(payloads), 172, dtype=np.intp))
    sound.put(packets, data, np.array(list(payloads), dtype=np.intp), packets.valid)


def opened(compandings: list[int]) -> MixEngine:
    sound = MixEngine(rows=LEGS + 2, clip_frames=10)
    for leg, companding in enumerate(compandings):
        sound.open(leg, ssrc=leg + 1, sequence=100, timestamp=1000)
        sound.describe(leg, companding=companding, receive=True)
    sound.clips.put("clip", CLIP, offset=0, total=len(CLIP))
    return sound


def sent(sound: MixEngine, leg: int) -> bytes:
    return sound.streams.packets[leg, rtp.HEADER : rtp.PACKET].tobytes()


def test_a_new_leg_is_sent_silence_in_its_companding() -> None:
    sound = opened([ULAW, ALAW])
    sound.tick(2, skipped=0)
    assert [sent(sound, leg) for leg in (0, 1)] == [bytes([SILENCE[companding]]) * 160 for companding in (ULAW, ALAW)]


def test_a_closed_leg_is_not_heard() -> None:
    sound = opened([ULAW] * 3)
    sound.route({0: (1, 2), 1: (0, 2), 2: (0, 1)})
    for k in range(5):
        say(sound, {1: b"\x21" * 160, 2: b"\x31" * 160}, k)
        sound.tick(3, skipped=0)
    sound.close(2)
    sound.tick(2, skipped=0)
    assert sent(sound, 0) == b"\x21" * 160


def test_a_leg_that_may_not_send_falls_silent_at_once() -> None:
    sound = opened([ULAW] * 2)
    sound.route({0: (1,)})
    for k in range(5):
        say(sound, {1: b"\x21" * 160}, k)
        sound.tick(2, skipped=0)
    assert sent(sound, 0) == b"\x21" * 160
    sound.describe(1, companding=ULAW, receive=False)
    sound.tick(2, skipped=0)
    assert sent(sound, 0) == b"\xff" * 160


def test_frames_between_two_g722_legs_pass_unchanged_and_recordings_get_8_khz_audio() -> None:
    sound = opened([ULAW] * 2)
    for leg in (0, 1):
        sound.describe(leg, companding=ULAW, receive=True, g722=True)
    sound.route({0: (1,), 1: (0,)})
    coder = G722(16_000, 64_000)
    tone = (8000 * np.sin(2 * np.pi * 1000 * np.arange(320) / 16_000)).astype(np.int16)
    said = [bytes(coder.encode(tone)) for _ in range(12)]
    for k, payload in enumerate(said):
        say(sound, {1: payload}, k)
        if k == 10:
            sound.beeps.start([0], tone="entry")
        sound.tick(2, skipped=0)
        if START_DEPTH <= k < 10:
            assert sent(sound, 0) == said[k - START_DEPTH]
            if k > 6:
                heard = DECODE[ULAW][sound.tx[0]].astype(float)
                assert 0.9 < np.std(heard) / np.std(tone) < 1.1, "what is heard is µ-law for whoever records it"
    assert sent(sound, 0) != said[-1 - START_DEPTH], "a beep is laid over it"


def test_skipped_ticks_delay_no_audio() -> None:
    sound = opened([ULAW] * 2)
    sound.route({0: (1,)})
    for k in range(20):
        say(sound, {1: bytes([0x20 + k]) * 160}, k)
        if k == 8:
            say(sound, {1: bytes([0x20 + 9]) * 160}, 9)
            say(sound, {1: bytes([0x20 + 10]) * 160}, 10)
        if k not in (9, 10):
            sound.tick(2, skipped=2 if k == 11 else 0)
        if k > 12:
            assert sent(sound, 0) == bytes([0x20 + k - START_DEPTH]) * 160


def test_concealment_forgets_the_old_companding_of_a_leg() -> None:
    fresh, changed = opened([ULAW] * 2), opened([ULAW] * 2)
    for k in range(10):
        say(changed, {1: bytes(range(0x10, 0xB0))}, k)
        changed.tick(2, skipped=0)
    heard = []
    for sound in (fresh, changed):
        sound.route({0: (1,)})
        sound.describe(1, companding=ALAW, receive=True)
        for k in range(20, 28):
            if k not in (22, 25):
                say(sound, {1: bytes(range(0x30, 0xD0))}, k)
            sound.tick(2, skipped=0)
            heard.append(sent(sound, 0))
    assert heard[:8] == heard[8:]
    assert len(set(heard)) > 3, "something was made up"


def test_concealment_after_a_drop_uses_no_earlier_audio() -> None:
    """A leg whose past is dropped sounds, losses and all, as one that had been silent.

    Its packets come as late as they may, so that the first loss is as near to its past as can be.
    """
    quiet, spoke = opened([ULAW] * 2), opened([ULAW] * 2)
    heard = []
    for sound, before in ((quiet, b"\xff" * 160), (spoke, bytes(range(0x10, 0xB0)))):
        for k in range(10):
            say(sound, {1: before}, k)
            sound.tick(2, skipped=0)
            if k in (4, 5):
                sound.tick(2, skipped=0)
        sound.route({0: (1,)})
        sound.drop(1)
        for k in range(10, 20):
            if k not in (12, 15):
                say(sound, {1: bytes(range(0x30, 0xD0))}, k)
            sound.tick(2, skipped=0)
            heard.append(sent(sound, 0))
    assert heard[:10] == heard[10:]
    assert heard[0] == b"\xff" * 160
    assert len(set(heard)) > 3, "something was made up"


def test_a_leg_that_is_sent_nothing_hears_nothing_and_its_player_goes_on() -> None:
    sound = opened([ULAW] * 2)
    sound.route({0: (1,)})
    for k in range(8):
        say(sound, {1: b"\x21" * 160}, k)
        sound.set_sending(0, sending=k != 5)
        sound.tick(2, skipped=0)
        if k >= START_DEPTH:
            assert bytes(sound.tx[0]) == (b"\xff" if k == 5 else b"\x21") * 160
    clip = sound.clips.get("clip")
    assert clip is not None
    sound.players.start(0, clip, loops=1)
    sound.route({0: None})
    sound.set_sending(0, sending=False)
    assert [sound.tick(2, skipped=0).tolist() for _ in range(2)] == [[], [0]]


def test_packets_carry_the_payload_type_of_their_payload() -> None:
    sound = opened([ULAW, ALAW, ULAW])
    sound.describe(2, companding=ULAW, receive=True, g722=True)
    sound.tick(3, skipped=0)
    assert (sound.streams.packets[:3, 1] & 0x7F).tolist() == [0, 8, 9]
    sound.describe(2, companding=ULAW, receive=True)
    sound.tick(3, skipped=0)
    assert (sound.streams.packets[2, 1] & 0x7F, sent(sound, 2)) == (0, bytes([SILENCE[ULAW]]) * 160)


def test_a_reused_row_has_nothing_of_its_earlier_leg() -> None:
    sound = opened([ULAW, ALAW])
    sound.route({0: (1,)})
    for k in (0, 2, 3, 4, 1, 5):
        say(sound, {1: b"\x21" * 160}, k)
        sound.tick(2, skipped=0)
    assert (int(sound.jitter.late[1]), int(sound.jitter.depth[1])) == (1, START_DEPTH + 1)
    clip = sound.clips.get("clip")
    assert clip is not None
    sound.players.start(1, clip, loops=1000)
    sound.close(1)
    sound.open(1, ssrc=7, sequence=1, timestamp=1)
    assert (int(sound.jitter.late[1]), int(sound.jitter.depth[1])) == (0, START_DEPTH)
    sound.tick(2, skipped=0)
    assert [sent(sound, leg) for leg in (0, 1)] == [bytes([SILENCE[ULAW]]) * 160] * 2
    assert sound.streams.packets[1, 1] & 0x7F == 0


def test_a_clip_that_ends_is_reported() -> None:
    sound = opened([ULAW])
    clip = sound.clips.get("clip")
    assert clip is not None
    sound.players.start(0, clip, loops=1)
    sound.route({0: None})
    told = []
    heard = []
    for _ in range(4):
        told.append(sound.tick(1, skipped=0).tolist())
        heard.append(sent(sound, 0)[0])
    assert told == [[], [0], [], []]
    assert heard == [0x11, 0x12, 0xFF, 0xFF]


class Conference(RuleBasedStateMachine):
    """A conference of four whose members are held, resumed, muted and change law at random, while all of them talk.

    What is sent is derived from one plain model: a held ear's clip position, an unheld ear's set of speakers.
    """

    def __init__(self) -> None:
        super().__init__()
        self.companding = [ULAW, ULAW, ALAW, ULAW]
        self.sound = opened(self.companding)
        self.held: dict[int, int] = {}
        self.muted: set[int] = set()
        self.k = 0
        self.voices = [0x30 + leg for leg in range(LEGS)]
        self.streams: list[tuple[int, int]] | None = None
        self.reroute()
        for _ in range(START_DEPTH + 1):
            self.pass_tick(0, check=False)

    def hears(self, ear: int) -> Hears:
        if ear in self.held:
            return None
        return tuple(leg for leg in range(LEGS) if leg != ear and leg not in self.held and leg not in self.muted)

    def reroute(self) -> None:
        self.sound.route({ear: self.hears(ear) for ear in range(LEGS)})

    @rule(leg=st.integers(0, LEGS - 1))
    def hold(self, leg: int) -> None:
        clip = self.sound.clips.get("clip")
        assert clip is not None
        self.sound.players.start(leg, clip, loops=1000)
        self.held[leg] = 0
        self.reroute()

    @precondition(lambda self: self.held)
    @rule(data=st.data())
    def resume(self, data: st.DataObject) -> None:
        leg = data.draw(st.sampled_from(sorted(self.held)))
        self.sound.players.stop(leg)
        del self.held[leg]
        self.reroute()

    @rule(leg=st.integers(0, LEGS - 1))
    def mute_or_unmute(self, leg: int) -> None:
        self.muted ^= {leg}
        self.reroute()

    @rule(skipped=st.sampled_from([0, 0, 0, 0, 2]))
    def pass_tick(self, skipped: int, *, check: bool = True) -> None:
        for _ in range(skipped + 1):
            say(self.sound, {leg: bytes([self.voices[leg]]) * 160 for leg in range(LEGS)}, self.k)
            self.k += 1
        before = [
            (int(self.sound.streams.sequence[leg]), int(self.sound.streams.timestamp[leg])) for leg in range(LEGS)
        ]
        assert self.sound.tick(LEGS, skipped=skipped).tolist() == []
        if check:
            for ear in range(LEGS):
                assert sent(self.sound, ear) == self.expected(ear) * 160
                header = struct.unpack_from("!BBHII", self.sound.streams.packets[ear].tobytes())
                assert header[2:] == (*before[ear], ear + 1)
        self.sound.streams.advance(LEGS, np.arange(LEGS), skipped=skipped)
        for leg, (sequence, timestamp) in enumerate(before):
            assert int(self.sound.streams.sequence[leg]) == sequence + 1
            assert int(self.sound.streams.timestamp[leg]) == timestamp + 160 * (1 + skipped)
        self.held = {leg: (position + 1) % 2 for leg, position in self.held.items()}

    def expected(self, ear: int) -> bytes:
        companding = self.companding[ear]
        heard = self.hears(ear)
        if heard is None:
            code = CLIP[160 * self.held[ear]]
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
