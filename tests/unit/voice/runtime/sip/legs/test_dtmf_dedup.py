"""Keys told both ways count once, in either order."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.voice.runtime.sip.legs.dtmf_dedup import (
    LONGEST_PRESS_S,
    MAX_REMEMBERED,
    PAIRING_WINDOW_S,
    DtmfDedup,
    ReportedDigit,
)


def told_alone(keys: DtmfDedup, digit: str, now: float, *, lasted_s: float = 0.16) -> bool:
    """Whether an INFO that no event follows counts."""
    told = keys.handle_info_digit(digit, now, lasted_s=lasted_s)
    return told is not None and keys.stop_waiting(told) == (digit,)


def test_a_digit_reported_by_info_alone_counts() -> None:
    keys = DtmfDedup()
    assert told_alone(keys, "1", 1.0)
    assert told_alone(keys, "1", 1.0)


@pytest.mark.parametrize(
    ("after_s", "lasted_s"), [(0.0, 0.0), (PAIRING_WINDOW_S, 0.0), (2.0, 1.6), (LONGEST_PRESS_S, 99.0)]
)
def test_an_info_after_the_event_is_the_same_digit(after_s: float, lasted_s: float) -> None:
    keys = DtmfDedup()
    keys.handle_audio_digit("1", 10.0)
    assert keys.handle_info_digit("1", 10.0 + after_s, lasted_s=lasted_s) is None
    assert told_alone(keys, "1", 10.0 + after_s), "one press is one INFO"


@pytest.mark.parametrize(("digit", "after_s", "lasted_s"), [("2", 0.0, 0.1), ("1", 0.7, 0.1), ("1", 6.0, 99.0)])
def test_another_digit_and_a_later_one_are_digits_of_their_own(digit: str, after_s: float, lasted_s: float) -> None:
    keys = DtmfDedup()
    keys.handle_audio_digit("1", 10.0)
    assert told_alone(keys, digit, 10.0 + after_s, lasted_s=lasted_s)


def test_an_info_before_the_event_is_the_same_digit() -> None:
    keys = DtmfDedup()
    first = keys.handle_info_digit("1", 10.0, lasted_s=0.1)
    second = keys.handle_info_digit("1", 10.1, lasted_s=0.1)
    assert first is not None
    assert second is not None
    keys.handle_audio_digit("1", 10.2)
    assert keys.stop_waiting(first) == ()
    assert keys.stop_waiting(second) == ("1",)
    assert told_alone(keys, "1", 10.3), "the press was that of the first"


@given(
    st.lists(st.tuples(st.sampled_from("12"), st.booleans(), st.floats(0.0, 0.3)), max_size=12),
    st.floats(0.0, PAIRING_WINDOW_S - 0.01),
)
def test_digits_reported_both_ways_count_once_in_every_order(
    keyed: list[tuple[str, bool, float]], apart_s: float
) -> None:
    keys, now, counted = DtmfDedup(), 0.0, 0
    due: list[tuple[float, str, bool]] = []
    for digit, event_first, pause_s in keyed:
        now += pause_s
        due += [(now, digit, event_first), (now + apart_s, digit, not event_first)]
    due.sort(key=lambda item: item[0])
    waiting = []
    for at_s, digit, is_event in due:
        if is_event:
            counted += keys.handle_audio_digit(digit, at_s)
        elif (told := keys.handle_info_digit(digit, at_s, lasted_s=0.0)) is not None:
            waiting.append(told)
    assert counted == len(keyed)
    assert not any(keys.stop_waiting(told) for told in waiting)


def test_digits_without_an_info_are_discarded() -> None:
    keys = DtmfDedup()
    for number in range(10_000):
        keys.handle_audio_digit("1", number / 1000)
    assert len(keys._audio_digits) <= MAX_REMEMBERED + 1


def test_digits_of_an_info_only_phone_are_not_delayed_until_one_is_detected_in_rtp() -> None:
    keys = DtmfDedup()
    first, second = keys.handle_info_digit("1", 10.0, lasted_s=0.1), keys.handle_info_digit("2", 10.4, lasted_s=0.1)
    known = [keys.info_only]
    assert first is not None
    assert second is not None
    assert keys.stop_waiting(first) == ("1", "2"), "or the third would be before the second"
    assert keys.stop_waiting(second) == ()
    known.append(keys.info_only)
    assert told_alone(keys, "3", 10.6)
    assert keys.handle_audio_digit("4", 11.0)
    assert [*known, keys.info_only] == [False, True, False]


@pytest.mark.parametrize(
    ("after_s", "counts"), [(0.0, False), (PAIRING_WINDOW_S, False), (PAIRING_WINDOW_S + 0.1, True)]
)
def test_a_digit_detected_after_its_info_counted_is_the_same_digit(after_s: float, counts: bool) -> None:
    keys = DtmfDedup()
    assert told_alone(keys, "1", 10.0)
    assert keys.handle_audio_digit("2", 10.0), "another key"
    assert keys.handle_audio_digit("1", 10.0 + after_s) is counts
    assert keys.handle_audio_digit("1", 10.0 + after_s), "one INFO is one press"


DIGIT_ROLES = st.tuples(st.sampled_from("12"), st.booleans(), st.floats(0.02, 0.6))


@given(st.lists(DIGIT_ROLES, max_size=8), st.lists(DIGIT_ROLES, max_size=8), st.floats(0.0, 0.4), st.booleans())
def test_each_digit_counts_once_and_in_order_in_any_sequence_of_reports(
    by_info: list[tuple[str, bool, float]], both: list[tuple[str, bool, float]], apart_s: float, events_agreed: bool
) -> None:
    """A phone that tells its keys by INFO alone begins to send them as sound too."""
    keys, now, said, counted = DtmfDedup(), 0.0, "", ""
    due: list[tuple[float, int, str, bool]] = []
    for digit, event_first, pause_s in [*by_info, ("#", True, 2.0), *both]:
        now, said = now + pause_s, said + digit
        ways = (False,) if len(said) <= len(by_info) else (event_first, not event_first)
        due += [(now + apart_s * place, len(said), digit, is_event) for place, is_event in enumerate(ways)]
    waiting: list[tuple[float, ReportedDigit]] = []
    for at_s, _, digit, is_event in [*sorted(due), (now + 9, 0, "", False)]:
        while waiting and waiting[0][0] <= at_s:
            counted += "".join(keys.stop_waiting(waiting.pop(0)[1]))
        if is_event:
            counted += digit if keys.handle_audio_digit(digit, at_s) else ""
        elif digit and (told := keys.handle_info_digit(digit, at_s, lasted_s=0.0)) is not None:
            if events_agreed and not keys.info_only:
                waiting.append((at_s + PAIRING_WINDOW_S, told))
            else:
                counted += "".join(keys.stop_waiting(told))
    assert sorted(counted) == sorted(said)
    assert counted.partition("#")[0] == said.partition("#")[0]
