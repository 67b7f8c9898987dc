"""Sent digits are received as one press each, by our own receiver and by the standard."""

from __future__ import annotations

import struct

from hypothesis import given
from hypothesis import strategies as st

from holdfast.voice.media.dtmf import event_receiver
from holdfast.voice.media.dtmf.event_sender import (
    OFF_FRAMES,
    ON_FRAMES,
    PAUSE_FRAMES,
    packet,
    plan,
)


def heard(digits: str, *, lose: frozenset[int] = frozenset(), late: frozenset[int] = frozenset()) -> str:
    """Return the digits that a receiver finds when some packets are lost; ticks were left out before the late ones."""
    digits_received, last, timestamp, event_timestamp = "", None, 2**32 - 1000, 0
    for tick, event in enumerate(plan(digits)):
        timestamp = (timestamp + 320 * (tick in late)) % 2**32
        if event is not None and event.first:
            event_timestamp = timestamp
        if event is not None and tick not in lose:
            data = packet(event, payload_type=101, sequence=tick, event_timestamp=event_timestamp, ssrc=7)
            kind, named = data[1], struct.unpack_from("!I", data, 4)[0]
            last, digit = event_receiver.receive(last, data[12:], timestamp=named, marker=kind >= 128, ssrc=7)
            digits_received += digit or ""
        timestamp = (timestamp + 160) % 2**32
    return digits_received


@given(st.sets(st.integers(0, 40)))
def test_skipped_ticks_make_no_second_press(late: set[int]) -> None:
    assert heard("1122", late=frozenset(late)) == "1122"


@given(st.text(alphabet="0123456789*#ABCDwW", max_size=20))
def test_each_digit_is_received_once(digits: str) -> None:
    assert heard(digits) == digits.replace("w", "").replace("W", "")


def test_lower_case_letters_are_digits() -> None:
    assert heard("abcd") == "ABCD"


@given(st.sets(st.integers(0, 6), max_size=6))
def test_a_digit_is_received_if_any_of_its_packets_arrives(lost: set[int]) -> None:
    assert heard("5", lose=frozenset(lost)) == "5"


def test_one_digit_is_sent_packet_by_packet() -> None:
    events = plan("#")
    assert len(events) == ON_FRAMES + OFF_FRAMES
    sent = [packet(e, payload_type=96, sequence=9, event_timestamp=5000, ssrc=1) for e in events if e]
    assert [(data[1], struct.unpack_from("!I", data, 4)[0], *struct.unpack("!BBH", data[12:])) for data in sent] == [
        (96 | 128, 5000, 11, 10, 160),
        (96, 5000, 11, 10, 320),
        (96, 5000, 11, 10, 480),
        (96, 5000, 11, 10, 640),
        (96, 5000, 11, 0x80 | 10, 800),
        (96, 5000, 11, 0x80 | 10, 800),
        (96, 5000, 11, 0x80 | 10, 800),
    ]


def test_pauses_are_silent_ticks() -> None:
    assert plan("wW") == (None,) * (PAUSE_FRAMES["w"] + PAUSE_FRAMES["W"])
    assert plan("?") == ()
