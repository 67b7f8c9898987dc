"""Two RTP streams of test phones send to each other over real sockets, and each ear hears the other one whole."""

import itertools
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace

import pytest

from holdfast.testing.audio.ears import Ear, stream
from holdfast.testing.audio.recogniser import SILENCE
from holdfast.testing.audio.rtp_stream import RtpStream, bind_pair, parse_packet
from holdfast.testing.clock import now_s
from holdfast.testing.signals import ALICE, BOB, FRAME_SAMPLES, Chord
from holdfast.voice.sip.sdp.offer import Agreed


@contextmanager
def open_stream(hum: Chord | None) -> Iterator[tuple[RtpStream, Ear]]:
    ear = Ear()
    stream = RtpStream(host="127.0.0.1", ear=ear, hum=hum, ssrc=0xFFFFFFFF)
    stream.open()
    try:
        yield stream, ear
    finally:
        stream.close()


def agreed_with(stream: RtpStream) -> Agreed:
    return Agreed(remote=stream.address, codec="PCMU", dtmf_payload_type=101, send=True, receive=True, peer_holds=False)


def wait_for(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 10.0
    while not true():
        assert time.monotonic() < deadline, "nothing came"
        time.sleep(0.01)


def test_each_hears_the_other_in_one_unbroken_stream() -> None:
    with open_stream(ALICE) as (alice, alices_ear), open_stream(BOB) as (bob, bobs_ear):
        alice.agree(agreed_with(bob))
        bob.agree(replace(agreed_with(alice), codec="PCMA"))
        wait_for(lambda: len(alices_ear.packets()) >= 20 and len(bobs_ear.packets()) >= 20)

    for ear, name in ((alices_ear, "bob"), (bobs_ear, "alice")):
        report = stream(ear.packets())
        assert {heard for _, heard in ear.heard()} == {frozenset({name})}
        assert (report.sources, report.holes) == (1, 0)
        assert report.leaps <= alice.skipped + bob.skipped
    assert {packet.payload_type for packet in alices_ear.packets()} == {8}
    assert len({packet.payload for packet in bobs_ear.packets()}) == 1


def test_a_stream_sends_only_as_agreed() -> None:
    with open_stream(ALICE) as (alice, _), open_stream(BOB) as (bob, bobs_ear):
        assert alice.sent == 0
        alice.agree(agreed_with(bob))
        wait_for(lambda: len(bobs_ear.packets()) >= 5)
        alice.hum(None)
        wait_for(lambda: bobs_ear.heard()[-1][1] == SILENCE)
        alice.agree(replace(agreed_with(bob), send=False))
        time.sleep(0.05)
        sent = alice.sent
        time.sleep(0.1)

        assert alice.sent == sent
        assert alice.address[1] % 2 == 0


def test_a_digit_is_one_event_of_100_ms_that_ends_three_times() -> None:
    receiver, control = bind_pair("127.0.0.1")
    receiver.settimeout(5.0)
    with receiver, control, open_stream(ALICE) as (alice, _):
        alice.agree(replace(agreed_with(alice), remote=receiver.getsockname()[:2]))
        alice.press("5")
        packets = [packet for _ in range(20) if (packet := parse_packet(receiver.recv(2048), 0.0)) is not None]

    events = [packet for packet in packets if packet.payload_type == 101]
    assert [packet.payload.hex() for packet in events] == [
        "050a00a0",
        "050a0140",
        "050a01e0",
        "050a0280",
        "058a0320",
        "058a0320",
        "058a0320",
    ]
    assert [packet.marker for packet in events] == [True] + [False] * 6
    assert len({packet.timestamp for packet in events}) == 1
    assert [(b.sequence - a.sequence) % 2**16 for a, b in itertools.pairwise(packets)] == [1] * 19
    voice = [packet for packet in packets if packet.payload_type == 0]
    assert all((packet.timestamp - voice[0].timestamp) % FRAME_SAMPLES == 0 for packet in voice)


def test_a_digit_stays_one_event_when_slots_are_skipped(monkeypatch: pytest.MonkeyPatch) -> None:
    receiver, control = bind_pair("127.0.0.1")
    receiver.settimeout(5.0)
    with receiver, control, open_stream(None) as (alice, _):
        # Each packet sent takes 50 ms of this clock: two slots pass before the next.
        monkeypatch.setattr("holdfast.testing.audio.rtp_stream.now_s", lambda: now_s() + 0.05 * alice.sent)
        alice.agree(replace(agreed_with(alice), remote=receiver.getsockname()[:2]))
        alice.press("5")
        packets = [packet for _ in range(12) if (packet := parse_packet(receiver.recv(2048), 0.0)) is not None]

    assert alice.skipped > 5
    events = [packet for packet in packets if packet.payload_type == 101]
    assert len(events) == 7
    assert len({packet.timestamp for packet in events}) == 1


def test_digits_need_an_agreement_and_must_exist() -> None:
    with open_stream(ALICE) as (alice, _):
        with pytest.raises(ValueError, match="nothing is agreed"):
            alice.press("1")
        alice.agree(agreed_with(alice))
        with pytest.raises(ValueError, match="no digit"):
            alice.press("x")


def test_other_datagrams_are_not_parsed_as_rtp() -> None:
    header = bytes.fromhex("8000000100000002000000ff")

    packet = parse_packet(header + b"\x01\x02", 3.0)

    assert packet is not None
    assert (packet.sequence, packet.timestamp, packet.ssrc, packet.payload, packet.at_s) == (
        1,
        2,
        255,
        b"\x01\x02",
        3.0,
    )
    assert parse_packet(b"\x81" + header[1:] + b"\0\0\0\0\x05", 0.0) is not None
    for wrong in (b"", header[:11], b"\x40" + header[1:], b"\x80\xc8" + header[2:]):
        assert parse_packet(wrong, 0.0) is None
