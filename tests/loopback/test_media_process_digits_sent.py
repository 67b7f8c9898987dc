"""Digits that a leg is sent as telephone events, tick by tick: those of its peer, and those of its own clip."""

from __future__ import annotations

import pytest

from holdfast.voice.media.dtmf import event_receiver
from holdfast.voice.media_process.control_link import protocol as m
from holdfast.voice.model.effects import StopSound
from tests.loopback.media_process import Phone, sound_of
from tests.loopback.test_media_process_ticks import Bench, bench, route

__all__ = ["bench"]


def digits(phone: Phone, since: int = 0) -> str:
    """Return the digits that a phone makes of the events it received."""
    phone.read()
    last, found = None, ""
    for each in phone.received[since:]:
        if each.payload_type == 101:
            last, digit = event_receiver.receive(
                last, each.payload, timestamp=each.timestamp, marker=each.marker, ssrc=each.ssrc
            )
            found += digit or ""
    return found


def together(bench: Bench, *, events: bool = True) -> Phone:
    """Open alice and bob, who hear each other; return bob's phone."""
    bob = bench.phone(0x31)
    bench.leg("alice", bench.phone(0x21))
    bench.leg("bob", bob, events=events)
    bench.ask(route(alice=("bob",), bob=("alice",)))
    return bob


def relay(bench: Bench, text: str) -> None:
    bench.ask(*(m.RelayDigit(leg="alice", digit=digit) for digit in text))


def play(bench: Bench, text: str, *, loops: int = 1) -> None:
    bench.clip("tones", 0x60, frames=10 * len(text))
    bench.ask(route(bob=None), m.PlayClip(token=sound_of("bob", "t"), clip_id="tones", loops=loops, digits=text))


def test_digits_of_the_peer_are_sent_in_order_one_after_the_other(bench: Bench) -> None:
    bob = together(bench)
    relay(bench, "12")
    bench.tick(5)
    relay(bench, "3")
    bench.tick(40)
    assert digits(bob) == "123"
    events = [k for k, each in enumerate(bob.received) if each.payload_type == 101]
    assert events == [*range(7), *range(10, 17), *range(20, 27)], "100 ms each, 60 ms of audio between"
    assert len(bob.received) == 45


def test_two_seconds_of_digits_wait_and_more_are_dropped(bench: Bench) -> None:
    bob = together(bench)
    relay(bench, "0123456789ABCD")
    bench.tick(160)
    assert digits(bob) == "0123456789"
    relay(bench, "5")
    bench.tick(10)
    assert digits(bob) == "01234567895"


def test_the_digits_of_a_clip_are_sent_as_often_as_the_clip_is_played(bench: Bench) -> None:
    bob = together(bench)
    play(bench, "12", loops=3)
    bench.tick(80)
    assert digits(bob) == "121212"


def test_the_digits_of_a_clip_end_with_it(bench: Bench) -> None:
    bob = together(bench)
    play(bench, "123456")
    bench.tick(12)
    bench.ask(StopSound(token=sound_of("bob", "t")))
    bench.tick(60)
    assert digits(bob) == "12"


def test_another_clip_takes_the_place_of_digits(bench: Bench) -> None:
    bob = together(bench)
    play(bench, "123456")
    bench.tick(12)
    bench.clip("music", 0x61, frames=10)
    bench.ask(m.PlayClip(token=sound_of("bob", "m"), clip_id="music", loops=1))
    bench.tick(60)
    assert digits(bob) == "12"


def test_the_digits_of_a_clip_go_on_when_those_of_the_peer_are_dropped(bench: Bench) -> None:
    bob = together(bench)
    play(bench, "123")
    bench.tick(3)
    bench.ask(route(bob=None))
    bench.tick(40)
    assert digits(bob) == "123"


def test_the_digits_of_a_clip_are_not_sent_while_the_leg_hears_another_leg(bench: Bench) -> None:
    bob = together(bench)
    play(bench, "1234")
    bench.tick(10)
    bench.ask(route(bob=("alice",)))
    bench.tick(10)
    bench.ask(route(bob=None))
    bench.tick(30)
    assert digits(bob) == "134", "the second one passed while another leg was heard"


def test_a_digit_of_the_peer_takes_the_place_of_the_digits_of_a_clip(bench: Bench) -> None:
    bob = together(bench)
    play(bench, "123456")
    bench.tick(3)
    bench.ask(route(alice=("bob",), bob=("alice",)))
    relay(bench, "9")
    bench.tick(80)
    assert digits(bob) == "19"


@pytest.mark.parametrize("events", [True, False])
def test_digits_of_the_peer_that_wait_are_dropped_when_a_leg_may_not_be_sent_anything(
    bench: Bench, events: bool
) -> None:
    bob = together(bench, events=events)
    relay(bench, "12")
    bench.ask(bench.described("bob", bob, send=False, events=events))
    bench.tick(3)
    bench.ask(bench.described("bob", bob, events=events))
    bench.tick(30)
    assert digits(bob) == ""
    assert {each.payload for each in bob.received} == {b"\xff" * 160}


@pytest.mark.parametrize(
    "hears",
    [
        {"alice": None, "bob": ("alice",)},
        {"alice": ("bob",), "bob": None},
        {"alice": ("bob", "carol"), "bob": ("alice",)},
        {"alice": ("carol",), "bob": ("alice",)},
        {"alice": (), "bob": ("alice",)},
    ],
    ids=["held", "peer held", "three", "other peer", "alone"],
)
def test_digits_are_relayed_between_two_legs_that_hear_only_each_other(
    bench: Bench, hears: dict[str, tuple[str, ...] | None]
) -> None:
    bob = together(bench)
    bench.leg("carol", bench.phone(0x41))
    bench.ask(route(**hears, carol=("alice",)))
    relay(bench, "12")
    bench.tick(30)
    assert digits(bob) == ""
