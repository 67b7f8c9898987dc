"""Captured audio equals the RX and TX audio, sample for sample, in the right channel, and of the right length."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from holdfast.voice.media.codec.g711 import ALAW, ENCODE, ULAW
from holdfast.voice.media.frames import SAMPLES, Bytes
from holdfast.voice.media.mix.recording_taps import (
    BLOCK_FRAMES,
    Channels,
    Mode,
    RecordingTaps,
    TapSource,
)

ROWS = 4
LAW = np.array([ULAW, ALAW, ULAW, ULAW], dtype=np.intp)


def rx(*levels: int) -> Bytes:
    """Return a frame per row at these constant levels, each in its row's companding."""
    return np.stack([np.full(SAMPLES, ENCODE[LAW[row]][level + 32768]) for row, level in enumerate(levels)])


SILENT = rx(0, 0, 0, 0)


def samples(taps: RecordingTaps[str], channels: int, key: str = "r") -> np.ndarray[tuple[int, ...], np.dtype[np.int16]]:
    """Return the samples that were taken so far. Shape: `[samples, channels]`."""
    data = b"".join(block for name, block in taps.take_blocks() if name == key)
    return np.frombuffer(data, dtype="<i2").reshape(-1, channels).astype(np.int16)


def voices(*rows: int, is_tx: bool = False) -> tuple[TapSource, ...]:
    return tuple(TapSource(row, is_tx) for row in rows)


def test_two_channels_hold_rx_and_tx_audio() -> None:
    taps: RecordingTaps[str] = RecordingTaps()
    taps.open("r", (voices(1), voices(1, is_tx=True)))
    taps.tick(rx(0, 1000, 0, 0), rx(0, -2000, 0, 0), LAW)
    length = taps.close("r")
    made = samples(taps, 2)
    assert made.shape == (SAMPLES, 2)
    assert np.allclose(made[:, 0], 1000, atol=40)
    assert np.allclose(made[:, 1], -2000, atol=80)
    assert (length.frames, length.first_loud, length.last_loud) == (1, 0, 0)


def test_a_channel_is_the_clipped_sum_of_its_sources() -> None:
    taps: RecordingTaps[str] = RecordingTaps()
    taps.open("r", (voices(0, 2, 3),))
    taps.tick(rx(30000, 0, 30000, 30000), SILENT, LAW)
    taps.tick(rx(1000, 0, 2000, -500), SILENT, LAW)
    taps.close("r")
    made = samples(taps, 1)
    assert (made[:SAMPLES] == 32767).all()
    assert np.allclose(made[SAMPLES:], 2500, atol=120)


def test_a_channel_without_sources_is_silent_and_changes_no_other() -> None:
    taps: RecordingTaps[str] = RecordingTaps()
    taps.open("empty", ((), voices(0)))
    taps.open("r", (voices(0),))
    taps.tick(rx(900, 0, 0, 0), SILENT, LAW)
    taps.close("empty")
    taps.close("r")
    taken = dict(taps.take_blocks())
    both = np.frombuffer(taken["empty"], dtype="<i2").reshape(-1, 2)
    assert (both[:, 0] == 0).all()
    assert np.allclose(both[:, 1], 900, atol=40)
    assert len(taken["r"]) == 2 * SAMPLES


def test_new_sources_apply_from_the_next_tick() -> None:
    taps: RecordingTaps[str] = RecordingTaps()
    taps.open("r", (voices(0),))
    taps.tick(rx(900, 0, 3000, 0), SILENT, LAW)
    taps.set_channels("r", (voices(2),))
    taps.tick(rx(900, 0, 3000, 0), SILENT, LAW)
    taps.close("r")
    made = samples(taps, 1)
    assert np.allclose(made[:SAMPLES], 900, atol=40)
    assert np.allclose(made[SAMPLES:], 3000, atol=120)


def test_a_pause_is_silence_or_is_left_out() -> None:
    taps: RecordingTaps[str] = RecordingTaps()
    loud = rx(5000, 0, 0, 0)
    for key in ("silent", "off"):
        taps.open(key, (voices(0),), quiet_frames=2)
    taps.tick(loud, SILENT, LAW)
    taps.set_mode("silent", "silent")
    taps.set_mode("off", "off")
    for _ in range(5):
        assert taps.tick(loud, SILENT, LAW) == []
    taps.set_mode("silent", "on")
    taps.set_mode("off", "on")
    taps.tick(loud, SILENT, LAW)
    assert taps.close("silent").frames == 7
    assert taps.close("off").frames == 2


def test_a_pause_is_as_long_in_each_channel() -> None:
    taps: RecordingTaps[str] = RecordingTaps()
    taps.open("r", (voices(0), voices(1)))
    loud = rx(5000, 5000, 0, 0)
    steps: list[tuple[Mode, int]] = [("on", 0), ("silent", 0), ("silent", 2), ("on", 0)]
    for mode, skipped in steps:
        taps.set_mode("r", mode)
        taps.tick(loud, SILENT, LAW, skipped=skipped)
    assert taps.close("r").frames == 6
    made = samples(taps, 2)
    assert made.shape == (6 * SAMPLES, 2)
    assert not made[SAMPLES : 5 * SAMPLES].any()
    assert made[5 * SAMPLES :].all()


def test_skipped_ticks_are_recorded_as_silence() -> None:
    taps: RecordingTaps[str] = RecordingTaps()
    taps.open("r", (voices(0), voices(1)))
    taps.tick(rx(5000, 0, 0, 0), SILENT, LAW)
    taps.tick(rx(5000, 0, 0, 0), SILENT, LAW, skipped=3)
    assert taps.close("r").frames == 5
    made = samples(taps, 2)
    assert len(made) == 5 * SAMPLES
    assert (made[SAMPLES : 4 * SAMPLES] == 0).all()


def test_each_long_silence_is_reported_once() -> None:
    taps: RecordingTaps[str] = RecordingTaps()
    taps.open("r", (voices(0),), quiet_frames=3)
    loud = rx(5000, 0, 0, 0)
    quiet = [taps.tick(frame, SILENT, LAW) for frame in (loud, SILENT, SILENT, SILENT, SILENT, loud, SILENT)]
    assert quiet == [[], [], [], ["r"], [], [], []]
    length = taps.close("r")
    assert (length.first_loud, length.last_loud) == (0, 5)


def test_silence_that_becomes_long_in_skipped_ticks_is_reported() -> None:
    taps: RecordingTaps[str] = RecordingTaps()
    loud = rx(5000, 0, 0, 0)
    for key in ("quiet", "speaks"):
        taps.open(key, (voices(0 if key == "quiet" else 1),), quiet_frames=3)
    both = rx(5000, 5000, 0, 0)
    assert taps.tick(both, SILENT, LAW) == []
    assert taps.tick(SILENT, SILENT, LAW) == []
    assert taps.tick(rx(0, 5000, 0, 0), SILENT, LAW, skipped=4) == ["quiet"], "the other one speaks again"
    assert taps.tick(SILENT, SILENT, LAW) == []
    length = taps.close("quiet")
    assert (length.frames, length.first_loud, length.last_loud) == (8, 0, 0)
    assert taps.close("speaks").last_loud == 6
    assert [(key, len(block)) for key, block in taps.take_blocks()] == [
        (key, 8 * 2 * SAMPLES) for key in ("quiet", "speaks")
    ]
    assert taps.tick(loud, SILENT, LAW) == []


def test_a_recording_of_silence_alone_has_no_loud_frame() -> None:
    taps: RecordingTaps[str] = RecordingTaps()
    taps.open("r", (voices(0),))
    taps.tick(SILENT, SILENT, LAW)
    length = taps.close("r")
    assert (length.first_loud, length.last_loud) == (None, None)
    assert "r" not in taps
    assert taps.tick(SILENT, SILENT, LAW) == []


def test_full_blocks_are_ready() -> None:
    taps: RecordingTaps[str] = RecordingTaps()
    taps.open("r", (voices(0), voices(1)))
    for _ in range(BLOCK_FRAMES - 1):
        taps.tick(SILENT, SILENT, LAW)
    assert taps.take_blocks() == []
    taps.tick(SILENT, SILENT, LAW)
    ((key, block),) = taps.take_blocks()
    assert (key, len(block)) == ("r", BLOCK_FRAMES * SAMPLES * 2 * 2)
    taps.close("r")
    assert taps.take_blocks() == []


@given(
    st.lists(
        st.tuples(st.integers(1, 2), st.lists(st.tuples(st.integers(0, ROWS - 1), st.booleans()), max_size=4)),
        min_size=1,
        max_size=5,
    ),
    st.lists(st.integers(-8000, 8000), min_size=ROWS, max_size=ROWS),
    st.lists(st.integers(-8000, 8000), min_size=ROWS, max_size=ROWS),
)
def test_any_number_of_recordings_run_beside_each_other(
    plans: list[tuple[int, list[tuple[int, bool]]]], levels: list[int], tx_levels: list[int]
) -> None:
    taps: RecordingTaps[int] = RecordingTaps()
    frames, heard = rx(*levels), rx(*tx_levels)
    expected: dict[int, Channels] = {}
    for key, (count, chosen) in enumerate(plans):
        expected[key] = tuple(tuple(TapSource(*voice) for voice in chosen[channel:]) for channel in range(count))
        taps.open(key, expected[key])
    taps.tick(frames, heard, LAW)
    for key in expected:
        assert taps.close(key).frames == 1
    taken = dict(taps.take_blocks())
    for key, channels in expected.items():
        made = np.frombuffer(taken[key], dtype="<i2").reshape(-1, len(channels))
        for number, channel in enumerate(channels):
            exact = sum((tx_levels if voice.is_tx else levels)[voice.row] for voice in channel)
            assert np.allclose(made[:, number], np.clip(exact, -32768, 32767), atol=260 * max(1, len(channel)))
