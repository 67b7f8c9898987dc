"""Recordings on their way to files: commands of control at any moment, and failures of a disk."""

from __future__ import annotations

import os
import resource
import stat
from pathlib import Path

import numpy as np
import pytest

from holdfast.voice.media.codec.g711 import ENCODE
from holdfast.voice.media.codec.wav import HEADER_BYTES, read_channels
from holdfast.voice.media.frames import SAMPLES
from holdfast.voice.media.mix.routing import Seats
from holdfast.voice.media_process.control_link.recording_messages import (
    CloseTap,
    OpenTap,
    TapClosed,
    TapFact,
    TapQuiet,
)
from holdfast.voice.media_process.legs.recording_files import (
    Recorders,
    Writer,
)
from holdfast.voice.media_process.legs.seating import Seating
from holdfast.voice.model.effects import CaptureChannels, ChangeCapture, RouteAudio, Seat
from holdfast.voice.model.ids import CallSid, RecordingSid, RoomSid

LAW = np.zeros(2, dtype=np.intp)
LOUD = np.full((2, SAMPLES), ENCODE[0][5000 + 32768], dtype=np.uint8)
SILENT = np.full((2, SAMPLES), 0xFF, dtype=np.uint8)
SAYS: CaptureChannels = (((CallSid("CA1"), "says"),),)
NAME = "RE" + "0" * 32


class Bench:
    """Recorders whose facts are kept."""

    def __init__(self) -> None:
        self.told: list[TapFact] = []
        self.rows: dict[str, int] = {"CA1": 0}
        self.seats = Seats(2)
        self.seating = Seating(self.seats, self.rows)
        self.recorders = Recorders(self.told.append, self.seating)

    def open(self, path: Path, *, voices: CaptureChannels = SAYS, quiet_s: float = 0.0) -> None:
        self.recorders.handle(OpenTap(recording=NAME, path=str(path), voices=voices, quiet_s=quiet_s))

    def tick(self, count: int = 1, frames: np.ndarray[tuple[int, ...], np.dtype[np.uint8]] = LOUD) -> None:
        for _ in range(count):
            self.recorders.tick(frames, frames, LAW, skipped=0)

    def close(self) -> TapClosed:
        """Close, and tick until the end is reported."""
        self.recorders.handle(CloseTap(recording=NAME))
        return self.closed()

    def closed(self) -> TapClosed:
        for _ in range(100_000):
            if self.told and isinstance(self.told[-1], TapClosed):
                return self.told[-1]
            self.tick()
        raise AssertionError("it was never told as closed")


@pytest.fixture
def bench() -> Bench:
    return Bench()


def test_all_captured_audio_is_in_the_file(bench: Bench, tmp_path: Path) -> None:
    path = tmp_path / "a.part"
    bench.open(path)
    bench.tick(60)
    closed = bench.close()
    assert (closed.frames, closed.first_loud, closed.last_loud, closed.error) == (60, 0, 59, "")
    data = path.read_bytes()
    assert read_channels(data) == 1
    assert len(data) == HEADER_BYTES + 60 * 2 * SAMPLES
    assert not bench.recorders.in_use


def test_a_recording_is_readable_by_its_owner_alone(bench: Bench, tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        bench.open(tmp_path / "a.part")
        bench.close()
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "a.part").stat().st_mode) == 0o600


def test_a_leg_that_opens_later_is_recorded_from_then_on(bench: Bench, tmp_path: Path) -> None:
    bench.rows.clear()
    bench.open(tmp_path / "a.part")
    bench.tick(2)
    bench.rows["CA1"] = 1
    bench.recorders.rows_changed()
    bench.tick(2)
    assert bench.close().first_loud == 2


def test_a_recording_that_is_off_does_not_grow(bench: Bench, tmp_path: Path) -> None:
    bench.rows.clear()
    bench.open(tmp_path / "a.part", quiet_s=0.04)
    bench.tick(3)
    assert bench.told == [TapQuiet(recording=NAME)]
    bench.recorders.handle(ChangeCapture(recording=RecordingSid(NAME), mode="off"))
    bench.tick(10)
    closed = bench.close()
    assert (closed.frames, closed.first_loud) == (3, None)


@pytest.mark.parametrize(
    ("seat", "is_recorded"),
    [
        (Seat(call=CallSid("CA1")), True),
        (Seat(call=CallSid("CA1"), listens=False), True),
        (Seat(call=CallSid("CA1"), held=True), False),
        (Seat(call=CallSid("CA1"), muted=True), False),
        (Seat(call=CallSid("CA1"), coach=CallSid("CA2")), False),
    ],
)
def test_a_room_is_recorded_as_its_listeners_may_hear_it(
    bench: Bench, tmp_path: Path, seat: Seat, is_recorded: bool
) -> None:
    room = RoomSid("CF1")
    bench.open(tmp_path / "a.part", voices=(((room, "says"),),))
    bench.tick(2)
    bench.seats.open(0)
    bench.seating.route(RouteAudio(room=room, seats=(seat,)))
    bench.recorders.rows_changed()
    bench.tick(2)
    bench.seating.route(RouteAudio(room=room, left=(seat.call,)))
    bench.recorders.rows_changed()
    bench.tick(2)
    closed = bench.close()
    assert (closed.first_loud, closed.last_loud) == ((2, 3) if is_recorded else (None, None))


def test_commands_for_unknown_recordings_are_harmless(bench: Bench) -> None:
    bench.recorders.handle(ChangeCapture(recording=RecordingSid(NAME), mode="off"))
    assert bench.told == []
    bench.recorders.handle(CloseTap(recording=NAME))
    assert bench.told == [
        TapClosed(recording=NAME, frames=0, first_loud=None, last_loud=None, error="no such recording")
    ]


def test_a_recording_opened_twice_is_made_once(bench: Bench, tmp_path: Path) -> None:
    bench.open(tmp_path / "a.part")
    bench.tick(2)
    bench.open(tmp_path / "b.part")
    bench.recorders.handle(CloseTap(recording=NAME))
    bench.recorders.handle(CloseTap(recording=NAME))
    bench.open(tmp_path / "b.part")
    assert bench.closed().frames == 2
    assert not (tmp_path / "b.part").exists()


def test_a_file_that_cannot_be_created_is_reported_at_once(bench: Bench, tmp_path: Path) -> None:
    bench.open(tmp_path / "nowhere" / "a.part")
    closed = bench.closed()
    assert closed.error == "No such file or directory"
    bench.tick(1)
    assert not bench.recorders.in_use


def test_a_full_disk_ends_the_recording_and_is_reported_at_once(bench: Bench, tmp_path: Path) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    path = tmp_path / "a.part"
    bench.open(path)
    resource.setrlimit(resource.RLIMIT_FSIZE, (HEADER_BYTES + 10_000, hard))
    try:
        bench.tick(200)
        closed = bench.closed()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert closed.error == "File too large"
    assert path.stat().st_size == HEADER_BYTES + 10_000
    assert not bench.recorders.in_use


def test_a_disk_that_is_too_slow_is_a_failure_of_the_recording_alone(tmp_path: Path) -> None:
    writer = Writer(unwritten=0)
    writer.write(NAME, b"x")
    assert writer.done.get(timeout=5) == (NAME, "the disk is too slow")
    writer.end()


def test_at_the_end_of_the_process_everything_is_written(bench: Bench, tmp_path: Path) -> None:
    path = tmp_path / "a.part"
    bench.open(path)
    bench.tick(7)
    bench.recorders.close()
    assert len(path.read_bytes()) == HEADER_BYTES + 7 * 2 * SAMPLES


def test_a_new_control_ends_the_recordings_of_the_one_before(bench: Bench, tmp_path: Path) -> None:
    bench.open(tmp_path / "a.part")
    bench.tick(5)
    bench.recorders.end_all()
    bench.tick(20)
    assert bench.closed().frames == 5
    assert len((tmp_path / "a.part").read_bytes()) == HEADER_BYTES + 5 * 2 * SAMPLES
