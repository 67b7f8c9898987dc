"""The estimated score follows the formula of the standard and stays in its range."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.voice.media.quality import estimate, mean_opinion, rating


@pytest.mark.parametrize(("r", "mos"), [(93.2, 4.41), (90, 4.34), (80, 4.03), (70, 3.60), (60, 3.10), (50, 2.58)])
def test_the_scores_of_the_standards_table(r: float, mos: float) -> None:
    """Source: ITU-T G.107 table B.1."""
    assert mean_opinion(r) == pytest.approx(mos, abs=0.01)


def test_loss_and_delay_each_cost() -> None:
    assert rating(loss=0, delay_ms=0) == 93.2
    assert rating(loss=0.05, delay_ms=0) == pytest.approx(93.2 - 95 * 5 / 30.1)
    assert rating(loss=0, delay_ms=100) == pytest.approx(93.2 - 2.4)
    assert rating(loss=0, delay_ms=300) == pytest.approx(93.2 - 7.2 - 0.11 * 122.7)


def test_a_stream_is_scored_from_its_first_packet_on() -> None:
    assert estimate(expected=0, missing=0, round_trip_ms=None, buffered_ms=40) is None
    assert estimate(expected=100, missing=0, round_trip_ms=None, buffered_ms=40) == 4.38
    assert estimate(expected=100, missing=5, round_trip_ms=60, buffered_ms=80) == 3.79
    assert estimate(expected=100, missing=100, round_trip_ms=0, buffered_ms=40) == 1.14


@given(st.integers(-5, 10**6), st.integers(-5, 10**6), st.floats(0, 1e6) | st.none(), st.floats(0, 1e4))
def test_a_score_is_between_1_and_4_5(
    expected: int, missing: int, round_trip_ms: float | None, buffered_ms: float
) -> None:
    score = estimate(expected=expected, missing=missing, round_trip_ms=round_trip_ms, buffered_ms=buffered_ms)
    assert score is None or 1 <= score <= 4.5


@given(st.floats(0, 1), st.floats(0, 1), st.floats(0, 1000))
def test_more_loss_is_never_better(one: float, other: float, delay_ms: float) -> None:
    few, many = sorted((one, other))
    assert (
        mean_opinion(rating(loss=few, delay_ms=delay_ms)) >= mean_opinion(rating(loss=many, delay_ms=delay_ms)) - 1e-9
    )
