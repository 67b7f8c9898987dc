"""A captured part becomes a WAV file: finished in place, trimmed, recovered after a crash."""

from __future__ import annotations

import asyncio
import io
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st

from holdfast.voice.control.read_only_state import Message
from holdfast.voice.media.codec.wav import HEADER_BYTES, wav_header
from holdfast.voice.media_process.control_link import recording_messages as words
from holdfast.voice.model.effects import CaptureChannels, ChangeCapture, EraseCapture, StartCapture, StopCapture
from holdfast.voice.model.facts import CaptureBegan, CaptureEnded, CaptureQuiet
from holdfast.voice.model.ids import AccountSid, CallSid, RecordingSid
from holdfast.voice.runtime.recordings.recorder import Recorder, finish_file
from tests.engine_ports import make_mailbox, posted

pytestmark = pytest.mark.anyio

TAPE = RecordingSid("RE" + "1" * 32)
ACCOUNT = AccountSid("AC" + "0" * 32)
VOICES: CaptureChannels = (((CallSid("CA1"), "says"),),)
FRAMES = 60


def part_of(frames: int, *, channels: int = 1) -> bytes:
    """Write a part as the media process leaves it: each sample is the number of its frame."""
    samples = np.repeat(np.arange(frames, dtype="<i2"), 160 * channels)
    return wav_header(channels=channels, data_bytes=0) + samples.tobytes()


def whole(path: Path) -> np.ndarray[tuple[int, ...], np.dtype[np.int16]]:
    """Return the samples of a file as another library reads them."""
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
def test_silence_at_the_ends_is_trimmed_in_place(first: int, end: int) -> None:
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


def test_a_part_that_is_no_recording_is_deleted(tmp_path: Path) -> None:
    part = tmp_path / "RE1.part"
    part.write_bytes(b"nonsense" * 100)
    assert finish_file(part) == 0
    assert list(tmp_path.iterdir()) == []


def test_an_incomplete_last_block_is_left_out(tmp_path: Path) -> None:
    part = tmp_path / "RE1.part"
    part.write_bytes(part_of(FRAMES, channels=2) + b"\x00")
    assert finish_file(part) == FRAMES * 0.02
    assert len((tmp_path / "RE1.wav").read_bytes()) == HEADER_BYTES + FRAMES * 160 * 4


class Media:
    """A media process that writes its captures at once."""

    def __init__(self) -> None:
        self.asked: list[words.TapCommand] = []

    def send(self, command: words.TapCommand) -> None:
        self.asked.append(command)
        if isinstance(command, words.OpenTap):
            Path(command.path).write_bytes(part_of(FRAMES))


class Bench:
    """A recorder whose facts the test keeps."""

    def __init__(self, folder: Path, tasks: asyncio.TaskGroup) -> None:
        self.mailbox = make_mailbox()
        self.facts: list[Message] = []
        self.media = Media()
        self.recorder = Recorder(
            media=self.media,
            folder=folder,
            url="http://pbx.example/",
            account=ACCOUNT,
            events=self.mailbox,
            tasks=tasks,
        )

    def posted(self) -> list[Message]:
        """Return every fact posted so far."""
        self.facts += posted(self.mailbox)
        return self.facts

    def closed(self, *, error: str = "", first: int | None = 20, last: int | None = 39) -> None:
        """Let the media process close the tap."""
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
        assert bench.posted() == [
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
async def test_a_silent_recording_is_kept_without_trimming(tmp_path: Path, trim: bool, seconds: float) -> None:
    async with asyncio.TaskGroup() as tasks:
        bench = Bench(tmp_path, tasks)
        bench.recorder.carry_out(StartCapture(recording=TAPE, channels=VOICES))
        bench.recorder.carry_out(StopCapture(recording=TAPE, trim=trim))
        bench.closed(first=None, last=None)
    assert bench.posted()[-1] == CaptureEnded(recording=TAPE, duration_s=seconds)


async def test_a_recording_that_failed_keeps_the_audio_written_so_far(tmp_path: Path) -> None:
    async with asyncio.TaskGroup() as tasks:
        bench = Bench(tmp_path, tasks)
        bench.recorder.carry_out(StartCapture(recording=TAPE, channels=VOICES))
        bench.closed(error="No space left on device")
        bench.recorder.carry_out(StopCapture(recording=TAPE, trim=False))
    assert bench.posted()[1:] == [CaptureEnded(recording=TAPE, duration_s=1.2, error="No space left on device")]


async def test_a_lost_media_process_leaves_the_audio_written_so_far(tmp_path: Path) -> None:
    async with asyncio.TaskGroup() as tasks:
        bench = Bench(tmp_path, tasks)
        bench.recorder.carry_out(StartCapture(recording=TAPE, channels=VOICES))
        assert not await bench.recorder.drained(timeout_s=0.01)
        bench.recorder.media_lost()
        bench.closed()
    (ended,) = bench.posted()[1:]
    assert isinstance(ended, CaptureEnded)
    assert (ended.duration_s, ended.error) == (1.2, "the media process was restarted")


async def test_a_missing_file_is_a_failure(tmp_path: Path) -> None:
    async with asyncio.TaskGroup() as tasks:
        bench = Bench(tmp_path, tasks)
        bench.recorder.carry_out(StartCapture(recording=TAPE, channels=VOICES))
        (tmp_path / f"{TAPE}.part").unlink()
        bench.closed()
    assert bench.posted()[-1] == CaptureEnded(recording=TAPE, duration_s=0.0, error="No such file or directory")


async def test_a_part_that_a_crash_left_is_finished_and_reported_when_stopped(tmp_path: Path) -> None:
    (tmp_path / f"{TAPE}.part").write_bytes(part_of(FRAMES))
    (tmp_path / "REbroken.part").mkdir()
    other = RecordingSid("RE" + "2" * 32)
    async with asyncio.TaskGroup() as tasks:
        bench = Bench(tmp_path, tasks)
        assert await bench.recorder.open() == [TAPE]
        for recording in (TAPE, other):
            bench.recorder.carry_out(StopCapture(recording=recording, trim=False))
    assert bench.posted() == [
        CaptureEnded(recording=TAPE, duration_s=1.2),
        CaptureEnded(recording=other, duration_s=0.0, error="it was lost"),
    ]


@pytest.mark.parametrize("name", ["../secret", "RE" + "3" * 31, "", "RE" + "3" * 32])
async def test_only_recordings_have_a_path(tmp_path: Path, name: str) -> None:
    (tmp_path.parent / "secret.wav").write_bytes(b"")
    async with asyncio.TaskGroup() as tasks:
        assert Bench(tmp_path, tasks).recorder.path(RecordingSid(name)) is None


async def test_a_change_before_the_start_applies_from_the_first_sample(tmp_path: Path) -> None:
    """A change is carried out at once, a start after it is in the journal."""
    async with asyncio.TaskGroup() as tasks:
        bench = Bench(tmp_path, tasks)
        bench.recorder.carry_out(ChangeCapture(recording=TAPE, mode="off"))
        bench.recorder.carry_out(ChangeCapture(recording=TAPE, mode="silent"))
        assert bench.media.asked == []
        bench.recorder.carry_out(StartCapture(recording=TAPE, channels=VOICES))
        opened, changed = bench.media.asked
        assert isinstance(opened, words.OpenTap)
        assert changed == ChangeCapture(recording=TAPE, mode="silent")
        bench.closed()
