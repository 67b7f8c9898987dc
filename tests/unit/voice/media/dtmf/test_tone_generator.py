"""The tones that are generated for a leg are detected in its audio, and in no other leg's."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from holdfast.voice.media.codec.g711 import ALAW, SILENCE, ULAW
from holdfast.voice.media.dtmf.event_sender import OFF_FRAMES, ON_FRAMES
from holdfast.voice.media.dtmf.tone_detector import ToneDetector
from holdfast.voice.media.dtmf.tone_generator import DTMF_HZ, MAX_WAITING, ToneGenerator

LAWS = np.array([ULAW, ALAW, ULAW], dtype=np.intp)
SILENT = np.array(SILENCE, dtype=np.uint8)[LAWS][:, None].repeat(160, axis=1)


def heard(tones: ToneGenerator, *, ticks: int) -> list[str]:
    """Return the digits that each leg hears in the next ticks."""
    detector, told = ToneDetector(3), ["", "", ""]
    for row in range(3):
        detector.set_enabled(row, enabled=True)
    for _ in range(ticks):
        frames = SILENT.copy()
        laid = tones.write_to(frames, LAWS)
        assert set(np.flatnonzero((frames != SILENT).any(axis=1))) <= set(laid.tolist())
        for row, digit in detector.detect(frames, LAWS):
            told[row] += digit
    return told


@given(st.lists(st.tuples(st.integers(0, 2), st.sampled_from(sorted(DTMF_HZ))), max_size=20))
def test_each_leg_hears_its_own_digits_in_order(pressed: list[tuple[int, str]]) -> None:
    tones = ToneGenerator()
    for row, digit in pressed:
        tones.add(row, digit)

    rx = ["".join(digit for row, digit in pressed if row == leg) for leg in range(3)]
    most = MAX_WAITING // (ON_FRAMES + OFF_FRAMES)
    assert heard(tones, ticks=10 * 20 + 5) == [each[:most] for each in rx]
    assert tones.write_to(SILENT.copy(), LAWS).size == 0


def test_cleared_digits_are_not_heard_and_other_characters_are_ignored() -> None:
    tones = ToneGenerator()
    tones.add(0, "1")
    tones.add(1, "2")
    tones.add(2, "x")
    tones.clear(0)
    tones.clear(0)

    assert heard(tones, ticks=10) == ["", "2", ""]
