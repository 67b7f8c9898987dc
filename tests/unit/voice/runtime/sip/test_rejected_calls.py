"""What the log says of calls in that were turned away."""

from __future__ import annotations

import logging

import pytest

from holdfast.voice.model.ids import CallSid
from holdfast.voice.runtime.sip.rejected_calls import MOST_TOLD, TOLD_EVERY_S, RejectedCalls

CALL = CallSid("CA" + "0" * 32)


def test_many_calls_at_once_are_told_by_their_number(caplog: pytest.LogCaptureFixture) -> None:
    now = 0.0
    turned_away = RejectedCalls(lambda: now)
    with caplog.at_level(logging.INFO):
        for _ in range(MOST_TOLD + 5):
            turned_away.tell(CALL, "404 for '100'")
        assert caplog.messages == [f"call={CALL} turned away: 404 for '100'"] * MOST_TOLD
        caplog.clear()
        now = TOLD_EVERY_S
        turned_away.tell(CALL, "404 for '101'")
    assert caplog.messages == ["5 more calls were turned away", f"call={CALL} turned away: 404 for '101'"]
