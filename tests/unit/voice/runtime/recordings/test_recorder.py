"""From what was captured to a WAV file: made whole in place, cut at its silent ends, mended after a crash."""

from __future__ import annotations

import asyncio
import io
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st

from holdfast.voice.media.codec.wav import HEADER_BYTES, wav_header
from holdfast.voice.media_process.control_link import recording_messages as words
from holdfast.voice.model.effects import CaptureChannels, ChangeCapture, EraseCapture, StartCapture, StopCapture
from holdfast.voice.model.facts import CaptureBegan, CaptureEnded, CaptureFact, CaptureQuiet
from holdfast.voice.model.ids import AccountSid, CallSid, RecordingSid
from holdfast.voice.runtime.recordings.recorder import Recorder, finish_file

pytestmark = pytest.mark.anyio

TAPE = RecordingSid("RE" + "1" * 32)
ACCOUNT = AccountSid("AC" + "0" * 32)
VOICES: CaptureChannels = (((CallSid("CA1"), "says"),),)
FRAMES = 60


def part_of(frames: int, *, channels: int = 1) -> bytes:
    """A part as the media process leaves it: each sample is the number of its frame."""
    samples = np.repeat(np.arange(frames, dtype="<i2"), 160 * channels)
    return wav_header(channels=channels, data_bytes=0) + samples.tobytes()


def whole(path: Path) -> np.ndarray[tuple[int, ...], np.dtype[np.int16]]:
    """The samples of a file, as another reader finds them."""
    samples, rate = soundfile.read(io.BytesIO(path.read_bytes()), dtype="int16", always_2d=True)
    assert rate == 8000
    return np.asarray(samples, dtype=np.int16)


@pytest.mark.parametrize("channels", [1, 2])
def test_a_part_becomes_a_file(tmp_path: Path, channels: int) -> None:
    part = tmp_path / "RE1.part"
    part.write_bytes(part_of(FRAMES, channels=channels))
    assert finish_file(part) == FRAMES * 0.02
    assert not part.exists()
    made = whole(tmp_path / "RE1.wav")
    assert made.shape == (FRAMES * 160, channels)
    assert (made[::160, 0] == np.arange(FRAMES)).all()


@given(st.integers(0, FRAMES + 5), st.integers(0, FRAMES + 5))
def test_the_ends_are_cut_off_in_place(first: int, end: int) -> None:
    part = Path("/dev/shm") / f"holdfast-test-{first}-{end}.part"
    part.write_bytes(part_of(FRAMES, channels=2))
    try:
        seconds = finish_file(part, first_frame=first, end_frame=end)
        kept = range(min(first, FRAMES), min(end, FRAMES))
        if len(kept) < 5:
            assert seconds == 0
            assert not part.with_suffix(".wav").exists()
        else:
            assert seconds == pytest.approx(len(kept) * 0.02)
            assert whole(part.with_suffix(".wav"))[::160, 0].tolist() == list(kept)
    finally:
        part.unlink(missing_ok=True)
        part.with_suffix(".wav").unlink(missing_ok=True)


def test_what_is_no_recording_is_thrown_away(tmp_path: Path) -> None:
    part = tmp_path / "RE1.part"
    part.write_bytes(b"nonsense" * 100)
    assert finish_file(part) == 0
    assert list(tmp_path.iterdir()) == []


def test_a_last_block_that_was_cut_off_is_left_out(tmp_path: Path) -> None:
    part = tmp_path / "RE1.part"
    part.write_bytes(part_of(FRAMES, channels=2) + b"\x00")
    assert finish_file(part) == FRAMES * 0.02
    assert len((tmp_path / "RE1.wav").read_bytes()) == HEADER_BYTES + FRAMES * 160 * 4


class Media:
    """A media process that writes what it is to write at once."""

    def __init__(self) -> None:
        self.asked: list[words.TapCommand] = []

    def capture(self, command: words.TapCommand) -> None:
        self.asked.append(command)
        if isinstance(command, words.OpenTap):
            Path(command.path).write_bytes(part_of(FRAMES))


class Bench:
    """A recorder whose facts are kept."""

    def __init__(self, folder: Path, tasks: asyncio.TaskGroup) -> None:
        self.told: list[CaptureFact] = []
        self.media = Media()
        self.recorder = Recorder(
            media=self.media,
            folder=folder,
            url="http://pbx.example/",
            account=ACCOUNT,
            post=self.told.append,
            tasks=tasks,
        )

    def closed(self, *, error: str = "", first: int | None = 20, last: int | None = 39) -> None:
        """The media process is done with it."""
        self.recorder.handle(
            words.TapClosed(recording=TAPE, frames=FRAMES, first_loud=first, last_loud=last, error=error)
        )


async def test_a_recording_from_its_beginning_to_its_file(tmp_path: Path) -> None:
    async with asyncio.TaskGroup() as tasks:
        bench = Bench(tmp_path / "recordings", tasks)
        assert await bench.recorder.open() == []
        assert (tmp_path / "recordings").stat().st_mode & 0o777 == 0o700
        bench.recorder.carry_out(StartCapture(recording=TAPE, channels=VOICES, silence_s=5))
        bench.recorder.carry_out(ChangeCapture(recording=TAPE, mode="off"))
        bench.recorder.handle(words.TapQuiet(recording=TAPE))
        bench.recorder.carry_out(StopCapture(recording=TAPE, trim=True))
        assert bench.recorder.path(TAPE) is None
        bench.closed()
        assert await bench.recorder.drained(timeout_s=5)
        url = f"http://pbx.example/2010-04-01/Accounts/{ACCOUNT}/Recordings/{TAPE}"
        assert bench.told == [
            CaptureBegan(recording=TAPE, url=url),
            CaptureQuiet(recording=TAPE),
            CaptureEnded(recording=TAPE, duration_s=0.6),
        ]
        path = bench.recorder.path(TAPE)
        assert path is not None
        assert whole(path)[::160, 0].tolist() == list(range(15, 45))
        bench.recorder.carry_out(EraseCapture(recording=TAPE))
    assert not path.exists()


@pytest.mark.parametrize(("trim", "seconds"), [(True, 0.0), (False, 1.2)])
async def test_nothing_but_silence_is_kept_when_nothing_is_to_be_cut_off(
    tmp_path: Path, trim: bool, seconds: float
) -> None:
    async with asyncio.TaskGroup() as tasks:
        bench = Bench(tmp_path, tasks)
        bench.recorder.carry_out(StartCapture(recording=TAPE, channels=VOICES))
        bench.recorder.carry_out(StopCapture(recording=TAPE, trim=trim))
        bench.closed(first=None, last=None)
    assert bench.told[-1] == CaptureEnded(recording=TAPE, duration_s=seconds)


async def test_one_that_ended_by_itself_keeps_what_was_written(tmp_path: Path) -> None:
    async with asyncio.TaskGroup() as tasks:
        bench = Bench(tmp_path, tasks)
        bench.recorder.carry_out(StartCapture(recording=TAPE, channels=VOICES))
        bench.closed(error="No space left on device")
        bench.recorder.carry_out(StopCapture(recording=TAPE, trim=False))
    assert bench.told[1:] == [CaptureEnded(recording=TAPE, duration_s=1.2, error="No space left on device")]


async def test_a_media_process_that_goes_leaves_what_it_wrote(tmp_path: Path) -> None:
    async with asyncio.TaskGroup() as tasks:
        bench = Bench(tmp_path, tasks)
        bench.recorder.carry_out(StartCapture(recording=TAPE, channels=VOICES))
        assert not await bench.recorder.drained(timeout_s=0.01)
        bench.recorder.media_lost()
        bench.closed()
    (ended,) = bench.told[1:]
    assert isinstance(ended, CaptureEnded)
    assert (ended.duration_s, ended.error) == (1.2, "the media process was restarted")


async def test_a_file_that_never_came_is_a_failure(tmp_path: Path) -> None:
    async with asyncio.TaskGroup() as tasks:
        bench = Bench(tmp_path, tasks)
        bench.recorder.carry_out(StartCapture(recording=TAPE, channels=VOICES))
        (tmp_path / f"{TAPE}.part").unlink()
        bench.closed()
    assert bench.told[-1] == CaptureEnded(recording=TAPE, duration_s=0.0, error="No such file or directory")


async def test_what_a_crash_left_is_mended_and_told_when_it_is_asked_about(tmp_path: Path) -> None:
    (tmp_path / f"{TAPE}.part").write_bytes(part_of(FRAMES))
    (tmp_path / "REbroken.part").mkdir()
    other = RecordingSid("RE" + "2" * 32)
    async with asyncio.TaskGroup() as tasks:
        bench = Bench(tmp_path, tasks)
        assert await bench.recorder.open() == [TAPE]
        for recording in (TAPE, other):
            bench.recorder.carry_out(StopCapture(recording=recording, trim=False))
    assert bench.told == [
        CaptureEnded(recording=TAPE, duration_s=1.2),
        CaptureEnded(recording=other, duration_s=0.0, error="it was lost"),
    ]


@pytest.mark.parametrize("name", ["../secret", "RE" + "3" * 31, "", "RE" + "3" * 32])
async def test_only_recordings_have_a_path(tmp_path: Path, name: str) -> None:
    (tmp_path.parent / "secret.wav").write_bytes(b"")
    async with asyncio.TaskGroup() as tasks:
        assert Bench(tmp_path, tasks).recorder.path(RecordingSid(name)) is None


async def test_what_changes_before_it_begins_counts_from_its_first_sample(tmp_path: Path) -> None:
    """A change leaves at once, a beginning when the journal has it."""
    nobody: CaptureChannels = ((),)
    async with asyncio.TaskGroup() as tasks:
        bench = Bench(tmp_path, tasks)
        bench.recorder.carry_out(ChangeCapture(recording=TAPE, channels=nobody))
        bench.recorder.carry_out(ChangeCapture(recording=TAPE, mode="silent"))
        assert bench.media.asked == []
        bench.recorder.carry_out(StartCapture(recording=TAPE, channels=VOICES))
        opened, changed = bench.media.asked
        assert isinstance(opened, words.OpenTap)
        assert opened.voices == nobody
        assert changed == words.ChangeTap(recording=TAPE, mode="silent")
        bench.closed()
