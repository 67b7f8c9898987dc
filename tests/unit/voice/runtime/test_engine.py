"""The engine logs and counts each message that a machine refused."""

from __future__ import annotations

import logging
from typing import Any, cast

import pytest

from holdfast.voice.model.effects import LogRefusal
from holdfast.voice.runtime.counters import Counters
from holdfast.voice.runtime.engine import EffectExecutor


def test_a_refused_message_is_logged_and_counted(caplog: pytest.LogCaptureFixture) -> None:
    counters, unused = Counters(), cast(Any, None)
    executor = EffectExecutor(
        timers=unused,
        webhooks=unused,
        legs=unused,
        recorder=unused,
        media=unused,
        audio=unused,
        counters=counters,
    )
    refusal = LogRefusal(noun="CA1", status="in-progress", message="LegAnswered")
    with caplog.at_level(logging.WARNING):
        executor.carry_out(refusal)
        executor.carry_out(refusal)
    assert counters.refusals == {("LegAnswered", "in-progress"): 2}
    line = "noun=CA1 status=in-progress message=LegAnswered refused: no table lists it"
    assert [record.getMessage() for record in caplog.records] == [line, line]
