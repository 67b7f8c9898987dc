"""G.722 legs: telephone sound goes through their code and back, whatever the other rows do."""

from __future__ import annotations

import numpy as np
import pytest

from holdfast.voice.media.codecs import DECODE, SILENCE, ULAW, encode
from holdfast.voice.media.g722 import WidebandLegs

HERE = np.zeros(4, dtype=np.int64)


def tone(frames: int, *, hz: float = 500.0) -> np.ndarray[tuple[int, int], np.dtype[np.uint8]]:
    time = np.arange(160 * frames) / 8000
    sound = encode((6000 * np.sin(2 * np.pi * hz * time)).astype(np.int16))
    return np.frombuffer(sound, dtype=np.uint8).reshape(frames, 160)


@pytest.mark.parametrize("hz", [300.0, 1000.0, 3000.0])
def test_what_is_encoded_for_one_leg_is_decoded_from_another(hz: float) -> None:
    legs, said, heard = WidebandLegs(), tone(20, hz=hz), []
    legs.begin(2)
    for frame in said:
        frames = np.full((4, 160), 0x42, dtype=np.uint8)
        frames[2] = frame
        legs.encode(frames)
        assert not np.array_equal(frames[2], frame)
        legs.decode(frames, HERE)
        assert set(frames[[0, 1, 3]].reshape(-1).tolist()) == {0x42}
        heard.append(frames[2].copy())
    sound, back = DECODE[ULAW][said.reshape(-1)].astype(float), DECODE[ULAW][np.concatenate(heard)].astype(float)
    # The codec's own delay is found, and then what is left is noise.
    noise = min(float(np.mean((sound[800:2400] - back[800 + delay : 2400 + delay]) ** 2)) for delay in range(0, 24))
    assert 10 * np.log10(np.mean(sound[800:2400] ** 2) / noise) > 20


def test_what_is_missing_is_silence() -> None:
    legs = WidebandLegs()
    legs.begin(0)
    frames = np.zeros((1, 160), dtype=np.uint8)
    legs.decode(frames, np.array([1]))
    assert set(frames[0].tolist()) == {SILENCE[ULAW]}


def test_a_leg_that_ends_or_changes_is_left_alone() -> None:
    legs, frames = WidebandLegs(), tone(1).copy()
    legs.begin(0)
    legs.begin(0)
    legs.end(0)
    legs.end(0)
    before = frames.copy()
    legs.encode(frames)
    legs.decode(frames, HERE)
    assert np.array_equal(frames, before)


def test_rows_beyond_the_highest_in_use_are_not_touched() -> None:
    legs = WidebandLegs()
    legs.begin(3)
    frames = tone(2).copy()
    before = frames.copy()
    legs.encode(frames)
    legs.decode(frames, HERE)
    assert np.array_equal(frames, before)
