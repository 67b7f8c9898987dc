"""When a silent leg is lost."""

from __future__ import annotations

import pytest

from holdfast.voice.runtime.legs.liveness import USUAL, Liveness


@pytest.mark.parametrize(
    ("silent_s", "agreed_s", "held", "lost"),
    [
        (59.0, 500.0, False, False),
        (60.0, 500.0, False, True),
        (60.0, 500.0, True, False),
        (3599.0, 9000.0, True, False),
        (3600.0, 9000.0, True, True),
        (3000.0, 5.0, False, False),
        (3000.0, 61.0, False, True),
    ],
)
def test_a_leg_is_lost_when_it_should_have_been_heard_for_its_whole_time(
    silent_s: float, agreed_s: float, held: bool, lost: bool
) -> None:
    assert USUAL.is_lost(silent_s=silent_s, agreed_s=agreed_s, held=held) is lost


def test_a_watch_that_is_turned_off_loses_nobody() -> None:
    off = Liveness(rtp_s=0, rtp_held_s=0)
    assert not off.is_lost(silent_s=1e9, agreed_s=1e9, held=False)
    assert not off.is_lost(silent_s=1e9, agreed_s=1e9, held=True)
