"""Keys told both ways count once, in either order."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.voice.runtime.legs.keys import LONGEST_S, MOST_PRESSED, TOGETHER_S, Keys


def told_alone(keys: Keys, digit: str, now: float, *, lasted_s: float = 0.16) -> bool:
    """Whether an INFO that no event follows counts."""
    told = keys.tell(digit, now, lasted_s=lasted_s)
    return told is not None and keys.settle(told)


def test_a_key_told_by_info_alone_counts() -> None:
    keys = Keys()
    assert told_alone(keys, "1", 1.0)
    assert told_alone(keys, "1", 1.0)


@pytest.mark.parametrize(("after_s", "lasted_s"), [(0.0, 0.0), (TOGETHER_S, 0.0), (2.0, 1.6), (LONGEST_S, 99.0)])
def test_an_info_after_the_event_is_the_same_key(after_s: float, lasted_s: float) -> None:
    keys = Keys()
    keys.press("1", 10.0)
    assert keys.tell("1", 10.0 + after_s, lasted_s=lasted_s) is None
    assert told_alone(keys, "1", 10.0 + after_s), "one press is one INFO"


@pytest.mark.parametrize(("digit", "after_s", "lasted_s"), [("2", 0.0, 0.1), ("1", 0.7, 0.1), ("1", 6.0, 99.0)])
def test_another_key_and_a_later_one_are_keys_of_their_own(digit: str, after_s: float, lasted_s: float) -> None:
    keys = Keys()
    keys.press("1", 10.0)
    assert told_alone(keys, digit, 10.0 + after_s, lasted_s=lasted_s)


def test_an_info_before_the_event_is_the_same_key() -> None:
    keys = Keys()
    first = keys.tell("1", 10.0, lasted_s=0.1)
    second = keys.tell("1", 10.1, lasted_s=0.1)
    assert first is not None
    assert second is not None
    keys.press("1", 10.2)
    assert not keys.settle(first)
    assert keys.settle(second)
    assert told_alone(keys, "1", 10.3), "the press was that of the first"


@given(
    st.lists(st.tuples(st.sampled_from("12"), st.booleans(), st.floats(0.0, 0.3)), max_size=12),
    st.floats(0.0, TOGETHER_S - 0.01),
)
def test_keys_told_both_ways_count_once_in_every_order(keyed: list[tuple[str, bool, float]], apart_s: float) -> None:
    keys, now, counted = Keys(), 0.0, 0
    due: list[tuple[float, str, bool]] = []
    for digit, event_first, pause_s in keyed:
        now += pause_s
        due += [(now, digit, event_first), (now + apart_s, digit, not event_first)]
    due.sort(key=lambda item: item[0])
    waiting = []
    for at_s, digit, is_event in due:
        if is_event:
            keys.press(digit, at_s)
            counted += 1
        elif (told := keys.tell(digit, at_s, lasted_s=0.0)) is not None:
            waiting.append(told)
    assert counted == len(keyed)
    assert not any(keys.settle(told) for told in waiting)


def test_presses_that_nobody_tells_of_are_forgotten() -> None:
    keys = Keys()
    for number in range(10_000):
        keys.press("1", number / 1000)
    assert len(keys._pressed) <= MOST_PRESSED + 1
