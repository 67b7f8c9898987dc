"""Telephone events: one digit per press, whatever is lost, repeated or reordered."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.voice.media.dtmf.event_receiver import DIGITS, DigitPress, receive


def event(code: int, duration: int, *, end: bool = False) -> bytes:
    return bytes([code, (0x80 if end else 0) | 10]) + duration.to_bytes(2, "big")


def digits(packets: list[tuple[bytes, int, bool]]) -> str:
    last: DigitPress | None = None
    heard = ""
    for payload, timestamp, marker in packets:
        last, digit = receive(last, payload, timestamp=timestamp, marker=marker, ssrc=7)
        heard += digit or ""
    return heard


def press(code: int, at: int) -> list[tuple[bytes, int, bool]]:
    """As RFC 4733 §2.5.1.2 sends it: five updates, the end three times."""
    updates = [(event(code, 160 * k), at, k == 1) for k in range(1, 6)]
    return updates + [(event(code, 960, end=True), at, False)] * 3


@pytest.mark.parametrize("code", range(16))
def test_each_event_code_is_a_digit(code: int) -> None:
    assert digits(press(code, 1000)) == DIGITS[code]


def test_the_same_digit_twice_is_two_presses() -> None:
    assert digits(press(5, 1000) + press(5, 3000)) == "55"


@given(st.lists(st.integers(0, 15), max_size=6), st.data())
def test_a_press_is_one_digit_if_any_of_its_packets_arrives(codes: list[int], data: st.DataObject) -> None:
    sent: list[tuple[bytes, int, bool]] = []
    for k, code in enumerate(codes):
        packets = press(code, (2**32 - 4000 + 2000 * k) % 2**32)
        indices = data.draw(st.lists(st.integers(0, len(packets) - 1), min_size=1, max_size=12))
        sent += [packets[index] for index in indices]
    assert digits(sent) == "".join(DIGITS[code] for code in codes)


def test_a_late_packet_of_an_older_press_is_not_a_new_one() -> None:
    old, new = press(1, 1000), press(2, 3000)
    assert digits([*old[:3], *new[:3], *old[3:], *new[3:]]) == "12"


def test_a_press_longer_than_the_duration_field_is_one_digit() -> None:
    first = [(event(9, 0xFFFF), 1000, True)]
    second = [(event(9, 160), 1000 + 0xFFFF, False), (event(9, 320, end=True), 1000 + 0xFFFF, False)]
    assert digits(first + second) == "9"
    # Its length is that of the longest packet of it that came.
    grown = [(event(9, 160), 1000, True), (event(9, 0xFFFF), 1000, False), (event(9, 320), 1000, False)]
    assert digits(grown + second) == "9"
    # Another key is another press, though the packet with its marker was lost.
    assert digits([*first, (event(8, 160), 1000 + 0xFFFF, False)]) == "98"
    # A new press has the marker even when it follows at once.
    assert digits([*first, (event(9, 160), 1000 + 0xFFFF, True)]) == "99"


@pytest.mark.parametrize("payload", [b"", b"\x05", b"\x05\x80\x00", event(16, 160), event(255, 160)])
def test_other_events_are_ignored(payload: bytes) -> None:
    assert receive(None, payload, timestamp=5, marker=True, ssrc=7) == (None, None)


def test_a_new_stream_has_a_clock_of_its_own() -> None:
    last, first = receive(None, event(1, 160), timestamp=90_000, marker=True, ssrc=7)
    last, second = receive(last, event(1, 160), timestamp=90_000 - 160, marker=True, ssrc=8)
    assert (first, second) == ("1", "1")
