"""The clock of the holds service, and how often it polls."""

from __future__ import annotations

import asyncio
import time

import pytest

from holdfast.holds.clock import SystemClock, Timeouts

pytestmark = pytest.mark.anyio


def test_polls_are_quick_at_first_and_their_pauses_add_up_to_the_total() -> None:
    timeouts = Timeouts()
    assert list(timeouts.poll_intervals(0.1)) == pytest.approx([0.02, 0.04, 0.04])
    pauses = list(timeouts.poll_intervals(3.0))
    assert pauses == pytest.approx([0.02, 0.04, 0.08, 0.16, 0.32, 0.5, 0.5, 0.5, 0.5, 0.38])
    assert list(timeouts.poll_intervals(0.0)) == []
    assert list(Timeouts(first_poll_s=1.0, max_poll_interval_s=3.0).poll_intervals(9.0)) == [1.0, 2.0, 3.0, 3.0]


def test_the_waits_of_the_service() -> None:
    timeouts = Timeouts()
    assert (timeouts.confirmation_s, timeouts.conference_forming_s) == (10.0, 3.0)
    assert (timeouts.check_interval_s, timeouts.phone_check_interval_s) == (5.0, 1.0)


async def test_the_clock_counts_from_the_epoch_and_waits_for_an_event_or_a_timeout() -> None:
    clock, event = SystemClock(), asyncio.Event()
    assert clock.now() == pytest.approx(time.time(), abs=5.0)
    assert await clock.wait(None, timeout_s=0.0) is False
    assert await clock.wait(event, timeout_s=0.0) is False
    event.set()
    assert await clock.wait(event, timeout_s=60.0) is True
