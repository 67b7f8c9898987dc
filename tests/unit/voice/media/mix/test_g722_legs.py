"""G.722 legs decode and encode 8 kHz audio, whatever the other rows do."""

from __future__ import annotations

import numpy as np
import pytest
from G722 import G722
from numpy.typing import NDArray

from holdfast.voice.media.codec.g711 import (
    DECODE,
    SILENCE,
    ULAW,
    encode,
)
from holdfast.voice.media.mix.g722_legs import G722Legs

HERE = np.zeros(4, dtype=np.int64)
Frames = NDArray[np.uint8]
NOWHERE = np.full(4, 99, dtype=np.intp)
NO_ROWS = np.zeros(0, dtype=np.intp)


def encoded(legs: G722Legs, heard: Frames) -> Frames:
    """Return the payloads of these rows, each of which hears some audio of ours."""
    packets = heard.copy()
    legs.encode(heard, packets, source=NOWHERE[: len(heard)], altered=NO_ROWS)
    return packets


def tone(frames: int, *, hz: float = 500.0) -> Frames:
    time = np.arange(160 * frames) / 8000
    audio = encode((6000 * np.sin(2 * np.pi * hz * time)).astype(np.int16))
    return np.frombuffer(audio, dtype=np.uint8).reshape(frames, 160)


@pytest.mark.parametrize("hz", [300.0, 1000.0, 3000.0])
def test_audio_encoded_for_one_leg_is_decoded_from_another(hz: float) -> None:
    legs, rx, heard = G722Legs(), tone(20, hz=hz), []
    legs.add(2)
    for frame in rx:
        frames = np.full((4, 160), 0x42, dtype=np.uint8)
        frames[2] = frame
        frames = encoded(legs, frames)
        assert not np.array_equal(frames[2], frame)
        legs.decode(frames, HERE)
        assert set(frames[[0, 1, 3]].reshape(-1).tolist()) == {0x42}
        heard.append(frames[2].copy())
    audio, back = DECODE[ULAW][rx.reshape(-1)].astype(float), DECODE[ULAW][np.concatenate(heard)].astype(float)
    # The codec's own delay is found, and then what is left is noise.
    noise = min(float(np.mean((audio[800:2400] - back[800 + delay : 2400 + delay]) ** 2)) for delay in range(0, 24))
    assert 10 * np.log10(np.mean(audio[800:2400] ** 2) / noise) > 20


def test_a_missing_frame_is_silence() -> None:
    legs = G722Legs()
    legs.add(0)
    frames = np.zeros((1, 160), dtype=np.uint8)
    legs.decode(frames, np.array([1]))
    assert set(frames[0].tolist()) == {SILENCE[ULAW]}


def test_a_leg_that_ends_or_changes_is_left_alone() -> None:
    legs, frames = G722Legs(), tone(1).copy()
    legs.add(0)
    legs.add(0)
    legs.remove(0)
    legs.remove(0)
    before = frames.copy()
    assert np.array_equal(encoded(legs, frames), before)
    legs.decode(frames, HERE)
    assert np.array_equal(frames, before)


def test_rows_beyond_the_highest_in_use_are_not_touched() -> None:
    legs = G722Legs()
    legs.add(3)
    frames = tone(2).copy()
    before = frames.copy()
    assert np.array_equal(encoded(legs, frames), before)
    legs.decode(frames, HERE)
    assert np.array_equal(frames, before)


def test_a_frame_passes_unchanged_to_a_leg_with_one_source() -> None:
    legs, came = G722Legs(), np.arange(320, dtype=np.uint8).reshape(2, 160)
    for row in (0, 1):
        legs.add(row)
    heard, packets = came.copy(), np.zeros((2, 160), dtype=np.uint8)
    legs.decode(heard, HERE)
    assert not np.array_equal(heard, came), "everybody else hears telephone sound"
    for altered, passes in ((NO_ROWS, [True, True]), (np.array([1]), [True, False])):
        legs.encode(heard[::-1].copy(), packets, source=np.array([1, 0]), altered=altered)
        assert [np.array_equal(packets[row], came[1 - row]) for row in (0, 1)] == passes
    missed = np.array([0, 1])
    legs.decode(came.copy(), missed)
    legs.encode(heard[::-1].copy(), packets, source=np.array([1, 0]), altered=NO_ROWS)
    assert [np.array_equal(packets[row], came[1 - row]) for row in (0, 1)] == [False, True], "what is lost is made up"


def test_our_encoder_continues_after_passed_frames() -> None:
    """The state of the phone's decoder fits the frames of our encoder when it takes over: there is no click."""
    legs, far, phone = G722Legs(), G722(8000, 64_000), G722(8000, 64_000)
    for row in (0, 1):
        legs.add(row)
    decoded = []
    for k, frame in enumerate(tone(40, hz=500.0)):
        rx = np.frombuffer(far.encode(DECODE[ULAW][frame]), dtype=np.uint8)
        frames, packets = np.stack([rx, rx]), np.zeros((2, 160), dtype=np.uint8)
        legs.decode(frames, HERE)
        altered = np.array([1]) if 20 <= k < 25 else NO_ROWS
        legs.encode(frames, packets, source=np.array([1, 0]), altered=altered)
        decoded.append(np.frombuffer(phone.decode(packets[1].tobytes()), dtype=np.int16))
    heard = np.concatenate(decoded[5:]).astype(int)
    assert np.abs(np.diff(heard)).max() < 1.3 * np.abs(np.diff(np.concatenate(decoded[5:19]).astype(int))).max()
