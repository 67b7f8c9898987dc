"""The media server tick by tick in this process, with a clock that the test sets, real sockets and no waiting."""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

import numpy as np
import pytest

from holdfast.voice.media.codec.g711 import encode
from holdfast.voice.media.codec.wav import HEADER_BYTES
from holdfast.voice.media.dtmf.tone_generator import tone
from holdfast.voice.media.mix.concealment import MAX_CONCEALED
from holdfast.voice.media.rtp.rtcp import RECEIVER_REPORT, SENDER_REPORT
from holdfast.voice.media.rtp.srtp import SrtpKeys
from holdfast.voice.media_process.control_link import protocol as m
from holdfast.voice.media_process.control_link.fact_queue import FactQueue
from holdfast.voice.media_process.control_link.recording_messages import (
    OpenTap,
    TapClosed,
)
from holdfast.voice.media_process.legs.rtp_receive import MAX_AUDIO
from holdfast.voice.media_process.server import MediaServer
from holdfast.voice.media_process.sockets.plain import PlainSockets
from holdfast.voice.media_process.sockets.rtp_ports import Ports
from holdfast.voice.model.effects import CaptureChannels, RouteAudio, StopSound
from holdfast.voice.model.facts import DigitPressed, HolderSounds, SoundEnded
from holdfast.voice.model.ids import CallSid
from tests.loopback.media_process import SILENT, TICK_S, Phone, fades, free_ports, rtp, seated, sound_of

ROWS = 4
F = TypeVar("F")


class Bench:
    """A media server with phones. Packets they send have arrived when the next tick begins."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.facts: list[m.Fact] = []
        self._facts = FactQueue(limit=1000)
        self.ports = Ports(ip="127.0.0.1", base=free_ports(ROWS), rows=ROWS, rest_s=0.0)
        self.server = MediaServer(ports=self.ports, clip_frames=100, facts=self._facts, make_io=PlainSockets)
        self._phones = ExitStack()

    def close(self) -> None:
        self.server.close(self.now)
        self._phones.close()

    def phone(self, hum: int, *, host: str = "127.0.0.1") -> Phone:
        phone = Phone(hum, host=host)
        self._phones.callback(phone.close)
        return phone

    def opened(self, leg: str) -> m.RowOpened:
        posted = self.server.handle(m.OpenRow(number=1, leg=leg), b"", self.now)
        assert isinstance(posted, m.RowOpened)
        return posted

    def leg(self, leg: str, phone: Phone, *, send: bool = True, receive: bool = True, events: bool = True) -> int:
        """Open a leg for a phone; return the port its packets go to."""
        port = self.opened(leg).port
        self.ask(self.described(leg, phone, send=send, receive=receive, events=events))
        return port

    @staticmethod
    def described(
        leg: str, phone: Phone, *, send: bool = True, receive: bool = True, events: bool = True
    ) -> m.DescribeRow:
        kind = 101 if events else None
        return m.DescribeRow(
            leg=leg,
            remote=phone.address,
            codec="PCMU",
            dtmf_payload_type=kind,
            send=send,
            receive=receive,
            signalled_from="127.0.0.1",
        )

    def ask(self, *commands: m.Command) -> None:
        for command in commands:
            assert self.server.handle(command, b"", self.now) is None
        assert self.server.handle(m.Apply(number=2), b"", self.now) == m.Done(number=2)

    def clip(self, name: str, code: int, frames: int = 50) -> None:
        audio = bytes([code]) * 160 * frames
        put = m.PutClip(number=3, clip_id=name, total=len(audio), offset=0)
        assert self.server.handle(put, audio, self.now) == m.Done(number=3)

    def tick(self, count: int = 1) -> None:
        for _ in range(count):
            self.server.receive(self.now)
            self.server.tick(skipped=0)
            self.server.after_tick(self.now)
            self.now += TICK_S
            while (fact := self._facts.pop()) is not None:
                self.facts.append(fact)

    def posted(self, kind: type[F]) -> list[F]:
        return [fact for fact in self.facts if isinstance(fact, kind)]


@pytest.fixture
def bench() -> Iterator[Bench]:
    made = Bench()
    yield made
    made.close()


def route(**hears: tuple[str, ...] | None) -> RouteAudio:
    return seated(hears)


def heard(phone: Phone, since: int = 0) -> set[bytes]:
    phone.read()
    return {each.payload for each in phone.received[since:]}


def test_stopping_a_replaced_clip_stops_nothing(bench: Bench) -> None:
    bob = bench.phone(0x31)
    bench.leg("bob", bob)
    bench.clip("one", 0x60)
    bench.clip("two", 0x61)
    bench.ask(
        route(bob=None), *(m.PlayClip(token=sound_of("bob", name), clip_id=name, loops=1) for name in ("one", "two"))
    )
    bench.ask(StopSound(token=sound_of("bob", "one")))
    bench.tick(3)
    assert heard(bob) == {bytes([0x61]) * 160}
    assert [fact.token for fact in bench.posted(m.RowAudioStarted)] == ["bob/two"]
    bench.ask(StopSound(token=sound_of("bob", "two")))
    bench.tick(3)
    assert heard(bob, since=3) == {SILENT}
    assert bench.posted(SoundEnded) == []


def test_a_leg_that_was_routed_before_it_opened_is_heard_once_it_is_open(bench: Bench) -> None:
    alice, bob = bench.phone(0x21), bench.phone(0x31)
    bench.leg("bob", bob)
    bench.ask(route(bob=("alice",)))
    bench.tick(2)
    to_alice = bench.leg("alice", alice)
    for _ in range(5):
        alice.send_audio(to_alice)
        bench.tick()
    assert heard(bob) == {SILENT, alice.hum}


def test_the_next_leg_of_a_row_is_not_heard_by_earlier_listeners(bench: Bench) -> None:
    bob, alice, carol = bench.phone(0x31), bench.phone(0x21), bench.phone(0x41)
    bench.leg("bob", bob)
    to_alice = bench.leg("alice", alice)
    bench.ask(route(bob=("alice",)))
    for _ in range(5):
        alice.send_audio(to_alice)
        bench.tick()
    assert alice.hum in heard(bob)
    bench.ask(m.CloseRow(leg="alice"))
    assert bench.opened("carol").port == to_alice, "it has its row"
    bench.ask(bench.described("carol", carol))
    since = bob.read()
    for _ in range(5):
        carol.send_audio(to_alice)
        bench.tick()
    assert heard(bob, since=since) == {SILENT}


def test_a_leg_that_ends_before_its_clip_started_ends_no_other(bench: Bench) -> None:
    bob, alice = bench.phone(0x31), bench.phone(0x21)
    bench.clip("music", 0x60)
    bench.leg("bob", bob)
    bench.leg("alice", alice)
    for name in ("bob", "alice"):
        bench.ask(route(**{name: None}), m.PlayClip(token=sound_of(name, name), clip_id="music", loops=1))
    bench.ask(m.CloseRow(leg="alice"))
    bench.tick(3)
    assert heard(bob) == {bytes([0x60]) * 160}
    assert [fact.token for fact in bench.posted(m.RowAudioStarted)] == ["bob/bob"]


def test_a_clip_has_started_when_its_first_packet_left(bench: Bench) -> None:
    bob = bench.phone(0x31)
    bench.clip("music", 0x60)
    bench.leg("bob", bob, send=False)
    bench.ask(route(bob=None), m.PlayClip(token=sound_of("bob", "hold"), clip_id="music", loops=1))
    bench.tick(3)
    assert (bench.posted(m.RowAudioStarted), bob.read()) == ([], 0)
    bench.ask(bench.described("bob", bob))
    bench.tick(3)
    assert [fact.token for fact in bench.posted(m.RowAudioStarted)] == ["bob/hold"]
    assert heard(bob) == {bytes([0x60]) * 160}


def test_an_incomplete_clip_of_a_disconnected_control_is_discarded(bench: Bench) -> None:
    def part(offset: int) -> m.Reply | None:
        return bench.server.handle(m.PutClip(number=4, clip_id="c", total=320, offset=offset), bytes(160), bench.now)

    assert part(0) == m.Done(number=4)
    bench.server.greeting()
    assert isinstance(part(160), m.NotDone)
    assert [part(0), part(160)] == [m.Done(number=4)] * 2


def test_comfort_noise_and_digits_are_neither_audio_nor_missing(bench: Bench) -> None:
    alice, bob = bench.phone(0x21), bench.phone(0x31)
    to_alice = bench.leg("alice", alice)
    bench.leg("bob", bob)
    bench.ask(route(bob=("alice",)))
    for _ in range(5):
        alice.send_audio(to_alice)
        bench.tick()
    for k in range(20):
        rest = (13, b"\x40") if k < 10 else (101, struct.pack("!BBH", 5, 10, 160 * (k - 9)))
        alice.send(rtp(alice.sent, rest[1], payload_type=rest[0]), to_alice)
        alice.sent += 1
        bench.tick()
    bench.ask(m.CloseRow(leg="alice"))
    bench.tick()
    assert heard(bob) <= fades(alice.hum)
    (last,) = [fact for fact in bench.posted(m.Statistics) if fact.final]
    # Two ticks pass until the buffer would have played what came last; keys come ten to a press here.
    assert (last.packets_received, last.packets_refused) == (25, 0)
    assert last.frames_concealed <= MAX_CONCEALED - 1


@pytest.mark.parametrize("ms", [10, 20, 30, 60, 62, 63, 70, 80, 100, 120, 160, 200])
@pytest.mark.parametrize("first_byte", [b"\x80", b"\x82"], ids=["plain", "with two CSRCs"])
def test_packets_of_10_to_200_ms_are_heard_whole(ms: int, first_byte: bytes, bench: Bench) -> None:
    alice, bob = bench.phone(0x21), bench.phone(0x31)
    to_alice = bench.leg("alice", alice)
    bench.leg("bob", bob)
    bench.ask(route(bob=("alice",)))
    stream = bytes(0x21 + k // 8 % 64 for k in range(8 * 1260))
    size = 8 * ms
    for tick in range(1, 65):
        while (alice.sent + 1) * size <= min(160 * tick, len(stream)):
            header = struct.pack("!BHII", 0, alice.sent, size * alice.sent, 7) + bytes(8 * (first_byte == b"\x82"))
            alice.send(first_byte + header + stream[alice.sent * size : (alice.sent + 1) * size], to_alice)
            alice.sent += 1
        bench.tick()
    bench.tick(12)
    bob.read()
    audio = b"".join(each.payload for each in bob.received).strip(b"\xff")
    sent = stream[: alice.sent * size]
    # Its end is extended by what conceals a loss, since nothing follows.
    assert audio[: len(sent)] == sent
    bench.ask(m.CloseRow(leg="alice"))
    bench.tick()
    (last,) = [fact for fact in bench.posted(m.Statistics) if fact.final]
    assert (last.packets_received, last.packets_refused, last.packets_too_long) == (alice.sent, 0, 0)


@pytest.mark.parametrize("ms", [201, 220, 240, 300, 1000])
def test_longer_packets_are_a_sign_of_life_and_are_not_played(ms: int, bench: Bench) -> None:
    alice, bob = bench.phone(0x21), bench.phone(0x31)
    to_alice = bench.leg("alice", alice)
    bench.leg("bob", bob)
    bench.ask(route(bob=("alice",)))
    for k in range(100):
        if k % (ms // 20) == 0:
            alice.send(rtp(k, alice.hum[:1] * 8 * ms), to_alice)
            alice.sent += 1
        bench.now += 0.1
        bench.tick()
    bench.ask(m.CloseRow(leg="alice"))
    bench.tick()
    assert heard(bob) <= {SILENT}
    assert [fact for fact in bench.posted(m.RtpSilent) if fact.leg == "alice"] == []
    (last,) = [fact for fact in bench.posted(m.Statistics) if fact.final]
    assert (last.packets_received, last.packets_refused, last.packets_too_long) == (alice.sent, 0, alice.sent)


def test_packets_that_are_too_long_are_counted_and_those_not_agreed_are_refused(bench: Bench) -> None:
    alice, bob = bench.phone(0x21), bench.phone(0x31)
    to_alice, to_bob = bench.leg("alice", alice), bench.leg("bob", bob, receive=False)
    alice.send_audio(to_alice)
    bench.tick()
    alice.send(rtp(1, alice.hum[:1] * (MAX_AUDIO + 1)), to_alice)
    bob.send_audio(to_bob)
    bench.tick()
    for kind, payload in ((13, b"\x40"), (101, b"\x05\x80\0\xa0")):
        bob.send(rtp(1, payload, payload_type=kind, marker=True), to_bob)
        bench.tick()
    bench.ask(m.CloseRow(leg="alice"), m.CloseRow(leg="bob"))
    bench.tick()
    final = [
        (fact.packets_received, fact.packets_refused, fact.packets_too_long)
        for fact in bench.posted(m.Statistics)
        if fact.final
    ]
    assert final == [(2, 0, 1), (0, 3, 0)]
    assert bench.posted(DigitPressed) == []


def hum_of(level_db: float) -> bytes:
    """Return a frame of a tone at this level."""
    wave = np.sin(2 * np.pi * np.arange(160) / 16) * np.sqrt(2) * 32768 * 10 ** (level_db / 20)
    return encode(np.rint(wave).astype(np.int16))


def says(bench: Bench, phone: Phone, port: int, payload: bytes | None, ticks: int) -> list[bool]:
    """Let a phone send a frame in each of some ticks (None: nothing); return what is reported of its sound."""
    before = len(bench.posted(HolderSounds))
    for _ in range(ticks):
        if payload is not None:
            phone.send(rtp(phone.sent, payload), port)
        phone.sent += 1
        bench.tick()
    return [fact.sounds for fact in bench.posted(HolderSounds)[before:]]


@pytest.mark.parametrize("silent", [None, SILENT, hum_of(-53)], ids=["nothing", "silence", "a soft noise"])
def test_a_holder_sounds_after_300_ms_above_minus_50_db_until_a_second_of_silence(
    silent: bytes | None, bench: Bench
) -> None:
    trunk = bench.phone(0x21)
    to_trunk = bench.leg("trunk", trunk)
    described = replace(bench.described("trunk", trunk, send=False), report_sound=True)
    bench.ask(described)
    assert says(bench, trunk, to_trunk, hum_of(-53), 40) == []
    # What conceals a loss counts as well: three frames more.
    assert says(bench, trunk, to_trunk, hum_of(-47), 11) + says(bench, trunk, to_trunk, silent, 10) == []
    assert says(bench, trunk, to_trunk, hum_of(-47), 20) == [True]
    # The same description again, as a refresh brings it, changes nothing.
    bench.ask(described)
    assert says(bench, trunk, to_trunk, silent, 40) == []
    assert says(bench, trunk, to_trunk, hum_of(-47), 10) == []
    assert says(bench, trunk, to_trunk, silent, 60) == [False]
    assert says(bench, trunk, to_trunk, hum_of(-47), 20) == [True]


@pytest.mark.parametrize(("receive", "report_sound"), [(True, False), (False, True)])
def test_the_sound_of_a_line_or_of_a_phone_that_may_send_nothing_is_not_reported(
    receive: bool, report_sound: bool, bench: Bench
) -> None:
    phone = bench.phone(0x21)
    port = bench.leg("line", phone)
    bench.ask(replace(bench.described("line", phone, send=False, receive=receive), report_sound=report_sound))
    assert says(bench, phone, port, hum_of(-10), 60) == []


@pytest.mark.parametrize("events", [True, False])
def test_tones_in_the_audio_are_digits_where_there_are_no_events(events: bool, bench: Bench) -> None:
    alice = bench.phone(0x21)
    to_alice = bench.leg("alice", alice, events=events)
    pressed = encode(np.rint(tone("5") * 32767).astype(np.int16))
    for k, start in enumerate(range(0, len(pressed), 160)):
        alice.send(rtp(k, pressed[start : start + 160]), to_alice)
        bench.tick()
    bench.tick(3)
    assert [fact.digit for fact in bench.posted(DigitPressed)] == ([] if events else ["5"])


def test_rtcp_is_a_sign_of_life_and_silence_is_counted_from_the_last_report(bench: Bench) -> None:
    alice, bob = bench.phone(0x21), bench.phone(0x31)
    to_alice, to_bob = bench.leg("alice", alice), bench.leg("bob", bob)
    alice.send_audio(to_alice)
    bob.send_audio(to_bob)
    for _ in range(9):
        bob.send(struct.pack("!BBHI", 0x80, RECEIVER_REPORT, 1, 7), to_bob + 1)
        bench.tick(75)
    silent = {leg: [f.silent_s for f in bench.posted(m.RtpSilent) if f.leg == leg] for leg in ("alice", "bob")}
    assert silent["bob"] == []
    assert silent["alice"] == [pytest.approx(10.0, abs=0.5)]


def test_a_party_silent_for_two_seconds_may_return_from_another_port(bench: Bench) -> None:
    alice, elsewhere = bench.phone(0x21), bench.phone(0x22)
    to_alice = bench.leg("alice", alice)
    alice.send_audio(to_alice, 3)
    bench.tick()

    def moves(count: int) -> int:
        for _ in range(count):
            elsewhere.send_audio(to_alice)
            bench.tick()
        return elsewhere.read()

    assert moves(5) == 0
    bench.tick(120)
    assert moves(5) > 0
    assert [fact.source for fact in bench.posted(m.FirstPacket)] == [alice.address, elsewhere.address]


def test_a_party_that_may_send_again_may_use_another_port_at_once(bench: Bench) -> None:
    alice, elsewhere = bench.phone(0x21), bench.phone(0x22)
    to_alice = bench.leg("alice", alice)
    alice.send_audio(to_alice, 3)
    bench.tick()
    bench.ask(bench.described("alice", alice, receive=False))
    bench.tick()
    bench.ask(bench.described("alice", alice))
    for _ in range(5):
        elsewhere.send_audio(to_alice)
        bench.tick()
    assert elsewhere.read() > 0


def test_digits_that_wait_for_a_leg_are_dropped_when_it_is_rerouted(bench: Bench) -> None:
    alice, bob = bench.phone(0x21), bench.phone(0x31)
    bench.leg("alice", alice)
    bench.leg("bob", bob, events=False)
    together = route(alice=("bob",), bob=("alice",))
    bench.ask(together, m.RelayDigit(leg="alice", digit="5"))
    bench.tick(3)
    assert heard(bob) - {SILENT}, "tones"
    bench.ask(m.RelayDigit(leg="alice", digit="6"), route(bob=None), together)
    since = bob.read()
    bench.tick(10)
    assert heard(bob, since=since) == {SILENT}


def test_recordings_of_a_disconnected_control_end_when_the_next_one_connects(bench: Bench, tmp_path: Path) -> None:
    bench.leg("alice", bench.phone(0x21))
    voices: CaptureChannels = (((CallSid("alice"), "says"),),)
    bench.ask(OpenTap(recording="RE1", path=str(tmp_path / "r.part"), voices=voices))
    bench.tick(2)
    bench.server.greeting()
    for _ in range(20_000):
        bench.tick()
        if posted := bench.posted(TapClosed):
            break
    assert [(fact.frames, fact.error) for fact in posted] == [(2, "")]


def test_the_number_of_an_encrypted_packet_is_used_up_though_it_could_not_be_sent(bench: Bench) -> None:
    """Encrypting another packet with it would reveal the content of both. Source: RFC 3711 §9.1."""
    keys = SrtpKeys(send=bytes(30), receive=bytes(30), profile="AES_CM_128_HMAC_SHA1_80")
    bench.opened("alice")
    bench.ask(
        m.DescribeRow(
            leg="alice",
            remote=("192.0.2.1", 4000),
            codec="PCMU",
            dtmf_payload_type=None,
            send=True,
            receive=True,
            srtp=keys,
        )
    )
    bench.tick(5)
    assert [row.packets_sent for row in bench.server.states()] == [5]


def test_each_leg_is_reported_every_five_seconds_and_sends_rtcp_as_often(bench: Bench) -> None:
    alice = bench.phone(0x21)
    watcher = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    with watcher:
        watcher.bind(("127.0.0.1", 0))
        watcher.settimeout(5)
        port = bench.leg("alice", alice)
        alice.send_audio(port)
        watcher.sendto(struct.pack("!BBHI", 0x80, RECEIVER_REPORT, 1, 7), ("127.0.0.1", port + 1))
        bench.tick(1500)
        reports = []
        watcher.setblocking(False)
        while True:
            try:
                reports.append(watcher.recv(2000))
            except BlockingIOError:
                break
    assert len(bench.posted(m.Statistics)) == 6
    assert [data[1] for data in reports] == [SENDER_REPORT] * 6
    assert [struct.unpack_from("!I", data, 20)[0] for data in reports[1:]] == [
        struct.unpack_from("!I", reports[0], 20)[0] + 250 * k for k in range(1, 6)
    ], "packets sent, by the reports"


def test_a_leg_that_neither_sent_nor_received_sends_no_rtcp(bench: Bench) -> None:
    alice = bench.phone(0x21, host="127.9.8.7")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as rtcp_port:
        rtcp_port.bind((alice.address[0], alice.address[1] + 1))
        rtcp_port.setblocking(False)
        bench.leg("alice", alice, send=False)
        bench.tick(500)
        with pytest.raises(BlockingIOError):
            rtcp_port.recv(2000)
    assert len(bench.posted(m.Statistics)) == 2


def test_silence_is_reported_after_ten_seconds_and_every_ten_seconds_until_audio_arrives(bench: Bench) -> None:
    alice = bench.phone(0x21)
    to_alice = bench.leg("alice", alice)
    bench.opened("bob")
    alice.send_audio(to_alice)
    bench.tick(25 * 50)
    alice.send_audio(to_alice)
    bench.tick(11 * 50)
    silent = [(fact.leg, fact.silent_s) for fact in bench.posted(m.RtpSilent)]
    assert [leg for leg, _ in silent] == ["alice"] * 3, "a leg that was never described is not silent"
    assert [seconds for _, seconds in silent] == [pytest.approx(each, abs=0.2) for each in (10, 20, 10)]
    assert all(seconds >= 10 for _, seconds in silent)


def test_a_leg_that_may_send_again_is_silent_from_then_on(bench: Bench) -> None:
    alice = bench.phone(0x21)
    bench.leg("alice", alice)
    bench.tick(12 * 50)
    bench.ask(bench.described("alice", alice, receive=False))
    bench.ask(bench.described("alice", alice))
    bench.tick(9 * 50)
    assert len(bench.posted(m.RtpSilent)) == 1
    bench.tick(2 * 50)
    assert [fact.silent_s for fact in bench.posted(m.RtpSilent)] == [pytest.approx(10, abs=0.2)] * 2


def test_it_is_reported_at_once_that_no_row_is_left_and_that_one_is_free_again(bench: Bench) -> None:
    for k in range(ROWS - 1):
        bench.opened(f"leg{k}")
    bench.tick(3)
    assert bench.posted(m.RowsAvailable) == []
    bench.opened("last")
    bench.tick()
    assert [fact.available for fact in bench.posted(m.RowsAvailable)] == [False]
    assert isinstance(bench.server.handle(m.OpenRow(number=1, leg="more"), b"", bench.now), m.NotDone)
    bench.tick(3)
    bench.ask(m.CloseRow(leg="leg2"))
    bench.tick()
    assert [fact.available for fact in bench.posted(m.RowsAvailable)] == [False, True]


def test_a_recording_is_written_whole_when_the_server_closes(tmp_path: Path) -> None:
    bench = Bench()
    bench.leg("alice", bench.phone(0x21))
    voices: CaptureChannels = (((CallSid("alice"), "says"),),)
    bench.ask(OpenTap(recording="RE1", path=str(tmp_path / "r.part"), voices=voices))
    bench.tick(7)
    bench.close()
    assert (tmp_path / "r.part").stat().st_size == HEADER_BYTES + 7 * 320
