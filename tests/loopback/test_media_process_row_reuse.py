"""The next leg of a row, on real sockets: nothing of the leg before is sent, heard or reported."""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from holdfast.voice.media.rtp.srtp import SrtpKeys, SrtpSession
from holdfast.voice.media_process.control_link import protocol as m
from holdfast.voice.media_process.control_link.recording_messages import OpenTap
from holdfast.voice.model.effects import Beep, DetectSpeech, DropUnheard
from holdfast.voice.model.ids import CallSid, RoomSid
from tests.loopback.media_process import Phone, packet, rtp, sound_of
from tests.loopback.test_media_process_ticks import Bench, route

KEYS = SrtpKeys(send=bytes(30), receive=bytes(range(30)))
EVENT = struct.pack("!BBH", 5, 10, 160)


class Scene:
    """A leg `alice` on the second row, beside `bob`, whose row is the first one."""

    def __init__(self, bench: Bench, folder: Path) -> None:
        self.bench = bench
        self.folder = folder
        self.bob, self.alice = bench.phone(0x31), bench.phone(0x21)
        bench.clip("music", 0x60, frames=10)
        self.to_bob = bench.leg("bob", self.bob)
        self.port = bench.leg("alice", self.alice)

    def together(self, leg: str = "alice") -> None:
        self.bench.ask(route(bob=(leg,), **{leg: ("bob",)}))

    def speaks(self) -> None:
        self.together()
        for _ in range(5):
            self.alice.send_audio(self.port)
            self.bench.tick()

    def presses(self) -> None:
        self.alice.send(rtp(3, EVENT, payload_type=101, ssrc=7, marker=True), self.port)
        self.bench.tick()

    def receives_digits(self) -> None:
        self.together()
        self.bench.ask(*(m.RelayDigit(leg="bob", digit=digit) for digit in "12"))

    def receives_tones(self) -> None:
        self.bench.ask(self.bench.described("alice", self.alice, events=False))
        self.receives_digits()

    def plays_digits(self) -> None:
        self.bench.ask(
            route(alice=None), m.PlayClip(token=sound_of("alice", "d"), clip_id="music", loops=3, digits="123456789")
        )
        self.bench.tick()

    def plays(self) -> None:
        self.bench.ask(route(alice=None), m.PlayClip(token=sound_of("alice", "old"), clip_id="music", loops=1))

    def is_encrypted(self) -> None:
        self.bench.ask(replace(self.bench.described("alice", self.alice), srtp=KEYS))
        self.bench.tick()

    def may_change_codec(self) -> None:
        self.bench.ask(replace(self.bench.described("alice", self.alice), also=("PCMA", "G722")))
        self.bench.tick()

    def is_refused(self) -> None:
        self.alice.send(rtp(1, b"\x21" * 160, payload_type=55), self.port)
        self.bench.tick()

    def is_silent(self) -> None:
        self.bench.tick(600)

    def is_recorded(self) -> None:
        self.bench.ask(
            OpenTap(recording="RE1", path=str(self.folder / "r.part"), voices=(((CallSid("alice"), "says"),),))
        )
        self.bench.tick(2)

    def is_beeped(self) -> None:
        self.together()
        self.bench.ask(Beep(room=RoomSid("CF1"), tone="entry", moved=(), without=(CallSid("bob"),)))
        self.bench.tick()

    def is_watched(self) -> None:
        self.bench.ask(DetectSpeech(calls=(CallSid("alice"),), enabled=True))
        self.speaks()

    def is_dropped(self) -> None:
        self.bench.ask(DropUnheard(calls=(CallSid("alice"),)))


EARLIER: dict[str, Callable[[Scene], None]] = {
    name: function
    for name, function in vars(Scene).items()
    if callable(function) and name not in ("__init__", "together")
}


def next_leg(scene: Scene) -> list[object]:
    """Give the row to carol, who talks with bob; return what both hear, and what is reported about her."""
    bench = scene.bench
    assert bench.opened("carol").port == scene.port
    since = scene.bob.read()
    noticed: list[object] = [_state(bench)]
    bench.facts.clear()
    carol = bench.phone(0x41)
    bench.ask(bench.described("carol", carol), route(bob=("carol",)))
    noticed.append(_state(bench))
    bench.tick(15)
    first = carol.read()
    scene.together("carol")
    carol.send(rtp(3, EVENT, payload_type=101, ssrc=7, marker=True), scene.port)
    bench.tick()
    for k in range(4, 20):
        carol.sent = k
        carol.send_audio(scene.port)
        scene.bob.send_audio(scene.to_bob)
        bench.tick()
    bench.ask(route(carol=None), m.PlayClip(token=sound_of("carol", "new"), clip_id="music", loops=1))
    bench.tick(12)
    bench.ask(m.CloseRow(leg="carol"))
    bench.tick()
    bob, carol_heard = _heard(scene.bob, since), _heard(carol, 0)
    noticed += [first, bob, carol_heard, [_told(fact) for fact in bench.facts if not _is_periodic(fact)]]
    return noticed


def _state(bench: Bench) -> object:
    reply = bench.server.handle(m.ListRows(number=9), b"", bench.now)
    assert isinstance(reply, m.RowList)
    (row,) = [row for row in reply.rows if row.leg == "carol"]
    return replace(row, port=0, remote=None)


def _heard(phone: Phone, since: int) -> list[tuple[int, bool, int, int, bytes]]:
    phone.read()
    packets = phone.received[since:]
    base = packets[0]
    return [
        (
            each.payload_type,
            each.marker,
            (each.sequence - base.sequence) % 2**16,
            (each.timestamp - base.timestamp) % 2**32,
            each.payload,
        )
        for each in packets
    ]


def _is_periodic(fact: m.Fact) -> bool:
    """Return whether a fact is posted at a time that depends on how long the server runs."""
    return isinstance(fact, m.Statistics) and not fact.final


def _told(fact: m.Fact) -> object:
    match fact:
        case m.Statistics():
            return replace(fact, jitter_ms=0.0)
        case m.FirstPacket(leg=leg):
            return leg, "first packet"
        case m.RowAudioStarted(leg=leg, token=token):
            return leg, token
        case _:
            return fact


@pytest.mark.parametrize("what", sorted(EARLIER))
def test_the_next_leg_of_a_row_lives_as_on_a_fresh_row(what: str, tmp_path: Path) -> None:
    lives = []
    for earlier in (lambda scene: None, EARLIER[what]):
        bench = Bench()
        try:
            scene = Scene(bench, tmp_path)
            earlier(scene)
            bench.ask(m.CloseRow(leg="alice"))
            bench.ask(route(bob=()))
            bench.tick(2)
            bench.facts.clear()
            lives.append(next_leg(scene))
        finally:
            bench.close()
    assert lives[1] == lives[0]
    assert len({each[-1] for each in lives[0][4]}) >= 3, "silence, bob and music"  # type: ignore[attr-defined]


def test_the_next_leg_of_an_encrypted_row_is_not_sent_encrypted_packets(tmp_path: Path) -> None:
    bench = Bench()
    try:
        scene = Scene(bench, tmp_path)
        scene.is_encrypted()
        opened = SrtpSession(SrtpKeys(send=KEYS.receive, receive=KEYS.send))
        scene.alice._socket.settimeout(5)
        while opened.unprotect(data := scene.alice._socket.recv(2000)) is None:
            packet(data)
        bench.ask(m.CloseRow(leg="alice"))
        assert bench.opened("carol").port == scene.port
        carol = bench.phone(0x41)
        bench.ask(bench.described("carol", carol))
        bench.tick(3)
        assert carol.read() == 3
        assert {each.payload for each in carol.received} == {b"\xff" * 160}
    finally:
        bench.close()
