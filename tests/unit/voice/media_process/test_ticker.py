"""Deadlines stay on the grid of the clock, whatever the ticks before took."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.voice.media_process.ticker import TICK_S, Ticker


@given(st.lists(st.floats(0, 0.5), max_size=50))
def test_every_slot_is_made_or_skipped_once(delays: list[float]) -> None:
    """No drift, no burst: after n ticks and s skipped ones the next deadline is slot n + s + 1."""
    ticker, skipped = Ticker(1000.0), 0
    for made, delay in enumerate(delays, start=1):
        began = ticker.deadline + delay
        skipped += ticker.begin(began)
        assert ticker.deadline == pytest.approx(1000.0 + (made + skipped + 1) * TICK_S)
        assert ticker.deadline > began - 1e-9
    assert ticker.skipped == skipped


def test_a_tick_that_is_late_within_its_slot_is_made() -> None:
    ticker = Ticker(0.0)
    assert ticker.begin(0.039) == 0
    assert ticker.deadline == pytest.approx(0.04)


def test_whole_missed_slots_are_left_out() -> None:
    ticker = Ticker(0.0)
    assert ticker.begin(0.125) == 5
    assert ticker.deadline == pytest.approx(0.14)
