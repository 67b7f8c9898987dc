"""The log of rejected inbound calls."""

from __future__ import annotations

import logging

import pytest

from holdfast.voice.model.ids import CallSid
from holdfast.voice.runtime.sip.inbound_calls import LOG_INTERVAL_S, MAX_LINES, RejectedCalls

CALL = CallSid("CA" + "0" * 32)


def test_many_rejected_calls_at_once_are_logged_by_their_number(caplog: pytest.LogCaptureFixture) -> None:
    now = 0.0
    rejected_calls = RejectedCalls(lambda: now)
    with caplog.at_level(logging.INFO):
        for _ in range(MAX_LINES + 5):
            rejected_calls.log_rejection(CALL, "404 for '100'")
        assert caplog.messages == [f"call={CALL} rejected: 404 for '100'"] * MAX_LINES
        caplog.clear()
        now = LOG_INTERVAL_S
        rejected_calls.log_rejection(CALL, "404 for '101'")
    assert caplog.messages == ["5 more calls were rejected", f"call={CALL} rejected: 404 for '101'"]
